#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ckptree/file.hpp"
#include "ckptree/model.hpp"
#include "ckptree/plan.hpp"

namespace ckptree {

/// One immutable generation of a checkpoint. Readers hold a pointer to it; a commit swaps the pointer.
struct Snapshot {
  std::uint64_t generation = 0;
  Ptr<Model> model;
  Fingerprint seen;     // what the Source looked like when it was read
  std::string problem;  // of the commit that made it: it is in place, and may not survive a power loss; else empty
};

/// A checkpoint that can be opened and committed to: a Format on a Disk. Session is built on it, so that the tree knows
/// neither formats nor disks.
struct Checkpoint {
  virtual ~Checkpoint() = default;
  virtual std::string kind() const = 0;
  virtual std::string path() const = 0;  // absolute
  /// The file whose replacement is the commit point, absolute: temporaries lie beside it.
  virtual std::string target() const { return path(); }
  virtual std::string layout(const Model& model) const = 0;
  virtual std::string strategy() const = 0;  // "clone (reflink)", "clone (copy)", "read-only"
  virtual Snapshot open() const = 0;
  /// Asked before an edit is taken, so that its maker is told at once.
  /// @throws Error when no edit of `base` could be committed as things stand: read-only, no permission, several links
  virtual void check_editable(const Snapshot&) const {}
  /// What the Source looks like now. @throws std::system_error when it is gone
  virtual Fingerprint look() const = 0;
  /// Makes `edited` durable, all or nothing, and opens the result. When nothing differs the answer is `base` itself.
  /// @throws Error Errc::stale when the Source is no longer what `base` saw; nothing was written then
  virtual Snapshot commit(const Snapshot& base, const Model& edited, const Stamp& stamp) = 0;
  /// Removes what commits left behind and nothing leads to any more. @return how many
  virtual std::size_t sweep(const Snapshot&) { return 0; }
};

/// When edits become durable (semantics.md section 2): `auto`, `none`, or after that many saves.
struct FlushInterval {
  enum class Kind { automatic, every, none };
  Kind kind = Kind::automatic;
  std::uint64_t saves = 1;  // every: 1 and more

  /// @throws Error Errc::invalid naming what was expected
  static FlushInterval parse(const std::string& text);
  std::string text() const;
};

/// Bytes that are kept although they are not in the checkpoint: refused edits, and what was removed.
struct Kept {
  std::string name;  // in rejected/ or removed/: a number and the path, "0003-metadata.json"
  TreePath path;     // where they were meant to go, or were
  Recipe content;
  std::string reason;  // the sentence; empty in removed/, and once it was removed
  std::timespec time{};
  bool dropped = false;  // the bytes were removed by the user, their reason was not
};

constexpr const char* kReasonSuffix = ".reason";

/// One checkpoint being viewed and edited: the committed generation, a log of pending edits and the working Model they
/// give, rejected bytes. Safe to use from several threads; readers of `working()` never wait for a commit.
class Session {
 public:
  /// How many commits the edits become.
  enum class Commits {
    many,  // as the flush interval says; when the checkpoint changes outside they are made again on top of it
    one,   // or none: when it changes outside, when one edit was refused, and after discard()
  };

  explicit Session(std::shared_ptr<Checkpoint> checkpoint, FlushInterval interval = {},
                   Commits commits = Commits::many);

  Ptr<Snapshot> committed() const;
  /// The committed model with the pending edits on it: what the mount shows.
  Ptr<Model> working() const;

  /// Changes made outside that this session has noticed; a writer remembers the count when it begins.
  std::uint64_t epoch() const;

  /// @see Checkpoint::check_editable
  void check_editable() const { checkpoint_->check_editable(*committed()); }
  /// Makes the edits pending: visible in `working()` at once, durable at the next commit; all of them or none.
  /// @param epoch  when the writer began; an edit of something that changed outside since then is Errc::stale
  /// @param editor  the process that makes them; when it removes the last one of what cannot all go (`rm tensors/*`),
  ///                what it removed there before and is not committed comes back
  /// @throws Error of Model::apply
  void apply(const std::vector<Op>& ops, std::uint64_t epoch, const std::shared_ptr<const void>& editor = nullptr);
  /// Takes back what an editor removed below a directory, as far as it is not committed: `rm -r` of a directory is one
  /// wish, and so is `rm tensors/*`; refused at its end it is refused altogether.
  void take_back_removals(const TreePath& below, const std::shared_ptr<const void>& editor);
  /// Makes the edits, and everything pending, durable before it returns; visible only then. On failure these edits are
  /// as if never made, and what was pending stays pending.
  void save(const std::vector<Op>& ops, std::uint64_t epoch);
  /// Commits what is pending. On failure the edits are taken back and kept in rejected/, the reason in last_error.
  /// @throws Error Errc::stale also when only some of them were in conflict with a change made outside; the others are
  ///         committed. Errc::io when they are in place, but not certain to survive a power loss
  void commit();
  /// Drops what is pending; where all is to be one commit, also what comes later.
  void discard();
  bool is_one_commit() const noexcept { return commits_wanted_ == Commits::one; }
  /// @see Checkpoint::sweep
  std::size_t sweep();
  /// Looks whether the checkpoint changed outside; if so opens it anew and makes pending edits again on top, those in
  /// conflict to rejected/. @return whether the working model may differ from before
  /// @param wait  for a commit under way; else that one is left to look for itself
  bool refresh(bool wait = false);

  // Checkpoints within this one (a step of a directory of steps, one of a collection): nested.cpp. Each commits on its
  // own; here they are reached together.

