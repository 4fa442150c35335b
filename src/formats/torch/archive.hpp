#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ckptree/format.hpp"
#include "codec/zip/rewrite.hpp"
#include "formats/lazy.hpp"

namespace ckptree::torch {

/// Sorts paths so that whatever is below one follows it at once: '/' comes before every other byte.
struct PathOrder {
  bool operator()(const std::string& one, const std::string& two) const noexcept;
};

/// Names of the archive that can be paths, in order, and sentences about those that cannot.
struct RawNames {
  /// The last member of each name, as Python reads it; null: a directory.
  std::map<std::string, const zip::Member*, PathOrder> members;
  std::vector<std::string> warnings;
};

/// A zip that torch.save wrote, and where anemoi's metadata is in it. Immutable.
class Archive {
 public:
  /// Reads the directory of the zip and nothing else.
  /// @throws Error one sentence by content: Errc::unsupported, Errc::corrupt, Errc::not_a_checkpoint; Errc::invalid for
  ///         options that are no names
  Archive(const Source& source, const ViewOptions& options);

  const zip::Directory& zip() const noexcept { return *directory_; }
  /// For errors.
  const std::string& name() const noexcept { return zip().file()->name(); }
  std::timespec mtime() const;
  /// How members are laid out.
  const zip::Rules& rules() const noexcept { return rules_; }

  /// The directory that torch.save wrote its members into, "archive".
  const std::string& root() const noexcept { return root_; }
  /// data.pkl.
  const zip::Member& pickle_member() const { return *zip().find(root_ + "/data.pkl"); }
  /// Its content. Where the directory has a CRC, all of it is read and compared first.
  /// @throws Error Errc::corrupt when the bytes are not those of the CRC; as zip::Directory::content
  Recipe pickle_content() const;

  /// Whether storages have the byte order of a big-endian machine.
  /// @throws Error Errc::corrupt when the record of it says neither
  bool is_big_endian() const;

  /// Names of the metadata members, in directory order: those whose last part is the name looked for.
  const std::vector<std::string>& metadata() const noexcept { return metadata_; }
  /// Where new metadata goes, "archive/anemoi-metadata".
  /// @throws Error Errc::ambiguous unless there is one top directory
  std::string new_folder() const;
  const std::string& new_name() const noexcept { return new_name_; }

  /// Whether a member stands in the way of a new one: torch looks names up without case.
  bool has_but_for_case(const std::string& name) const;

  /// @throws Error Errc::corrupt when the CRC of the content is not the member's
  void check(const zip::Member& member, const Recipe& content) const;

  const RawNames& raw() const;
  std::vector<std::string> warnings() const;

 private:
  void find_root();
  void find_metadata(const ViewOptions& options);
  void read_alignment();
  bool has(const std::string& record) const { return zip().find(root_ + "/" + record) != nullptr; }

  std::shared_ptr<const zip::Directory> directory_;
  std::string root_;               // of data.pkl
  std::vector<std::string> tops_;  // first parts of all names; "" for a member at the top
  std::vector<std::string> metadata_;
  bool old_name_ = false;
  std::string folder_, new_name_;
  zip::Rules rules_;
  Lazy<RawNames> raw_;
  Lazy<bool> big_endian_;
  mutable std::mutex checking_;  // guards what follows, held while a member is read
  mutable std::set<const zip::Member*> checked_;
  Lazy<std::vector<std::string>> lower_case_;  // sorted
};

/// Whether a file is one of torch's, also one that Archive refuses with a sentence about torch.
bool is_of_torch(const Source& source);

/// The content of a member. Reading it fails with Errc::corrupt when the bytes are not those of its CRC; of a member
/// over 64 MiB that is not looked at. @throws Error as zip::Directory::content
Recipe checked_content(const Ptr<Archive>& archive, const zip::Member& member);
/// The tag that the bytes will have as a member. Reads all of them, through a small buffer.
std::string member_tag(const Recipe& content);
/// Whether all bytes are equal.
bool same_bytes(const Recipe& one, const Recipe& two);

}  // namespace ckptree::torch
