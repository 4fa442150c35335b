#include "cli/options.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <numeric>

#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

[[noreturn]] void refuse(const std::string& option, const std::string& expected, const std::string& got) {
  throw Stop(Status::usage, "-o " + option + "=" + got + ": expected " + expected);
}

template <class T>
T number(const char* option, const std::string& text, const char* expected, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) refuse(option, expected, text);
  return value;
}

bool choice(const char* option, const std::string& text, const char* plain, const char* special) {
  if (text != plain && text != special) refuse(option, std::string(plain) + " or " + special, text);
  return text == special;
}

// By hand, for std::from_chars of doubles takes exponents and "inf" as well: a timeout is a plain decimal number.
double seconds(const char* option, const std::string& text) {
  const auto dot = std::min(text.find('.'), text.size());
  const std::string whole = text.substr(0, dot), rest = text.substr(std::min(dot + 1, text.size()));
  const auto digits = [](const std::string& s) { return s.find_first_not_of("0123456789") == std::string::npos; };
  if (whole.empty() || whole.size() > 9 || rest.size() > 9 || !digits(whole) || !digits(rest))
    refuse(option, "seconds, such as 1 or 0.5", text);
  double value = number<std::uint32_t>(option, whole, "seconds, such as 1 or 0.5"), unit = 1;
  for (const char c : rest) value += (unit /= 10) * (c - '0');
  return value;
}

std::uint64_t bytes(const char* option, const std::string& text) {
  static constexpr const char* kExpected = "bytes, such as 1048576, 512M or 1G";
  const auto suffix = std::string("KMGT").find(text.empty() ? '\0' : text.back());
  const int shift = suffix == std::string::npos ? 0 : 10 * (static_cast<int>(suffix) + 1);
  const auto value = number<std::uint64_t>(option, text.substr(0, text.size() - (shift ? 1 : 0)), kExpected);
  if (value > UINT64_MAX >> shift) refuse(option, kExpected, text);
  return value << shift;
}

void set_flush_interval(Options& o, const std::string& v) {
  try {
    o.flush_interval = FlushInterval::parse(v);
  } catch (const Error&) {
    refuse("flush_interval", "auto, none, or a number from 1 on", v);
  }
}

void set_name(Options& o, const std::string& v) {
  if (v.empty() || v.find('/') != std::string::npos) refuse("name", "a file name", v);
  o.view.metadata_name = v;
}

void set_folder(Options& o, const std::string& v) {
  // It becomes a part of a member's name, and readers unpack members as files.
  if (v.empty() || v.front() == '/' || v.back() == '/' || ("/" + v + "/").find("/../") != std::string::npos)
    refuse("folder", "a folder within the archive", v);
  o.view.metadata_folder = v;
}

void set_missing(Options& o, const std::string& v) {
  const std::size_t dot = v.rfind('.');
  if (dot == std::string::npos || dot == 0 || dot + 1 == v.size() || v.find('\n') != std::string::npos)
    refuse("missing", "MODULE.NAME", v);
  o.view.missing = v;
}

void set_kind(Options& o, const std::string& v) {
  constexpr const char* known[] = {"torch", "earth2studio", "orbax", "orbax-steps", "collection"};
  if (std::none_of(std::begin(known), std::end(known), [&](const char* kind) { return v == kind; }))
    refuse("kind", "torch, earth2studio, orbax, orbax-steps or collection", v);
  o.kind = v;
}

void set_checkpointable(Options& o, const std::string& v) {
  if (v.empty() || v.find('/') != std::string::npos)
    refuse("checkpointable", "the name of a checkpointable, or none", v);
  o.view.checkpointable = v;
}

template <std::uint64_t Most>
std::uint64_t counted(const char* option, const std::string& v, const char* expected) {
  const auto n = number<std::uint64_t>(option, v, expected);
  if (n > Most) refuse(option, expected, v);
  return n;
}

template <std::uint64_t Most>
std::uint64_t from_one(const char* option, const std::string& v, const char* expected) {
  const auto n = counted<Most>(option, v, expected);
  if (n == 0) refuse(option, expected, v);
  return n;
}

void set_umask(Options& o, const std::string& v) {
  const auto mask = number<unsigned>("umask", v, "three octal digits, such as 022", 8);
  if (mask > 0777) refuse("umask", "three octal digits, such as 022", v);
  o.umask = mask;
}

void ignore(Options&, const std::string&) {}

