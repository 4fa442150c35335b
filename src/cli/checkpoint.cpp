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

const Format& format_of(const Ptr<Source>& source, const Options& options) {
  for (const Format* f : kFormats)
    if (options.kind.empty() ? f->claims(*source) : options.kind == f->kind()) return *f;
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

}  // namespace

std::shared_ptr<Session> open_session(const std::string& given, const Options& wanted) {
  Options options = wanted;
  const std::string path = locate(given, options);
  std::string real;
  try {
    const Ptr<Source> source = open_source(path);
    real = source->path();
    StoreOptions store;
    store.view = options.view;
    store.split_links = options.split_links;
    const Format& format = format_of(source, options);
    const bool hides = (&format == &collection_format() || &format == &orbax_steps_format()) && !wanted.data;
    store.view.is_checkpoint = is_checkpoint;
    store.view.open_nested = [wanted, hides](const std::string& nested) {
      Options inner = wanted;  // what named this one does not name those in it
      inner.kind.clear();
      inner.view.rank.reset();
      inner.view.no_data |= hides;  // so that grep -r and cp -r stay small
      auto session = open_session(nested, inner);
      if (!inner.view.read_only) sweep_leftovers(*session);
      return session;
    };
    return std::make_shared<Session>(make_store(format, source->path(), real_disk(), store), options.flush_interval,
                                     options.commits);
  } catch (const std::system_error& e) {
    const int number = e.code().value();
    if (number == ENOENT || number == ENOTDIR) throw Stop(Status::no_source, path + ": no such file or directory");
    if (number == EACCES || number == EPERM) throw Stop(Status::no_permission, path + ": no permission to read it");
    throw Stop(Status::failure, about(path, real, e.what()));
  } catch (const Error& e) {
    const Status status = e.code() == Errc::unsupported ? Status::not_a_checkpoint : status_of(e.code());
    throw Stop(status, about(path, real, e.what()));
  }
}

void sweep_leftovers(const Session& session) {
  sweep_temporaries(session.path());
  if (session.target() != session.path()) sweep_temporaries(session.target());
}

}  // namespace ckptree::cli
