// From draft to commit: when a draft is saved, and what happens to what is refused.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "ckptree/error.hpp"
#include "ckptree/log.hpp"
#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

using Progress = Draft::Progress;

// New values whose makers are remembered; a program moves its temporary at once.
constexpr std::size_t kMade = 256;
// The kernel tells of a last close when its writer is gone already. A child may have inherited what it had open.
constexpr auto kLastClose = std::chrono::seconds(1);
// One value of a document; a larger text is not checked at every write but at close.
constexpr std::uint64_t kCheckedAtWrite = 1 << 20;

std::uint64_t size_of(int fd) {
  struct stat st;
  if (::fstat(fd, &st) != 0) throw_errno("stat a draft");
  return static_cast<std::uint64_t>(st.st_size);
}

/// What an edit needs to become durable.
enum class When {
  now,      // before the call returns
  soon,     // together with its neighbours: settle.cpp
  counted,  // with the N-th save
  told,     // at `flush` or unmount
};

// | flush_interval | a whole document or array | a value, a rename, a removal, a mkdir |
// |----------------|---------------------------|---------------------------------------|
// | auto           | now                       | soon                                  |
// | 1              | now                       | now                                   |
// | N              | counted                   | counted                               |
// | none           | told                      | told                                  |
When when_of(FlushInterval interval, bool whole) {
  switch (interval.kind) {
    case FlushInterval::Kind::automatic: return whole ? When::now : When::soon;
    case FlushInterval::Kind::every: return interval.saves == 1 ? When::now : When::counted;
    case FlushInterval::Kind::none: return When::told;
  }
  return When::now;
}

}  // namespace

void Mount::State::check_value(Draft& draft, std::uint64_t at, Bytes bytes) {
  if (draft.base.saving != Node::Saving::value) return;
  const std::uint64_t size = size_of(draft.file->get());
  if (std::max(size, at + bytes.size()) > kCheckedAtWrite) return;
  std::string text(std::max<std::uint64_t>(size, at + bytes.size()), '\0');
  if (size > 0 && ::pread(draft.file->get(), text.data(), size, 0) != static_cast<ssize_t>(size))
    throw_errno("read a draft");
  text.replace(at, bytes.size(), bytes);
  Spot spot;
  {
    const std::lock_guard<std::mutex> guard(mutex);
    spot = spot_of(inodes.at(draft.ino));
  }
  Op op;
  op.path = spot.path;
  op.content = Recipe::literal(text);
  try {
    ask(spot.view, [&](const Model& m) { return m.apply(op); });
  } catch (const Error& e) {
    if (e.code() == Errc::incomplete) return;  // a list in pieces; close tells
    spot.view->session->reject(spot.path, op.content, e.what());
    throw;
  }
}

void Mount::State::store(const std::shared_ptr<View>& view, const std::vector<Op>& ops, std::uint64_t epoch, bool whole,
                         const ProcessPtr& who) {
  Session& session = *view->session;
  session.check_editable();
  const FlushInterval interval = session.flush_interval();
  const When when = when_of(interval, whole);
  if (when == When::now) {
    session.save(ops, epoch);
    const std::lock_guard<std::mutex> guard(mutex);
    look_at_checkpoint();
    // Asked here: who makes an edit pending says so under the mutex after it.
    view->unsettled = view->unsettled && session.pending_edits() > 0;
    return;
  }
  session.apply(ops, epoch, who);
  bool commit = false;
  {
    const std::lock_guard<std::mutex> guard(mutex);
    if (when == When::counted && ++view->saves >= interval.saves) {
      view->saves = 0;
      commit = true;
    }
  }
  if (commit) session.commit();
  if (when == When::soon) settle_soon(view, who);
}

