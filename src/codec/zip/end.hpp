#pragma once

#include <string>

#include "ckptree/file.hpp"

namespace ckptree::zip {

/// What the end of an archive says about its directory. Checked: the directory lies in the file, before the records
/// that describe it.
struct End {
  std::uint64_t members = 0;
  std::uint64_t directory = 0, directory_size = 0;  // extent of the file
  bool zip64 = false;                               // there is a zip64 end record
  std::string comment;
  std::string tail;           // the last bytes of the file, which are read for this
  std::uint64_t tail_at = 0;  // where they begin
};

/// @throws Error Errc::not_a_checkpoint when the file does not begin as a zip archive, Errc::corrupt
End read_end(const File& file);

}  // namespace ckptree::zip
