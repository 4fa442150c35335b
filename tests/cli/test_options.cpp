// The table of options: parsing, refusals, suggestions.

#include "../unit/catch.hpp"
#include "cli/options.hpp"
#include "cli/status.hpp"
#include "cli/usage.hpp"

using namespace ckptree;
using namespace ckptree::cli;

namespace {

Options parsed(const std::string& list) {
  Options o;
  parse_options(list, o);
  return o;
}

void require_refusal(const std::string& list, const std::string& sentence) {
  INFO(list);
  Options o;
  REQUIRE_THROWS_WITH(parse_options(list, o), sentence);
  try {
    parse_options(list, o);
  } catch (const Stop& e) {
    CHECK(e.status() == Status::usage);
  }
}

}  // namespace

TEST_CASE("every option of the issue is understood", "[options]") {
  const Options o = parsed(
      "ro,edit=all,name=other.json,folder=my/"
      "place,remove=all,flush_interval=3,nodata,links=split,allow_other,allow_root,"
      "umask=027,uid=12,gid=34,attr_timeout=0.25,entry_timeout=10,kind=torch,scratch_limit=2M,fsname=a,subtype=b,"
      "rank=3,world_size=4,level=1,edits=append,mode=overwrite,history_size=7,create,sweep");
  CHECK(o.view.read_only);
  CHECK(o.view.edit_all);
  CHECK(o.view.metadata_name == "other.json");
  CHECK(o.view.metadata_folder == "my/place");
  CHECK(o.view.remove_all);
  CHECK(o.view.no_data);
  CHECK(o.flush_interval.text() == "3");
  CHECK(o.split_links);
  CHECK(o.allow_other);
  CHECK(o.allow_root);
  CHECK(o.umask == 027u);
  CHECK(o.uid == 12u);
  CHECK(o.gid == 34u);
  CHECK(o.attr_timeout == 0.25);
  CHECK(o.entry_timeout == 10);
  CHECK(o.kind == "torch");
  CHECK(o.scratch_limit == 2u << 20);
  CHECK(o.fsname == "a");
  CHECK(o.view.rank == 3u);
  CHECK(o.view.world_size == 4u);
  CHECK(o.view.level == 1);
  CHECK(o.view.edits_append);
  CHECK(o.view.overwrite);
  CHECK(o.view.history_size == 7u);
  CHECK(o.create);
  CHECK(o.sweep);
  CHECK(o.subtype == "b");
}

TEST_CASE("the defaults are those that --help prints", "[options]") {
  const Options without;
  for (const Option& row : own_options()) {
    if (!row.fallback) continue;
    INFO(row.name);
    Options with;
    row.set(with, row.fallback);
    CHECK(with.view.edit_all == without.view.edit_all);
    CHECK(with.view.remove_all == without.view.remove_all);
    CHECK(with.view.metadata_folder == without.view.metadata_folder);
    CHECK(with.flush_interval.text() == without.flush_interval.text());
    CHECK(with.split_links == without.split_links);
    CHECK(with.scratch_limit == without.scratch_limit);
    CHECK(with.attr_timeout == without.attr_timeout);
    CHECK(with.entry_timeout == without.entry_timeout);
    CHECK(with.subtype == without.subtype);
  }
}

TEST_CASE("the later of two options wins", "[options]") {
  CHECK_FALSE(parsed("ro,rw").view.read_only);
  CHECK(parsed("rw,ro").view.read_only);
  CHECK_FALSE(parsed("nodata,data").view.no_data);
  CHECK_FALSE(parsed("edit=all,edit=documents").view.edit_all);
}

TEST_CASE("what mount(8) and fstab add is accepted", "[options]") {
  const Options o = parsed(
      "defaults,auto,noauto,nofail,user,users,_netdev,dev,suid,nodev,nosuid,x-systemd.automount,"
      "x-gvfs-name=Model,noatime,exec,noexec,,rw");
  CHECK(o.kernel == std::vector<std::string>{"noatime", "exec", "noexec"});
  CHECK_FALSE(o.view.read_only);
}

TEST_CASE("a backslash takes a comma into a value", "[options]") {
  CHECK(parsed("fsname=a\\,b\\\\c,ro").fsname == "a,b\\c");
  CHECK(parsed("fsname=a\\,b,ro").view.read_only);
}

