#include "codec/zip/layout.hpp"

#include <algorithm>

#include "ckptree/error.hpp"

namespace ckptree::zip {
namespace {

constexpr std::uint64_t kNoEnd = UINT64_MAX;

/// Dead bytes behind the last fixed member that are left alone: closing ranks costs writing all that is alive there.
/// Below 64 KiB nobody minds them; above, half of what is alive keeps the cost of an edit in proportion to its size.
std::uint64_t bearable(std::uint64_t alive) { return std::max<std::uint64_t>(64 << 10, alive / 2); }

/// Free bytes, [begin, end).
struct Space {
  std::uint64_t begin, end;
};

class Layout {
 public:
  Layout(const Directory& directory, std::vector<Item>& items, std::vector<const Member*> freed, const Rules& rules)
      : directory_(directory), items_(items), freed_(std::move(freed)), rules_(rules) {
    for (Item& i : items_) {
      if (i.member) physical_.push_back(&i);
      if (i.member && i.content) freed_.push_back(i.member);
    }
    std::sort(physical_.begin(), physical_.end(),
              [](const Item* a, const Item* b) { return a->member->header < b->member->header; });
    std::sort(freed_.begin(), freed_.end(), [](const Member* a, const Member* b) { return a->header < b->header; });
  }

  /// Places every item. Old members from `floor` on close ranks, in the order in which they are in the file.
  void place(std::uint64_t floor) {
    std::uint64_t least = kNoEnd;  // bytes of the smallest item that a space between others is looked for
    for (std::size_t n = 0; n < physical_.size(); ++n) {
      const Item& i = *physical_[n];
      if (i.content && i.member->header < floor && !fits_at_home(n, floor))
        least = std::min(least, kLocalSize + i.record.name.size() + i.record.size);
    }
    find_spaces(floor, least);
    std::vector<Item*> floating, homeless;
    for (std::size_t n = 0; n < physical_.size(); ++n) {
      Item& i = *physical_[n];
      if (goes_back(i)) continue;
      if (i.member->header >= floor) floating.push_back(&i);
      else if (!i.content) i.at = i.member->header;
      else if (!fits_at_home(n, floor) || !take_home(i)) homeless.push_back(&i);
    }
    for (Item* i : floating) put_last(*i);
    for (Item* i : homeless) put_first(*i);
    for (Item& i : items_)
      if (!i.member) put_last(i);
  }

  std::uint64_t end() const { return spaces_.back().begin; }

  /// End of the last fixed member, and whether too little behind it is alive.
  bool wasteful(std::uint64_t& floor) const {
    const Item* last = nullptr;
    for (const Item& i : items_)
      if (i.member && rules_.is_fixed && rules_.is_fixed(i.member->name) && (!last || last->at < i.at)) last = &i;
    floor = last ? end_of(*last) : 0;
    std::uint64_t alive = 0;
    for (const Item& i : items_)
      if (i.at >= floor) alive += end_of(i) - i.at;
    const bool begins = std::any_of(items_.begin(), items_.end(), [](const Item& i) { return i.at == 0; });
    // Where the file does not begin with a member, 7-Zip goes from header to header, and takes a gap for the end.
    return end() - floor - alive > (begins ? bearable(alive) : 0);
  }

 private:
  std::uint64_t end_of(const Item& i) const { return i.stays() ? zip::end_of(directory_, *i.member) : i.end; }

  std::uint64_t end_at(Item& i, std::uint64_t at) const {
    if (i.content) {
      i.record.header = at;
      return at + local_header(i.record, i.local_extra, rules_.alignment).size() + i.record.size;
    }
    const std::uint64_t end = zip::end_of(directory_, *i.member);
    if (at == i.member->header) return end;
    return at + moved_header(directory_, *i.member, at, rules_.alignment).size() + end -
           directory_.data_offset(*i.member);
  }

  /// What no unchanged member before `floor` owns. To know where a member ends costs a read; it is not done where the
  /// space behind it could not hold anything.
  void find_spaces(std::uint64_t floor, std::uint64_t needed) {
    spaces_.clear();
    const Member* last = nullptr;
    auto freed = freed_.begin();
    for (const Item* i : physical_) {
      if (i->content || i->member->header >= floor) continue;
      const std::uint64_t next = i->member->header;
      bool look = freed != freed_.end() && (*freed)->header < next;
      while (freed != freed_.end() && (*freed)->header < next) ++freed;
      const std::uint64_t least = last ? last->header + kLocalSize + last->name.size() + last->compressed : 0;
      look = look || next - least >= needed;
      const std::uint64_t begin = !last ? 0 : look ? zip::end_of(directory_, *last) : next;
      if (begin < next) spaces_.push_back({begin, next});
      last = i->member;
    }
    spaces_.push_back({last ? zip::end_of(directory_, *last) : 0, kNoEnd});
  }

