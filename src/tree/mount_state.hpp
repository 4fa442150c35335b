#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "ckptree/error.hpp"
#include "ckptree/mount.hpp"
#include "tree/inode_table.hpp"
#include "tree/lock_table.hpp"
#include "tree/processes.hpp"
#include "tree/scratch.hpp"
#include "tree/tree_removals.hpp"

namespace ckptree {

/// An open file or directory. What it reads is decided by `ino`, for a draft and scratch by `file`.
struct Handle {
  Ino ino = 0;
  std::shared_ptr<Fd> file;      // scratch and drafts
  std::shared_ptr<Draft> draft;  // what a flush may save; under the mutex: a rename makes scratch a draft
  bool is_control = false;
  bool synchronous = false;                       // O_SYNC, O_DSYNC
  bool wrote = false;                             // bytes of the draft; under the mutex
  std::vector<std::shared_ptr<const void>> pins;  // of the files that are read
  Recipe pinned;                                  // where there are pins: what is read, whatever its name shows by now
  struct Listed {
    std::string name;
    std::optional<Node> node;  // of the model or the control directory
    Ino ino = 0;               // of scratch
  };
  Ptr<Model> listed;            // the model whose nodes those are
  std::vector<Listed> entries;  // of a directory, as it was when opened
};

/// A name that one process does not see, because it removed it or moved it away and may put another file in its place.
struct Hidden {
  ProcessPtr who;
  bool removes = false;  // if nothing takes its place, the file goes; else it comes back
  Clock::time_point until{};
};

/// "The next lookup of this name by this thread is for the draft."
struct Reservation {
  Ino draft = 0, parent = 0;
  std::string name;
  Clock::time_point until{};
};

using Name = std::pair<Ino, std::string>;

/// Times are stored in whole seconds; shown before that with more, they would change by being stored.
inline std::timespec whole_seconds(std::timespec t) { return {t.tv_sec, 0}; }

/// Everything a Mount knows, and the steps its operations are made of.
struct Mount::State {
  State(std::shared_ptr<Session> session, MountOptions o);
  ~State();

  // ---- what is where: mount.cpp ---------------------------------------------------------------------------------
  struct Spot {  // a place in a checkpoint
    std::shared_ptr<View> view;
    TreePath path;
  };
  /// Asks the working model; when a file behind it was rewritten in place by another program, the model of what is
  /// there now. Not under the mutex.
  template <class Question>
  auto ask(const std::shared_ptr<View>& view, Question question) {
    try {
      return question(*view->session->working());
    } catch (const Error& e) {
      if (e.code() != Errc::stale) throw;
    }
    if (view->session->refresh(true)) let_go(view);
    return question(*view->session->working());
  }
  std::optional<Node> find(const Spot& spot) {
    return ask(spot.view, [&](const Model& m) { return m.find(spot.path); });
  }
  std::optional<Node> vacant(const Spot& spot) {
    return ask(spot.view, [&](const Model& m) { return m.vacant(spot.path); });
  }
  Spot spot_of(const Inode& inode);                   // under mutex
  Spot spot_of(Ino parent, const std::string& name);  // under mutex
  /// Of a checkpoint within another, at `path` in that one; opens it.
  std::shared_ptr<View> view_at(Ino parent, const TreePath& path, const Node& node);        // under mutex
  Inode& version_of(Ino parent, const std::string& name, const TreePath& path, Node node);  // under mutex
  Inode& scratch_inode(Ino parent, const std::string& name, const std::string& real);       // under mutex
  struct stat stat_of(const Inode& inode);                                                  // under mutex
  Entry entry_of(Inode& inode);                                                    // under mutex; counts no lookup
  void hide(const Name& name, ProcessPtr who, bool removes);                       // under mutex
  bool is_hidden(const Name& name, const Caller& caller);                          // under mutex
  std::shared_ptr<Draft> own_replacement(const Name& name, const Caller& caller);  // under mutex
  bool in_flux(const Name& name);  // under mutex: a draft or a hidden name: ask us every time
  std::shared_ptr<Handle> handle_at(std::uint64_t handle);
  std::shared_ptr<Draft> draft_of(const Handle& handle);      // takes the mutex
  void note_written(Handle& handle);                          // takes the mutex: bytes of its draft, if it has one
  std::uint64_t keep_handle(std::shared_ptr<Handle> handle);  // under mutex
  void refuse_if_read_only(const std::string& name) const;
  void refuse_if_not_editable(Ino ino);  // takes the mutex: of a checkpoint that takes no edit, whose file it is
  std::string lock_key(Ino ino);         // takes the mutex
  void look_at_checkpoint();

  // ---- drafts: drafts.cpp -----------------------------------------------------------------------------------------
  std::shared_ptr<Draft> new_draft(Inode& inode, Node base, ProcessPtr owner, std::shared_ptr<Fd> file,
                                   std::uint64_t epoch);
  std::shared_ptr<Draft> begin_draft(std::unique_lock<std::mutex>& lock, Ino version, bool truncate,
                                     const Caller& caller);
  /// The caller's next lookup of the name is for the draft. Answers the request with "look it up again".
  void reserve(const Draft& draft, const Caller& caller);      // under mutex
  void claim(const Draft& draft, const Caller& caller);        // under mutex: the lookup came
  bool is_reserved(const Draft& draft, const Caller& caller);  // under mutex
  void end_reservation(pid_t thread);                          // under mutex
  void expire_drafts(Clock::time_point now);                   // under mutex
  void drop_draft(std::shared_ptr<Draft> draft);               // under mutex