TEST_CASE("an unknown option is refused with the nearest known one", "[options]") {
  require_refusal("edti=all", "-o edti=all: unknown option; the nearest known one is edit=");
  require_refusal("flush-interval=1", "-o flush-interval=1: unknown option; the nearest known one is flush_interval=");
  require_refusal("ro,alow_other", "-o alow_other: unknown option; the nearest known one is allow_other");
  require_refusal("atttr_timeout=1", "-o atttr_timeout=1: unknown option; the nearest known one is attr_timeout=");
}

TEST_CASE("a value that is not one of those expected is refused with them", "[options]") {
  require_refusal("edit=some", "-o edit=some: expected documents or all");
  require_refusal("remove=", "-o remove=: expected metadata or all");
  require_refusal("links=cut", "-o links=cut: expected keep or split");
  require_refusal("kind=onnx", "-o kind=onnx: expected torch, earth2studio, orbax, orbax-steps or collection");
  require_refusal("flush_interval=0", "-o flush_interval=0: expected auto, none, or a number from 1 on");
  require_refusal("flush_interval=often", "-o flush_interval=often: expected auto, none, or a number from 1 on");
  require_refusal("name=a/b", "-o name=a/b: expected a file name");
  require_refusal("folder=../up", "-o folder=../up: expected a folder within the archive");
  require_refusal("folder=/top", "-o folder=/top: expected a folder within the archive");
  require_refusal("level=3", "-o level=3: expected 0, 1 or 2");
  require_refusal("mode=both", "-o mode=both: expected append or overwrite");
  require_refusal("history_size=0", "-o history_size=0: expected a number from 1 on");
  require_refusal("rank=-1", "-o rank=-1: expected the number of a rank");
  require_refusal("world_size=0", "-o world_size=0: expected a number of ranks, from 1 on");
  require_refusal("edits=no", "-o edits=no: expected replace or append");
  require_refusal("umask=8", "-o umask=8: expected three octal digits, such as 022");
  require_refusal("umask=1777", "-o umask=1777: expected three octal digits, such as 022");
  require_refusal("uid=me", "-o uid=me: expected a user's number");
  require_refusal("gid=-1", "-o gid=-1: expected a group's number");
  require_refusal("attr_timeout=1e3", "-o attr_timeout=1e3: expected seconds, such as 1 or 0.5");
  require_refusal("attr_timeout=inf", "-o attr_timeout=inf: expected seconds, such as 1 or 0.5");
  require_refusal("entry_timeout=-1", "-o entry_timeout=-1: expected seconds, such as 1 or 0.5");
  require_refusal("scratch_limit=1X", "-o scratch_limit=1X: expected bytes, such as 1048576, 512M or 1G");
  require_refusal("scratch_limit=99999999999T",
                  "-o scratch_limit=99999999999T: expected bytes, such as 1048576, 512M or 1G");
}

TEST_CASE("a value is wanted where there is one, and only there", "[options]") {
  require_refusal("edit", "-o edit: expected edit=documents|all");
  require_refusal("umask", "-o umask: expected umask=OCTAL");
  require_refusal("ro=1", "-o ro=1: ro takes no value");
  require_refusal("noatime=no", "-o noatime=no: noatime takes no value");
}

TEST_CASE("the nearest text counts a swap, or a cut, as one change", "[options]") {
  CHECK(nearest("abdc", {"abcd", "ab"}) == "abcd");
  CHECK(nearest("", {"abcd", "ab"}) == "ab");
  CHECK(nearest("flush", {"folder", "flush_interval"}) == "flush_interval");
  CHECK(nearest("kidn", {"uid", "kind"}) == "kind");
}

TEST_CASE("every exit status is listed once, ascending", "[options]") {
  int last = -1;
  for (const StatusMeaning& s : all_statuses()) {
    CHECK(static_cast<int>(s.status) == last + 1);
    last = static_cast<int>(s.status);
  }
  CHECK(last == 9);
}

TEST_CASE("help fits a terminal of 100 columns", "[options]") {
  const std::string text = help_text();
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) CHECK(end - at <= 100);
}