// How to read a row: name, argument, default, unit, help, effect.
constexpr Option kOwn[] = {
    {"ro", nullptr, nullptr, nullptr, "nothing can be edited",
     [](Options& o, const std::string&) { o.view.read_only = true; }},
    {"edit", "documents|all", "documents", nullptr, "what can be edited",
     [](Options& o, const std::string& v) { o.view.edit_all = choice("edit", v, "documents", "all"); }},
    {"kind", "KIND", nullptr, nullptr, "take the source for torch, earth2studio, orbax, orbax-steps or collection",
     set_kind},
    {"name", "NAME", "anemoi.json", nullptr, "file name of the metadata member", set_name},
    {"folder", "FOLDER", "anemoi-metadata", nullptr, "where in the archive new metadata goes", set_folder},
    {"remove", "metadata|all", "metadata", nullptr, "what rm metadata.json removes: all takes the arrays too",
     [](Options& o, const std::string& v) { o.view.remove_all = choice("remove", v, "metadata", "all"); }},
    {"missing", "MODULE.NAME", "anemoi.models.migrations.migrator.MissingAttribute", nullptr,
     "what stands for a class that was removed from imports/", set_missing},
    {"migrations", "DIR", nullptr, nullptr, "the scripts that migrations/ is compared with",
     [](Options& o, const std::string& v) { o.view.migrations = v; }},
    {"nodata", nullptr, nullptr, nullptr, "hide the data of tensors",
     [](Options& o, const std::string&) { o.view.no_data = true; }},
    {"data", nullptr, nullptr, nullptr, "show the data of tensors (the default for a single checkpoint)",
     [](Options& o, const std::string&) {
       o.view.no_data = false;
       o.data = true;
     }},
    {"checkpointable", "NAME|none", nullptr, nullptr,
     "of a checkpoint of Orbax, what pytree leads to (default: as Orbax resolves AUTO)", set_checkpointable},
    {"rank", "N", nullptr, nullptr, "of a store with ranks, this one alone",
     [](Options& o, const std::string& v) { o.view.rank = counted<999'999>("rank", v, "the number of a rank"); }},
    {"world_size", "N", nullptr, nullptr, "how many ranks the run has whose rows are written",
     [](Options& o, const std::string& v) {
       o.view.world_size = from_one<1'000'000>("world_size", v, "a number of ranks, from 1 on");
     }},
    {"level", "0|1|2", "2", nullptr, "0 hides the states of rows",
     [](Options& o, const std::string& v) { o.view.level = static_cast<int>(counted<2>("level", v, "0, 1 or 2")); }},
    {"edits", "replace|append", "replace", nullptr, "an edited row takes the place of the old one, or becomes the last",
     [](Options& o, const std::string& v) { o.view.edits_append = choice("edits", v, "replace", "append"); }},
    {"mode", "append|overwrite", "append", nullptr, "a new row joins those of equal labels, or replaces them",
     [](Options& o, const std::string& v) { o.view.overwrite = choice("mode", v, "append", "overwrite"); }},
    {"history_size", "N", nullptr, "rows", "how many rows of equal labels a new row leaves",
     [](Options& o, const std::string& v) {
       o.view.history_size = from_one<UINT64_MAX>("history_size", v, "a number from 1 on");
     }},
    {"create", nullptr, nullptr, nullptr, "make a store of Earth2Studio that is not there yet",
     [](Options& o, const std::string&) { o.create = true; }},
    {"sweep", nullptr, nullptr, nullptr, "at unmount, remove commits that no row names any more",
     [](Options& o, const std::string&) { o.sweep = true; }},
    {"flush_interval", "auto|N|none", "auto", nullptr, "how many saves make a commit", set_flush_interval},
    {"links", "keep|split", "keep", nullptr, "refuse to commit to a file with several hard links, or split it off",
     [](Options& o, const std::string& v) { o.split_links = choice("links", v, "keep", "split"); }},
    {"scratch_limit", "SIZE", "1G", "bytes", "how much the tools' temporary files may hold",
     [](Options& o, const std::string& v) { o.scratch_limit = bytes("scratch_limit", v); }},
    {"allow_other", nullptr, nullptr, nullptr, "let other users in",
     [](Options& o, const std::string&) { o.allow_other = true; }},
    {"allow_root", nullptr, nullptr, nullptr, "let root in, and nobody else",
     [](Options& o, const std::string&) { o.allow_root = true; }},
    {"umask", "OCTAL", nullptr, nullptr, "permission bits to take away (default: none)", set_umask},
    {"uid", "N", nullptr, nullptr, "show this owner (default: that of the checkpoint)",
     [](Options& o, const std::string& v) { o.uid = number<std::uint32_t>("uid", v, "a user's number"); }},
    {"gid", "N", nullptr, nullptr, "show this group (default: that of the checkpoint)",
     [](Options& o, const std::string& v) { o.gid = number<std::uint32_t>("gid", v, "a group's number"); }},
    {"attr_timeout", "SECONDS", "1", "seconds", "how long the kernel may reuse attributes without asking",
     [](Options& o, const std::string& v) { o.attr_timeout = seconds("attr_timeout", v); }},
    {"entry_timeout", "SECONDS", "0.5", "seconds", "with -o ro: how long the kernel may reuse names without asking",
     [](Options& o, const std::string& v) { o.entry_timeout = seconds("entry_timeout", v); }},
    {"fsname", "NAME", nullptr, nullptr, "name of the source in mount tables (default: SOURCE)",
     [](Options& o, const std::string& v) { o.fsname = v; }},
    {"subtype", "NAME", "ckptree", nullptr, "file system type in mount tables, behind \"fuse.\"",
     [](Options& o, const std::string& v) { o.subtype = v; }},
};

template <int N>
void hand_on(Options& o, const std::string&);

constexpr const char* kHandedOn[] = {"noatime", "exec", "noexec"};
template <int N>
void hand_on(Options& o, const std::string&) {
  o.kernel.push_back(kHandedOn[N]);
}

// A mount of ckptree is nodev and nosuid whatever is asked for: nothing in it is a device or needs a set-user-ID bit.
constexpr Option kMount[] = {
    {"rw", nullptr, nullptr, nullptr, nullptr, [](Options& o, const std::string&) { o.view.read_only = false; }},
    {"noatime", nullptr, nullptr, nullptr, nullptr, hand_on<0>},
    {"exec", nullptr, nullptr, nullptr, nullptr, hand_on<1>},
    {"noexec", nullptr, nullptr, nullptr, nullptr, hand_on<2>},
    {"nodiratime", nullptr, nullptr, nullptr, nullptr, ignore},  // libfuse does not know it; no time of access is kept
    {"defaults", nullptr, nullptr, nullptr, nullptr, ignore},
    {"auto", nullptr, nullptr, nullptr, nullptr, ignore},
    {"noauto", nullptr, nullptr, nullptr, nullptr, ignore},
    {"nofail", nullptr, nullptr, nullptr, nullptr, ignore},
    {"user", nullptr, nullptr, nullptr, nullptr, ignore},
    {"users", nullptr, nullptr, nullptr, nullptr, ignore},
    {"nouser", nullptr, nullptr, nullptr, nullptr, ignore},
    {"atime", nullptr, nullptr, nullptr, nullptr, ignore},
    {"relatime", nullptr, nullptr, nullptr, nullptr, ignore},
    {"dev", nullptr, nullptr, nullptr, nullptr, ignore},
    {"nodev", nullptr, nullptr, nullptr, nullptr, ignore},
    {"suid", nullptr, nullptr, nullptr, nullptr, ignore},
    {"nosuid", nullptr, nullptr, nullptr, nullptr, ignore},
    {"_netdev", nullptr, nullptr, nullptr, nullptr, ignore},
    {"x-*", nullptr, nullptr, nullptr, nullptr, ignore},
};

const Option* find_option(const std::string& name) {
  for (const Option& o : kOwn)
    if (name == o.name) return &o;
  for (const Option& o : kMount) {
    const std::size_t n = std::strlen(o.name);
    if (name == o.name || (o.name[n - 1] == '*' && name.compare(0, n - 1, o.name, n - 1) == 0)) return &o;
  }
  return nullptr;
}

std::string as_typed(const Option& o) { return o.argument ? std::string(o.name) + "=" : o.name; }

void parse_one(const std::string& text, Options& options) {
  const auto equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const Option* option = find_option(name);
  if (!option) {
    std::vector<std::string> known;
    for (const Option& o : kOwn) known.push_back(o.name);
    for (const Option& o : kMount)
      if (std::strchr(o.name, '*') == nullptr) known.push_back(o.name);
    throw Stop(Status::usage, "-o " + text + ": unknown option; the nearest known one is " +
                                  as_typed(*find_option(nearest(name, known))));
  }
  const bool family = std::strchr(option->name, '*') != nullptr;
  if (option->argument && equals == std::string::npos)
    throw Stop(Status::usage, "-o " + name + ": expected " + name + "=" + option->argument);
  if (!option->argument && equals != std::string::npos && !family)
    throw Stop(Status::usage, "-o " + text + ": " + name + " takes no value");
  option->set(options, equals == std::string::npos ? "" : text.substr(equals + 1));
}

}  // namespace

xtl::span<const Option> own_options() { return {kOwn, std::size(kOwn)}; }
xtl::span<const Option> mount_options() { return {kMount, std::size(kMount)}; }

void parse_options(const std::string& list, Options& options) {
  std::string one;
  for (std::size_t i = 0; i <= list.size(); ++i) {
    if (i == list.size() || list[i] == ',') {
      if (!one.empty()) parse_one(one, options);
      one.clear();
    } else if (list[i] == '\\' && i + 1 < list.size() && (list[i + 1] == ',' || list[i + 1] == '\\')) {
      one += list[++i];
    } else {
      one += list[i];
    }
  }
}

std::string nearest(std::string_view text, const std::vector<std::string>& known) {
  // Optimal string alignment: three rows are enough, the one before the last is for swaps.
  const auto distance = [&](std::string_view other) -> std::size_t {
    if (!text.empty() && other.substr(0, text.size()) == text) return 1;  // cut short: as good as one letter wrong
    std::vector<std::size_t> before(other.size() + 1), last(other.size() + 1), row(other.size() + 1);
    std::iota(row.begin(), row.end(), 0u);
    for (std::size_t i = 1; i <= text.size(); ++i) {
      before.swap(last);
      last.swap(row);
      row[0] = i;
      for (std::size_t j = 1; j <= other.size(); ++j) {
        row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (text[i - 1] != other[j - 1])});
        if (i > 1 && j > 1 && text[i - 1] == other[j - 2] && text[i - 2] == other[j - 1])
          row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    return row.back();
  };
  return *std::min_element(known.begin(), known.end(),
                           [&](const std::string& a, const std::string& b) { return distance(a) < distance(b); });
}

}  // namespace ckptree::cli
