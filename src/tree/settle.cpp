// What happens without a request: edits settle into commits, hidden names are removed or come back, changes made
// outside are noticed.

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "ckptree/error.hpp"
#include "ckptree/log.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

using std::chrono::milliseconds;

// Small edits are committed together: after this much quiet, ...
constexpr auto kQuiet = milliseconds(200);
// ... at most this long after the first, ...
constexpr auto kAtMost = milliseconds(1000);
// ... or when the processes that made them have exited; a shell loop starts its next one within this time.
constexpr auto kNextOfLoop = milliseconds(20);
// A change made outside is to be seen within a second, the kernel's timeouts included.
constexpr auto kLook = milliseconds(250);

}  // namespace

void Mount::State::let_go(const std::shared_ptr<View>& view) {
  const Ptr<Model> model = view->session->working();
  struct Known {
    Ino ino;
    TreePath path;
    std::string tag;
  };
  std::vector<Known> known;
  {
    const std::lock_guard<std::mutex> guard(mutex);
    look_at_checkpoint();
    for (auto& [ino, inode] : inodes.all()) {
      if (inode.kind != Inode::Kind::model || inode.node.kind != Node::Kind::file) continue;
      if (inode.pins == 0 && inode.lookups == 0) continue;
      const auto& pieces = inode.node.content.pieces;
      // A file that is opened for each read holds nothing.
      const bool holds = std::any_of(pieces.begin(), pieces.end(), [](const Recipe::Piece& p) {
        const auto* extent = std::get_if<std::pair<Ptr<File>, std::uint64_t>>(&p.from);
        return extent ? extent->first->descriptor() >= 0 : std::holds_alternative<Ptr<Computed>>(p.from);
      });
      if (holds && inodes.view_of(inode) == view) known.push_back({ino, inodes.path_of(inode), inode.node.content.tag});
    }
  }
  for (Known& k : known) {
    std::optional<Node> now;
    try {
      now = model->find(k.path);
    } catch (...) {
      continue;  // damaged or not readable now: who reads it is told
    }
    if (!now || now->kind != Node::Kind::file || now->content.tag != k.tag) continue;
    const std::lock_guard<std::mutex> guard(mutex);
    Inode* inode = inodes.find(k.ino);
    if (inode && inode->node.content.tag == k.tag) inode->node = std::move(*now);
  }
}

void Mount::State::wake() {
  const std::uint64_t one = 1;
  if (::write(wake_up.get(), &one, sizeof one) < 0) return;  // full: it is awake
}

void Mount::State::settle_soon(const std::shared_ptr<View>& view, const ProcessPtr& who) {
  {
    const std::lock_guard<std::mutex> guard(mutex);
    const auto now = Clock::now();
    if (!view->unsettled) {
      view->first_edit = now;
      view->editors.clear();
    }
    view->unsettled = true;
    view->last_edit = now;
    if (std::find(view->editors.begin(), view->editors.end(), who) == view->editors.end()) view->editors.push_back(who);
  }
  wake();
}

void Mount::State::settle_hidden(const std::function<bool(const Name&, const Hidden&)>& which) {
  struct Gone {
    Name name;
    Hidden hidden;
    Spot spot;
  };
  std::vector<Gone> settled;
  {
    const std::lock_guard<std::mutex> guard(mutex);
    for (auto it = hidden.begin(); it != hidden.end();) {
      // What was written and refused before the removal replaces nothing.
      const auto written = drafts.find(it->first);
      const bool begun = written != drafts.end() && std::any_of(written->second.begin(), written->second.end(),
                                                                [](const auto& draft) { return draft->is_new; });
      const bool replaced_soon = begun && !it->second.who->exited();
      if (!inodes.find(it->first.first)) {  // its directory is gone, and so is it
        it = hidden.erase(it);
        continue;
      }
      if (!which(it->first, it->second) || replaced_soon) {
        if (replaced_soon)
          it->second.until = std::max(it->second.until, Clock::now() + kQuiet);  // looked at again then
        ++it;
        continue;
      }
      // A replacement that its writer began and never filled is none; but the old file stays then: nothing is lost.
      Gone gone{it->first, it->second, spot_of(it->first.first, it->first.second)};
      if (begun) gone.hidden.removes = false;
      settled.push_back(std::move(gone));
      it = hidden.erase(it);
    }
  }
  for (const Gone& gone : settled) {
    if (!gone.hidden.removes) continue;
    try {
      const auto node = find(gone.spot);
      if (!node) continue;
      remove_stored(gone.spot, *node, gone.hidden.who);
    } catch (...) {
      gone.spot.view->session->note_error(gone.spot.path, current_failure().text);
      log(gone.spot.view->session->from_top(current_failure().text));
    }
  }
}

void Mount::State::run_settler() {
  auto next_look = Clock::now() + kLook;
  std::unique_lock<std::mutex> lock(mutex);
  while (!stopping) {
    // Sleep until the next deadline, a wake-up, or the exit of a process somebody waits for.
    auto until = next_look;
    std::vector<ProcessPtr> waited;
    std::vector<pollfd> polled{{wake_up.get(), POLLIN, 0}};
    for (const auto& [name, h] : hidden) {
      until = std::min(until, h.until);
      waited.push_back(h.who);
    }
    for (const auto& view : views) {
      if (!view->unsettled) continue;
      until = std::min({until, view->last_edit + kQuiet, view->first_edit + kAtMost});
      const bool alone =
          std::all_of(view->editors.begin(), view->editors.end(), [](const ProcessPtr& p) { return p->exited(); });
      if (alone) until = std::min(until, view->last_edit + kNextOfLoop);
      else
        for (const auto& p : view->editors)
          if (!p->exited()) waited.push_back(p);
    }
    for (const ProcessPtr& p : waited)
      if (p->descriptor() >= 0) polled.push_back({p->descriptor(), POLLIN, 0});
    lock.unlock();
    const auto wait = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
    ::poll(polled.data(), polled.size(), static_cast<int>(std::max<std::int64_t>(0, wait + 1)));
    std::uint64_t ignored;
    if (::read(wake_up.get(), &ignored, sizeof ignored) < 0) ignored = 0;

    settle_hidden([](const Name&, const Hidden& h) { return h.who->exited() || Clock::now() >= h.until; });
    std::vector<std::shared_ptr<View>> due;
    lock.lock();
    const auto now = Clock::now();
    for (const auto& view : views) {
      if (!view->unsettled) continue;
      const bool alone =
          std::all_of(view->editors.begin(), view->editors.end(), [](const ProcessPtr& p) { return p->exited(); });
      if (now >= view->last_edit + kQuiet || now >= view->first_edit + kAtMost ||
          (alone && now >= view->last_edit + kNextOfLoop)) {
        view->unsettled = false;
        due.push_back(view);
      }
    }
    expire_drafts(now);
    const bool look = now >= next_look;
    const auto all = views;
    lock.unlock();

    for (const auto& view : due) {
      try {
        view->session->commit();
      } catch (...) {
        log(view->session->from_top(current_failure().text));
      }
      let_go(view);
    }
    if (look) {
      next_look = Clock::now() + kLook;
      for (const auto& view : all) {
        try {
          if (view->session->refresh()) let_go(view);
        } catch (...) {
          // A step that its run deletes is no failure where nothing was edited; and once told is enough.
          const Failure failure = current_failure();
          const bool harmless = failure.code == Errc::not_found && view->session->pending_edits() == 0;
          if (!harmless && view->session->last_error() != failure.text) view->session->note_error({}, failure.text);
        }
      }
    }
    lock.lock();
  }
}

}  // namespace ckptree