  // ---- from draft to commit: saving.cpp ---------------------------------------------------------------------------
  void check_value(Draft& draft, std::uint64_t at, Bytes bytes);
  void save_draft(const std::shared_ptr<Draft>& draft);
  void close_draft(const std::shared_ptr<Draft>& draft);
  void keep_refused(Draft& draft);  // of a draft that is being closed: its bytes go to rejected/
  /// Waits until what processes that are gone were refused is in rejected/.
  void await_last_closes(std::unique_lock<std::mutex>& lock);
  /// Stores an edit as the flush interval says: the one place where semantics.md sections 1 and 2 are decided.
  void store(const std::shared_ptr<View>& view, const std::vector<Op>& ops, std::uint64_t epoch, bool whole,
             const ProcessPtr& who);

  // ---- names: names.cpp ------------------------------------------------------------------------------------------
  struct Found;
  Found look(std::unique_lock<std::mutex>& lock, Ino parent, const std::string& name, const Caller& caller);
  std::string real_for(const Found& f);
  void refuse_new_name(const Found& f) const;
  Inode& place_scratch(Ino parent, const std::string& name, const std::string& real);
  void forget_scratch_name(Ino parent, const std::string& name);
  void settle_scratch_name(Inode& inode, const Found& to, const std::string& real);
  void settle_replaced(const Name& name);  // takes the mutex
  void adopt_owner(const std::string& real, const Caller& caller);
  mode_t mode_of_copies() const { return checkpoint.st_mode & 0666; }  // under mutex
  void copy_out(const Node& node, const std::string& real, mode_t mode);
  void store_link(std::unique_lock<std::mutex>& lock, const std::string& target, const Found& to, const Caller& caller);
  void store_scratch(std::unique_lock<std::mutex>& lock, const std::string& real, const Found& to, Node::Saving saving,
                     const Caller& caller);
  void remove_stored(const Spot& spot, const Node& node, const ProcessPtr& who);
  /// Runs a removal. Where it is refused, so is all of the tree that its process is removing: what that removed before
  /// and is not committed comes back.
  void remove_or_keep(const Spot& spot, const ProcessPtr& who, const std::function<void()>& remove);
  void go_on_as_draft(Inode& moved, const Found& from, const Found& to, Node stored, const Caller& caller);
  void rename_scratch(const Found& from, const Found& to, unsigned flags);
  void rename_scratch_onto(std::unique_lock<std::mutex>& lock, const Found& from, const Found& to, bool exchange,
                           const Caller& caller);
  void write_over(const Found& from, const Found& to, const ProcessPtr& who);  // takes the mutex
  void rename_stored(std::unique_lock<std::mutex>& lock, const Found& from, const Found& to, bool exchange,
                     const Caller& caller);
  void rename_away(std::unique_lock<std::mutex>& lock, const Found& from, const Found& to, const Caller& caller);

  // ---- after an edit, and without a request: settle.cpp -------------------------------------------------------------
  void let_go(
      const std::shared_ptr<View>& view);  // of files of older generations, where the same bytes are in the new one
  void take_report_descriptor(Bytes number, const Caller& caller);
  void settle_soon(const std::shared_ptr<View>& view, const ProcessPtr& who);
  void settle_hidden(const std::function<bool(const Name&, const Hidden&)>& which);
  void run_settler();
  void wake();

  const MountOptions options;
  std::shared_ptr<Session> top;
  Processes processes;
  Scratch scratch;
  LockTable locks;

  // Guards everything below. Held for memory work and for system calls on scratch files that do not wait; never while a
  // model is asked or a checkpoint committed. Order: Draft::saving, mutex, then the locks of Session and Processes.
  std::mutex mutex;
  std::condition_variable closed;  // a draft by its last writer
  InodeTable inodes;
  std::unordered_map<std::uint64_t, std::shared_ptr<Handle>> handles;
  std::uint64_t next_handle = 1;
  std::unordered_map<pid_t, Reservation> wanted;
  std::map<Name, Hidden> hidden;
  TreeRemovals tree_removals;
  std::map<Name, std::vector<std::shared_ptr<Draft>>> drafts;
  std::map<Name, ProcessPtr> made;  // new values, and who made them
  std::vector<std::shared_ptr<View>> views;
  struct stat checkpoint {};  // its mode and owner are those of the files shown
  Fd report;
  bool stopping = false;

  Fd wake_up;
  std::thread settler;
};

/// What stands under a name, as its caller sees it.
struct Mount::State::Found {
  Ino parent = 0;
  std::string name;
  Spot spot;
  bool in_scratch_dir = false;
  Inode* scratch = nullptr;  // valid while the mutex is held
  std::string real;          // of scratch, or where it would be in a scratch directory
  std::optional<Node> node;  // of the model
  bool hidden = false;       // from the caller
  bool in_control = false;

  bool nothing() const { return !scratch && !node && !(in_scratch_dir && exists_really()); }
  bool exists_really() const;
};

}  // namespace ckptree
