#include "cli/usage.hpp"

#include <algorithm>

#include "cli/options.hpp"
#include "cli/status.hpp"

namespace ckptree::cli {

namespace {

constexpr std::size_t kWidth = 100;

/// "  WHAT   TEXT", the text broken at spaces and indented to its column.
std::string row(const std::string& what, const std::string& text, std::size_t column) {
  std::string out = what.empty() ? "" : "  " + what, line;
  if (out.size() >= column) out += "\n" + std::string(column, ' ');
  else out.append(column - out.size(), ' ');
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!line.empty() && column + line.size() + 1 + word.size() > kWidth) {
      out += line + "\n" + std::string(column, ' ');
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    at = end + 1;
  }
  return out + line + "\n";
}

std::string option_row(const Option& o) {
  std::string facts = o.unit ? o.unit : "";
  if (o.fallback) facts += (facts.empty() ? "default: " : "; default: ") + std::string(o.fallback);
  const std::string text = o.help + (facts.empty() ? "" : " (" + facts + ")");
  return row(o.argument ? std::string(o.name) + "=" + o.argument : o.name, text, 30);
}

}  // namespace

std::string help_text() {
  std::string out =
      "Usage: ckptree [-f] [-o OPTION[,OPTION...]] SOURCE MOUNTPOINT\n"
      "       ckptree umount MOUNTPOINT\n"
      "       ckptree ls [-l] [-o OPTION,...] SOURCE [PATH]\n"
      "       ckptree cat [-o OPTION,...] SOURCE PATH...\n"
      "       ckptree write [-o OPTION,...] SOURCE PATH <CONTENT\n"
      "       ckptree run [-o OPTION,...] SOURCE -- COMMAND...\n"
      "       ckptree migration create NAME [--with-setup | --final] [--dir DIR]\n"
      "       ckptree migration inspect | sync [--dry-run] CKPT --dir DIR\n"
      "       ckptree migration fix-order [--check] --dir DIR\n"
      "       ckptree --help | --version\n"
      "\n"
      "Shows a machine-learning checkpoint as a tree of files. An edit of a file is an edit of the\n"
      "checkpoint, committed as a whole or not at all. ls, cat and write need no mount and no FUSE.\n"
      "\n";
  out += row("-f, --foreground", "stay in the foreground; the exit status tells whether everything was committed", 30);
  out += row("-l", "ls: type, permissions, size and time beside each name", 30);
  out += row("-o OPTION[,OPTION...]", "the options below", 30);
  out += row("-h, --help", "print this text", 30);
  out += row("-V, --version", "print the version", 30);
  out += "\nOptions of -o:\n";
  for (const Option& o : own_options()) out += option_row(o);
  std::string others;
  for (const Option& o : mount_options()) others += (others.empty() ? "" : " ") + std::string(o.name);
  out += "\nAlso accepted, as mount(8) and /etc/fstab use them:\n";
  out += row("", others, 2);
  out += "\nExit status:\n";
  for (const StatusMeaning& s : all_statuses()) out += row(std::to_string(static_cast<int>(s.status)), s.sentence, 5);
  return out + "\nThe manual page ckptree(1) tells more: the tree, when an edit takes effect, what readers see.\n";
}

std::string version_text() { return "ckptree " CKPTREE_VERSION "\n"; }

}  // namespace ckptree::cli