  /// Takes in a checkpoint that was opened at `place` in this one; it goes on with this one's flush interval.
  void contain(const TreePath& place, const std::shared_ptr<Session>& nested);
  /// Where it stands in the checkpoint at the top, such as steps/10; empty for that one itself.
  TreePath within() const;
  /// The sentence about a place in this checkpoint, with the place as it is called from the top.
  std::string from_top(const std::string& sentence) const;
  /// commit(), here and in every checkpoint within: each is tried, whatever the others do.
  /// @throws  the first of their failures
  void commit_all();
  void discard_all();
  void set_flush_interval_of_all(FlushInterval interval);

  std::uint64_t pending_edits() const;
  /// A change a line; those of checkpoints within too.
  std::vector<std::string> pending_lines() const;

  FlushInterval flush_interval() const;
  void set_flush_interval(FlushInterval interval);

  /// Keeps the bytes of a refused edit. @return its name below rejected/
  std::string reject(const TreePath& path, Recipe content, const std::string& reason);
  /// Drops the bytes, or with `name` plus kReasonSuffix the reason; both are files of rejected/, removed one by one.
  void forget_rejected(const std::string& name);
  /// An edit was refused and its maker told: where all is to be one commit, none of it is made.
  void note_refused(const TreePath& path, const std::string& reason);
  /// Takes back what waits for a document that never came, and keeps its bytes.
  void reject_waiting(const std::string& reason);
  /// Refused edits; those whose bytes were dropped included.
  std::vector<Kept> rejected() const;
  void keep_removed(const TreePath& path, Recipe content);
  std::vector<Kept> removed() const;

  /// The sentence behind the last errno; for one path, or of the session.
  void note_error(const TreePath& path, const std::string& sentence);
  std::string last_error() const;
  /// The latest of this checkpoint and those within it.
  std::string last_error_of_all() const;
  std::string error_of(const TreePath& path) const;  // empty: none

  /// Commits, pending and refused edits are counted with those of checkpoints within.
  std::string status_json() const;
  std::string kind() const { return checkpoint_->kind(); }
  std::string path() const { return checkpoint_->path(); }
  std::string target() const { return checkpoint_->target(); }  ///< @see Checkpoint::target

 private:
  struct Logged {
    Op op;
    std::uint64_t epoch;
    std::shared_ptr<const void> editor;  // null: nobody is asked for
  };
  struct Change {  // one made outside: the models before and after, to tell what it touched
    std::uint64_t epoch;
    Ptr<Model> before, after;
    std::chrono::steady_clock::time_point noticed;
  };

  struct Made {  // an edit that was committed, to notice when another program undoes it
    Op op;
    std::string before, after;  // Model::identity; empty: it is gone
    bool survived = false;      // a change made outside: whoever made it knows of the edit
  };

  /// What an edit is made on, so that it can be made without holding a lock.
  struct Ground {
    Ptr<Snapshot> committed;
    Ptr<Model> working;
    std::size_t logged = 0;
    std::uint64_t epoch = 0;
    std::deque<Change> outside;
  };
  Ground ground() const;
  /// The working model after edits. @throws Error Errc::stale when what one touches changed outside since `epoch`
  static Ptr<Model> apply_to(const Ground& ground, const std::vector<Op>& ops, std::uint64_t epoch);
  static void refuse_if_stale(const Ground& ground, const Op& op, std::uint64_t epoch);
  bool refresh_locked();  // under commit_
  /// Of edits that are to be one commit, drops all when some cannot be in it. @throws Error Errc::rejected then
  void refuse_a_part();
  /// Under commit_. @return Snapshot::problem
  std::string commit_locked(const std::vector<Op>& extra, std::uint64_t epoch);
  /// @return the name it got
  std::string keep(std::map<std::string, Kept>& where, const TreePath& path, Recipe content,
                   const std::string& reason);                                         // under state_
  void remember(const std::vector<Op>& ops, const Model& before, const Model& after);  // under state_
  std::vector<Logged> take_undone(const Model& now);                                   // under state_
  void publish(Snapshot fresh, std::vector<Logged> rest);                              // under state_
  void reject_all(const std::vector<Logged>& edits, const std::string& reason);        // without state_

  using Nested = std::vector<std::pair<TreePath, std::shared_ptr<Session>>>;
  Nested nested() const;
  struct Counts {
    std::uint64_t commits = 0, pending = 0, waiting = 0, rejected = 0;
    bool committing = false;
  };
  Counts counts() const;  // those of checkpoints within too
  void add_own_lines(const std::string& prefix, std::vector<std::string>& lines) const;
  void add_pending_lines(const std::string& prefix, std::vector<std::string>& lines) const;
  /// A sentence, and its number among all that were told.
  using Told = std::pair<std::uint64_t, std::string>;
  Told latest() const;
  void tell(const std::string& sentence);  // under state_

  const std::shared_ptr<Checkpoint> checkpoint_;
  const Commits commits_wanted_;

  // Lock order: commit_, then state_. commit_ is held over disk work by whoever commits or opens anew, and by nobody
  // who answers a reader. state_ guards everything below and is held for memory work only.
  mutable std::mutex commit_;
  std::uint64_t conflicts_ = 0;  // under commit_: edits that changes made outside took back
  mutable std::mutex state_;
  Ptr<Snapshot> committed_;
  Ptr<Model> working_;
  std::vector<Logged> log_;
  std::uint64_t epoch_ = 0;
  std::deque<Change> outside_;
  std::deque<Made> made_;
  FlushInterval interval_;
  std::uint64_t commits_ = 0;
  std::uint64_t kept_ = 0;
  std::map<std::string, Kept> rejected_, removed_;
  bool discarded_ = false;
  Told last_error_;
  std::map<TreePath, std::string> errors_;
  bool committing_ = false;
  TreePath within_;
  Nested nested_;
};

}  // namespace ckptree
