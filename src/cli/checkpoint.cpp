#include "cli/checkpoint.hpp"

#include <cerrno>
#include <system_error>

#include "ckptree/source.hpp"
#include "cli/location.hpp"
#include "cli/status.hpp"
#include "commit/execute.hpp"
#include "commit/real_disk.hpp"
#include "commit/store.hpp"
#include "formats/collection/format.hpp"
#include "formats/earth2studio/format.hpp"
#include "formats/orbax/format.hpp"
#include "formats/torch/format.hpp"

namespace ckptree::cli {

namespace {

const Format* const kFormats[] = {&torch_format(), &earth2studio_format(), &orbax_format(), &orbax_steps_format(),
                                  &collection_format()};

/// What tells a directory of a kind; a file needs no sentence of ours.
const char* sign_of(const Format& format) {
  if (&format == &earth2studio_format())
    return "a store of Earth2Studio, which has catalog.json, commits or rank_NNNNNN";
  if (&format == &orbax_format())
    return "a checkpoint of Orbax, which has orbax.checkpoint, _CHECKPOINT_METADATA or _METADATA, or directories with "
           "_METADATA";
  if (&format == &orbax_steps_format())
    return "a directory of steps of Orbax, which has checkpoints under their numbers";
  return nullptr;
}

bool can_be(const Format& format, const Source& source) {
  return &format == &orbax_steps_format() ? may_be_orbax_steps(source) : format.claims(source);
}

/// -o kind= says what to take the source for; of what it is not, a tree would be made up.
void refuse_other_kind(const Format& format, const Source& source) {
  const char* sign = sign_of(format);
  if (!sign || !source.is_directory() || can_be(format, source)) return;
  std::string instead;
  for (const Format* f : kFormats)
    if (instead.empty() && f->claims(source)) instead = f->kind();
  throw Error(Errc::not_a_checkpoint, source.path() + ": expected " + sign + "; without -o kind=" + format.kind() +
                                          " it is taken for " + instead);
}

/// @param asked  the kind that the user named, which the source must be of
const Format& format_of(const Ptr<Source>& source, const Options& options, bool asked) {
  for (const Format* f : kFormats) {
    if (options.kind.empty() ? !f->claims(*source) : options.kind != f->kind()) continue;
    if (asked) refuse_other_kind(*f, *source);
    return *f;
  }
  // Nobody wants it. The first format says why not: it knows the relatives of its files best (a legacy torch file, a
  // TorchScript archive, a truncated zip).
  kFormats[0]->open(source, options.view);
  return *kFormats[0];
}

/// What a collection shows as a checkpoint of its own.
bool is_checkpoint(const std::string& path) {
  try {
    const Ptr<Source> source = open_source(path);
    for (const Format* f : kFormats)
      if (f != &collection_format() && f->claims(*source)) return true;
  } catch (const std::exception&) {
    // Not to be read: not shown.
  }
  return false;
}

/// The sentence begins with the source as the user spelled it, whatever the layers below called it.
std::string about(const std::string& source, const std::string& real, const std::string& text) {
  if (text.compare(0, source.size(), source) == 0) return text;
  if (!real.empty() && text.compare(0, real.size(), real) == 0) return source + text.substr(real.size());
  return source + ": " + text;
}

/// @param path     where the source is
/// @param options  for it; `wanted` is what the user gave
std::shared_ptr<Session> open_at(const std::string& path, const Options& options, const Options& wanted) {
  std::string real;
  try {
    const Ptr<Source> source = open_source(path);
    real = source->path();
    StoreOptions store;
    store.view = options.view;
    store.split_links = options.split_links;
    const Format& format = format_of(source, options, !wanted.kind.empty() && !options.create);
    const bool is_steps = &format == &orbax_steps_format();
    if (is_steps && !options.view.checkpointable.empty()) check_orbax_steps(*source, options.view.checkpointable);
    const bool hides = (&format == &collection_format() || is_steps) && !wanted.data;
    store.view.is_checkpoint = is_checkpoint;
    store.view.open_nested = [wanted, hides](const std::string& nested) {
      Options inner = wanted;  // what named this one does not name those in it
      inner.kind.clear();
      inner.view.rank.reset();
      inner.view.no_data |= hides;  // so that grep -r and cp -r stay small
      Options located = inner;
      const std::string place = locate(nested, located);
      auto session = open_at(place, located, inner);
      if (!inner.view.read_only) sweep_leftovers(*session);
      return session;
    };
    return std::make_shared<Session>(make_store(format, source->path(), real_disk(), store), options.flush_interval,
                                     options.commits);
  } catch (const Error& e) {
    throw Error(e.code(), about(path, real, e.what()));
  }
}

}  // namespace

std::shared_ptr<Session> open_session(const std::string& given, const Options& wanted) {
  Options options = wanted;
  const std::string path = locate(given, options);
  try {
    return open_at(path, options, wanted);
  } catch (const std::system_error& e) {
    const int number = e.code().value();
    if (number == ENOENT || number == ENOTDIR) throw Stop(Status::no_source, path + ": no such file or directory");
    if (number == EACCES || number == EPERM) throw Stop(Status::no_permission, path + ": no permission to read it");
    throw Stop(Status::failure, about(path, "", e.what()));
  } catch (const Error& e) {
    throw Stop(e.code() == Errc::unsupported ? Status::not_a_checkpoint : status_of(e.code()), e.what());
  }
}

void sweep_leftovers(const Session& session) {
  sweep_temporaries(session.path());
  if (session.target() != session.path()) sweep_temporaries(session.target());
}

}  // namespace ckptree::cli