void Mount::State::save_draft(const std::shared_ptr<Draft>& draft) {
  const std::lock_guard<std::mutex> saving(draft->saving);
  Spot spot;
  Name name;
  std::uint64_t seen = 0;
  std::uint64_t epoch = 0;
  ProcessPtr owner;
  Op op;
  {
    const std::lock_guard<std::mutex> guard(mutex);
    if (draft->progress != Progress::written) return;
    epoch = draft->epoch;
    owner = draft->owner;
    const Inode& inode = inodes.at(draft->ino);
    spot = spot_of(inode);
    name = {inode.parent, inode.name};
    seen = draft->writes;
    struct stat st;
    if (::fstat(draft->file->get(), &st) != 0) throw_errno("stat a draft");
    op.mtime = whole_seconds(draft->mtime.value_or(st.st_mtim));
  }
  Session& session = *spot.view->session;
  op.path = spot.path;
  std::string tag;
  try {
    op.content = scratch.freeze(draft->file->get(), to_string(spot.path));
    tag = op.content.tag;
    const auto now = find(spot);
    const bool same = now && now->kind == Node::Kind::file && now->content.tag == op.content.tag;
    if (!same) store(spot.view, {std::move(op)}, epoch, draft->base.saving == Node::Saving::whole, owner);
  } catch (...) {
    const Failure failure = current_failure();
    session.note_error(spot.path, failure.text);
    const std::lock_guard<std::mutex> guard(mutex);
    if (draft->writes == seen) draft->progress = Progress::refused;
    draft->error = failure.text;
    draft->may_go_on = failure.code == Errc::incomplete;
    throw;
  }
  session.note_error(spot.path, "");
  std::string beginning;  // what was refused of what is whole now
  {
    const std::lock_guard<std::mutex> guard(mutex);
    if (draft->writes == seen) draft->progress = Progress::saved;
    if (draft->is_new && draft->base.saving == Node::Saving::value) {
      if (made.size() >= kMade) made.clear();
      made[name] = draft->owner;
    }
    draft->is_new = false;
    beginning = std::exchange(draft->rejected_as, {});
    draft->saved_as = tag;
    draft->epoch = session.epoch();
    hidden.erase(name);
    Inode& inode = inodes.at(draft->ino);
    if (inode.kind == Inode::Kind::scratch && inode.linked) {
      // The name is the checkpoint's now; the writer keeps its file without one.
      ::unlink(inodes.real_of(inode).c_str());
      inodes.at(name.first).scratch_names.erase(name.second);
      inode.linked = false;
      inodes.unbind(name.first, name.second);
      inode.kind = Inode::Kind::draft;
    }
  }
  if (!beginning.empty()) {
    session.forget_rejected(beginning);
    session.forget_rejected(beginning + kReasonSuffix);
  }
  let_go(spot.view);
}

void Mount::State::close_draft(const std::shared_ptr<Draft>& draft) {
  {
    const std::lock_guard<std::mutex> guard(mutex);
    if (--draft->opens > 0) return;
    draft->idle_since = Clock::now();
    draft->closing = true;
  }
  try {
    save_draft(draft);  // what no flush saw
  } catch (...) {
    current_failure();  // told below, by keeping the bytes
  }
  bool kept = true;
  try {
    keep_refused(*draft);
  } catch (...) {
    log(current_failure().text);
    kept = false;
  }
  const std::lock_guard<std::mutex> guard(mutex);
  draft->closing = false;
  closed.notify_all();
  if (!kept) return;  // it stays, for the end of the mount to try again
  Inode& inode = inodes.at(draft->ino);
  if (inode.draft != draft) return;  // its name was moved meanwhile
  if (inode.kind == Inode::Kind::scratch) {
    // A new name: empty, it stays what it is; refused, its bytes are kept elsewhere and the name goes.
    if (draft->progress != Progress::refused) return;
    const Name name{inode.parent, inode.name};
    ::unlink(inodes.real_of(inode).c_str());
    inodes.at(name.first).scratch_names.erase(name.second);
    inode.linked = false;
    inode.open_file.reset();  // who looked it up before looks again
    inodes.unbind(name.first, name.second);
    drop_draft(draft);
    return;
  }
  const bool lingers =
      draft->progress == Progress::emptied || (draft->progress == Progress::refused && draft->may_go_on);
  const bool awaited = draft->reserved > 0;  // somebody is on the way to it
  if ((!lingers || draft->is_new) && !awaited) drop_draft(draft);
}

void Mount::State::keep_refused(Draft& draft) {
  Spot spot;
  std::string why;
  bool may_go_on = false;
  {
    const std::lock_guard<std::mutex> guard(mutex);
    if (draft.progress != Progress::refused || !draft.rejected_as.empty()) return;
    spot = spot_of(inodes.at(draft.ino));
    why = draft.error;
    may_go_on = draft.may_go_on;
  }
  const std::string place = to_string(spot.path);
  // The next writer may go on with the file itself.
  Recipe bytes = may_go_on ? scratch.freeze(draft.file->get(), place) : Scratch::adopt(draft.file, place);
  std::string name = spot.view->session->reject(spot.path, std::move(bytes), why);
  const std::lock_guard<std::mutex> guard(mutex);
  draft.rejected_as = std::move(name);
}

void Mount::State::await_last_closes(std::unique_lock<std::mutex>& lock) {
  closed.wait_for(lock, kLastClose, [&] {
    for (const auto& [name, list] : drafts)
      for (const auto& d : list)
        if (d->closing || (d->progress == Progress::refused && d->opens > 0 && d->owner->exited())) return false;
    return true;
  });
}

}  // namespace ckptree
