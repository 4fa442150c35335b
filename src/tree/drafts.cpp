// Drafts: who writes into which, and how long one waits for its next writer.

#include <algorithm>
#include <utility>
#include <vector>

#include "tree/mount_state.hpp"

namespace ckptree {
namespace {

using Progress = Draft::Progress;

// A draft nobody has open stays for the next writer if it was only emptied (`: > F; cat >> F`) or refused
// (`>> F` in pieces); after this time the next writer begins anew.
constexpr auto kLinger = std::chrono::seconds(10);
// A thread that was told to look a name up again does so at once; this only bounds what a killed one leaves.
constexpr auto kReserved = std::chrono::seconds(5);

}  // namespace

std::shared_ptr<Draft> Mount::State::new_draft(Inode& inode, Node base, ProcessPtr owner, std::shared_ptr<Fd> file,
                                               std::uint64_t epoch) {
  auto draft = std::make_shared<Draft>();
  draft->ino = inode.ino;
  draft->owner = std::move(owner);
  draft->file = std::move(file);
  draft->base = std::move(base);
  draft->epoch = epoch;
  draft->idle_since = Clock::now();
  inode.draft = draft;
  inodes.pin(inode.ino);
  drafts[{inode.parent, inode.name}].push_back(draft);
  return draft;
}

// By value: the caller may hand over the very pointer that is reset here.
void Mount::State::drop_draft(std::shared_ptr<Draft> draft) {
  Inode* inode = inodes.find(draft->ino);
  if (!inode || inode->draft != draft) return;
  for (auto it = drafts.begin(); it != drafts.end();) {
    auto& list = it->second;
    list.erase(std::remove(list.begin(), list.end(), draft), list.end());
    it = list.empty() ? drafts.erase(it) : std::next(it);
  }
  inode->draft.reset();
  if (inode->kind == Inode::Kind::draft) {
    inode->node = draft->base;
  }
  inodes.unpin(draft->ino);
}

std::shared_ptr<Draft> Mount::State::begin_draft(std::unique_lock<std::mutex>& lock, Ino version, bool truncate,
                                                 const Caller& caller) {
  const Inode& shown = inodes.at(version);
  const Name name{shown.parent, shown.name};
  const ProcessPtr who = processes.of(caller.thread);
  if (!truncate) {
    auto& candidates = drafts[name];
    std::shared_ptr<Draft> joined;
    for (const auto& d : candidates) {
      // One that was saved is as good as the document, until somebody else saves another.
      const bool outdated = d->progress == Progress::saved && d->saved_as != shown.node.content.tag;
      if (d->owner == who && d->opens > 0 && !outdated) joined = d;
    }
    if (!joined)
      for (const auto& d : candidates)
        if (d->opens == 0 && (d->progress == Progress::emptied || d->progress == Progress::refused) &&
            d->base.content.tag == shown.node.content.tag)  // nobody saved another since it was begun
          joined = d;
    if (candidates.empty()) drafts.erase(name);
    if (joined) {
      joined->owner = who;
      return joined;
    }
  }
  Node base = shown.node;
  const std::uint64_t number = shown.shown_ino;
  const auto view = inodes.view_of(shown);
  const std::string place = to_string(inodes.path_of(shown));
  lock.unlock();
  const std::uint64_t epoch = view->session->epoch();
  auto file = scratch.private_file();
  if (!truncate) {
    std::vector<char> buffer(1 << 17);
    for (std::uint64_t at = 0;;) {
      const std::size_t n = base.content.read(at, Buffer(buffer.data(), buffer.size()));
      if (n == 0) break;
      scratch.write(file->get(), at, Bytes(buffer.data(), n), place);
      at += n;
    }
  }
  lock.lock();
  Inode& inode = inodes.add(Inode::Kind::draft, name.first, name.second);
  inode.shown_ino = number;
  const auto draft = new_draft(inode, std::move(base), who, std::move(file), epoch);
  // Not yet written: shows the time of what it was copied from, so that an editor sees no change.
  if (!truncate) draft->mtime = draft->base.mtime;
  return draft;
}

void Mount::State::reserve(const Draft& draft, const Caller& caller) {
  const Inode& inode = inodes.at(draft.ino);
  end_reservation(caller.thread);
  wanted[caller.thread] = {draft.ino, inode.parent, inode.name, Clock::now() + kReserved};
  ++inode.draft->reserved;
  inodes.pin(draft.ino);
}

void Mount::State::end_reservation(pid_t thread) {
  const auto want = wanted.find(thread);
  if (want == wanted.end()) return;
  const Ino ino = want->second.draft;
  wanted.erase(want);
  if (const auto draft = inodes.at(ino).draft) --draft->reserved;
  inodes.unpin(ino);
}

bool Mount::State::is_reserved(const Draft& draft, const Caller& caller) {
  const auto want = wanted.find(caller.thread);
  return want != wanted.end() && want->second.draft == draft.ino;
}

void Mount::State::claim(const Draft& draft, const Caller& caller) {
  if (is_reserved(draft, caller)) end_reservation(caller.thread);
}

void Mount::State::expire_drafts(Clock::time_point now) {
  std::vector<pid_t> late;
  for (const auto& [thread, want] : wanted)
    if (now >= want.until) late.push_back(thread);
  for (const pid_t thread : late) end_reservation(thread);
  std::vector<std::shared_ptr<Draft>> idle;
  for (const auto& [name, list] : drafts)
    for (const auto& d : list) {
      const Inode* inode = inodes.find(d->ino);
      const bool not_kept = d->progress == Progress::refused && d->rejected_as.empty();
      if (d->opens == 0 && d->reserved == 0 && !not_kept && now >= d->idle_since + kLinger && inode &&
          inode->kind == Inode::Kind::draft)
        idle.push_back(d);
    }
  for (const auto& d : idle) drop_draft(d);
}

}  // namespace ckptree