  void take(std::size_t space, Item& i, std::uint64_t at, std::uint64_t end) {
    i.at = at;
    i.end = end;
    const Space before{spaces_[space].begin, at};
    spaces_[space].begin = end;
    if (before.begin < before.end) spaces_.insert(spaces_.begin() + static_cast<std::ptrdiff_t>(space), before);
  }

  void put_last(Item& i) {
    const std::uint64_t at = spaces_.back().begin;
    take(spaces_.size() - 1, i, at, end_at(i, at));
  }

  /// The member whose record is first belongs at the beginning of the file, if it has outgrown its place there once.
  bool goes_back(Item& i) {
    if (!i.content || &i != &items_.front() || i.member->header == 0 || spaces_.front().begin > 0) return false;
    const std::uint64_t end = end_at(i, 0);
    if (end > spaces_.front().end) return false;
    take(0, i, 0, end);
    return true;
  }

  bool fits_at_home(std::size_t n, std::uint64_t floor) const {
    Item& i = *physical_[n];
    const bool is_last = n + 1 == physical_.size() || physical_[n + 1]->member->header >= floor;
    return is_last || end_at(i, i.member->header) <= physical_[n + 1]->member->header;
  }

  bool take_home(Item& i) {
    const std::uint64_t at = i.member->header, end = end_at(i, at);
    for (std::size_t s = 0; s < spaces_.size(); ++s) {
      if (at < spaces_[s].begin || end > spaces_[s].end) continue;
      take(s, i, at, end);
      return true;
    }
    return false;
  }

  void put_first(Item& i) {
    for (std::size_t s = 0; s + 1 < spaces_.size(); ++s) {
      const std::uint64_t at = spaces_[s].begin, end = end_at(i, at);
      if (at == 0 || end > spaces_[s].end) continue;  // the beginning waits for its member
      take(s, i, at, end);
      return;
    }
    put_last(i);
  }

  const Directory& directory_;
  std::vector<Item>& items_;
  std::vector<const Member*> freed_;  // places that are free for others, ascending
  const Rules& rules_;
  std::vector<Item*> physical_;  // old members, ascending
  std::vector<Space> spaces_;    // ascending; the last has no end
};

/// Extents are compared as far as records tell them.
void refuse_overlaps(const Directory& directory) {
  for (const Member& m : directory.members()) {
    const std::uint64_t limit = directory.limit(m), front = kLocalSize + m.name.size();
    if (m.header > limit || front > limit - m.header || m.compressed > limit - m.header - front)
      throw Error(Errc::corrupt, directory.file()->name() + ": member " + quoted(m.name) + " of " +
                                     std::to_string(m.compressed) + " bytes at " + std::to_string(m.header) +
                                     " does not fit before " + std::to_string(limit) +
                                     ": an archive with overlapping members cannot be edited");
  }
}

}  // namespace

std::uint64_t lay_out(const Directory& directory, std::vector<Item>& items, const std::vector<const Member*>& gone,
                      const Rules& rules) {
  refuse_overlaps(directory);
  std::uint64_t floor = kNoEnd;
  for (const Member* m : gone)
    if (rules.is_fixed && rules.is_fixed(m->name)) floor = std::min(floor, m->header);
  Layout layout(directory, items, gone, rules);
  layout.place(floor);
  std::uint64_t last_fixed;
  if (layout.wasteful(last_fixed)) layout.place(std::min(floor, last_fixed));
  return layout.end();
}

std::uint64_t end_of(const Directory& directory, const Member& member) {
  try {
    return directory.end_offset(member);
  } catch (const Error& e) {
    if (e.code() != Errc::corrupt) throw;
    return directory.limit(member);
  }
}

std::string moved_header(const Directory& directory, const Member& m, std::uint64_t at, std::uint64_t alignment) {
  std::string old(directory.data_offset(m) - m.header, '\0');
  directory.file()->read(m.header, Buffer(old.data(), old.size()));
  return moved_header(old, m.header, at, alignment);
}

}  // namespace ckptree::zip
