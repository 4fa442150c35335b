#pragma once

#include <memory>

#include "ckptree/disk.hpp"
#include "ckptree/format.hpp"
#include "ckptree/session.hpp"

namespace ckptree {

struct StoreOptions {
  ViewOptions view;
  bool split_links = false;  // -o links=split: a checkpoint with several hard links may be replaced
};

/// A checkpoint of one Format on one Disk. `source`'s path is the checkpoint with symbolic links resolved, so that a
/// link that leads to it is kept. `format` and `disk` outlive the store.
std::shared_ptr<Checkpoint> make_store(const Format& format, const std::string& path, Disk& disk, StoreOptions options);

}  // namespace ckptree
