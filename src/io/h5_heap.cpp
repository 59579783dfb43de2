// Version 2 B-trees and fractal heaps: where HDF5 keeps the members of large groups and long attributes.
#include <algorithm>
#include <bit>

#include "io/h5_structure.hpp"

namespace strata::h5 {
namespace {

constexpr std::size_t most_records = 1000000;
constexpr std::uint64_t largest_node = std::uint64_t{1} << 20;  // [bytes]

/// Bytes that hold every number up to `most`.
std::uint64_t bytes_for(std::uint64_t most) {
  return (static_cast<std::uint64_t>(std::bit_width(std::max<std::uint64_t>(most, 1))) - 1) / 8 + 1;
}

bool is_power(std::uint64_t n) {
  return std::has_single_bit(n);
}

/// Walks a tree of known shape.
class Tree {
 public:
  Tree(Structure& file, std::uint64_t address, unsigned type, std::uint64_t record_bytes, std::string what)
      : file_(file), what_("the index of " + what), place_(file.name() + ": " + what_), type_(type), record_bytes_(record_bytes) {
    const std::string header = file_.checked_block(address, 38, what_);
    Cursor at(header, place_);
    at.expect("BTHD", "is not where it should be");
    if (at.byte() != 0) at.fail("is of an unknown version");
    if (at.byte() != type) at.fail("is of another kind than expected");
    node_bytes_ = at.number(4);
    if (at.number(2) != record_bytes) at.fail("has records of another size than expected");
    depth_ = at.number(2);
    at.number(2);  // when nodes are split and merged
    root_ = at.address(), root_records_ = at.number(2), all_records_ = at.number(8);
    if (node_bytes_ < 64 || node_bytes_ > largest_node || depth_ > 8 || all_records_ > most_records) at.fail("has an impossible size");
    measure();
  }

  std::vector<std::string> records() {
    if (root_ != no_address && all_records_ > 0) visit(root_, depth_, root_records_);
    if (records_.size() != all_records_)
      throw DataError(text(place_, " promises ", all_records_, " entries and holds ", records_.size(), ": the file is damaged"));
    return std::move(records_);
  }

 private:
  static constexpr std::uint64_t around = 10;  // signature, version, type and checksum

  /// How many records nodes of each height hold at most decides how wide the counts in their parents are.
  void measure() {
    most_.push_back((node_bytes_ - around) / record_bytes_);
    in_all_.push_back(most_[0]);
    count_bytes_ = bytes_for(most_[0]);
    for (std::uint64_t height = 1; height <= depth_; ++height) {
      const std::uint64_t pointer = pointer_bytes(height);
      most_.push_back((node_bytes_ - around - pointer) / (record_bytes_ + pointer));
      in_all_.push_back(std::min<std::uint64_t>((most_.back() + 1) * in_all_.back() + most_.back(), std::uint64_t{1} << 40));
    }
  }
  std::uint64_t pointer_bytes(std::uint64_t height) const { return 8 + count_bytes_ + (height > 1 ? bytes_for(in_all_[height - 1]) : 0); }

  void visit(std::uint64_t address, std::uint64_t height, std::uint64_t count) {
    const std::uint64_t pointer = height > 0 ? pointer_bytes(height) : 0;
    if (count > most_[height]) throw DataError(text(place_, " has a node of ", count, " entries: the file is damaged"));
    const std::string node = file_.checked_block(address, around + count * record_bytes_ + (height > 0 ? (count + 1) * pointer : 0), what_);
    Cursor at(node, place_);
    at.expect(height > 0 ? "BTIN" : "BTLF", "has no node where it should be");
    if (at.byte() != 0 || at.byte() != type_) at.fail("has a node of another kind");
    for (std::uint64_t i = 0; i < count; ++i) {
      records_.emplace_back(at.take(record_bytes_));
      if (records_.size() > all_records_) at.fail(text("holds more than the ", all_records_, " entries it promises"));
    }
    for (std::uint64_t i = 0; height > 0 && i <= count; ++i) {
      const std::uint64_t child = at.address(), in_child = at.number(count_bytes_);
      if (height > 1) at.number(bytes_for(in_all_[height - 1]));
      visit(child, height - 1, in_child);
    }
  }

  Structure& file_;
  std::string what_, place_;
  unsigned type_;
  std::uint64_t record_bytes_, node_bytes_ = 0, depth_ = 0, root_ = no_address, root_records_ = 0, all_records_ = 0, count_bytes_ = 0;
  std::vector<std::uint64_t> most_, in_all_;  // records in a node of a height, and in the tree below it
  std::vector<std::string> records_;
};

}  // namespace

std::vector<std::string> tree_records(Structure& file, std::uint64_t address, unsigned type, std::uint64_t record_bytes,
                                      const std::string& what) {
  return Tree(file, address, type, record_bytes, what).records();
}

FractalHeap::FractalHeap(Structure& file, std::uint64_t address, std::string what)
    : file_(file), address_(address), what_("the heap of " + std::move(what)) {
  const std::string header = file_.checked_block(address, 146, what_);
  Cursor at(header, file_.name() + ": " + what_);
  at.expect("FRHP", "is not where it should be");
  if (at.byte() != 0) at.fail("is of an unknown version");
  id_bytes_ = at.number(2);
  if (at.number(2) != 0) at.fail("is filtered (compressed)");
  const unsigned flags = at.byte();
  if (flags >> 2 != 0) at.fail("has unknown flags");
  checksums_ = (flags & 2) != 0;
  largest_managed_ = at.number(4);
  at.number(8);  // next identifier of a huge object
  huge_tree_ = at.address();
  at.take(10 * 8);  // free space and counts
  width_ = at.number(2), start_ = at.number(8), largest_direct_ = at.number(8), heap_bits_ = at.number(2);
  at.number(2);  // rows at first
  const std::uint64_t root = at.address(), rows = at.number(2);
  const bool sound = is_power(width_) && width_ <= 1024 && is_power(start_) && start_ >= 64 && is_power(largest_direct_) &&
                     largest_direct_ >= start_ && largest_direct_ <= std::uint64_t{1} << 24 && heap_bits_ >= 8 && heap_bits_ <= 48 &&
                     largest_managed_ > 0 && rows <= 64 && id_bytes_ >= 4 && id_bytes_ <= 16;
  if (!sound) at.fail("has impossible sizes");
  if (huge_tree_ != no_address) read_huge();
  if (root == no_address) return;
  if (rows == 0)
    read_direct(root, start_, 0);
  else
    read_indirect(root, rows, 0, 0);
}

void FractalHeap::read_direct(std::uint64_t address, std::uint64_t bytes, std::uint64_t offset) {
  std::string block = file_.block(address, bytes, what_);
  Cursor at(block, file_.name() + ": " + what_);
  at.expect("FHDB", "has no block where it should be");
  if (at.byte() != 0) at.fail("has a block of an unknown version");
  if (at.address() != address_) at.fail("has a block of another heap");
  if (at.number((heap_bits_ + 7) / 8) != offset) at.fail("has a block in the wrong place");
  if (checksums_) {
    // The checksum lies inside the block, and counts as zeros in itself.
    const std::size_t place = block.size() - at.left();
    const std::uint64_t stored = at.number(4);
    std::fill_n(block.begin() + static_cast<std::ptrdiff_t>(place), 4, '\0');
    if (metadata_checksum(block) != stored) at.fail("has a block whose checksum differs");
  }
  blocks_.emplace(offset, std::move(block));
}

/// Rows of `width` children: two rows of the first size, then each row twice the size of the one before; beyond the largest direct blocks
/// the children are indirect themselves.
void FractalHeap::read_indirect(std::uint64_t address, std::uint64_t rows, std::uint64_t offset, int depth) {
  const std::uint64_t offset_bytes = (heap_bits_ + 7) / 8;
  if (depth > 4 || rows > 64) throw DataError(text(file_.name(), ": ", what_, " is nested too deeply: the file is damaged"));
  const std::string block = file_.checked_block(address, 4 + 1 + 8 + offset_bytes + rows * width_ * 8 + 4, what_);
  Cursor at(block, file_.name() + ": " + what_);
  at.expect("FHIB", "has no table where it should be");
  if (at.byte() != 0) at.fail("has a table of an unknown version");
  if (at.address() != address_) at.fail("has a table of another heap");
  if (at.number(offset_bytes) != offset) at.fail("has a table in the wrong place");
  for (std::uint64_t row = 0; row < rows; ++row) {
    const std::uint64_t shift = row > 0 ? row - 1 : 0;
    if (shift + static_cast<std::uint64_t>(std::bit_width(start_)) > 56) at.fail("claims an impossible size");
    const std::uint64_t size = start_ << shift;
    for (std::uint64_t column = 0; column < width_; ++column, offset += size) {
      const std::uint64_t child = at.address();
      if (child == no_address) continue;
      if (size <= largest_direct_)
        read_direct(child, size, offset);
      else
        read_indirect(child,
                      static_cast<std::uint64_t>(std::bit_width(size)) - static_cast<std::uint64_t>(std::bit_width(start_ * width_)) + 1,
                      offset, depth + 1);
    }
  }
}

/// Huge objects lie outside the heap; a tree of records [address: 8][bytes: 8][identifier: 8] says where.
void FractalHeap::read_huge() {
  constexpr unsigned unfiltered = 1;
  for (const std::string& record : tree_records(file_, huge_tree_, unfiltered, 24, what_)) {
    Cursor at(record, what_);
    const std::uint64_t address = at.address(), bytes = at.number(8);
    huge_[at.number(8)] = {address, bytes};
  }
}

std::string FractalHeap::managed(std::uint64_t offset, std::uint64_t bytes) const {
  auto block = blocks_.upper_bound(offset);
  if (block != blocks_.begin()) {
    --block;
    const std::uint64_t inside = offset - block->first;
    if (inside < block->second.size() && bytes <= block->second.size() - inside) return block->second.substr(inside, bytes);
  }
  throw DataError(text(file_.name(), ": ", what_, " is asked for an entry that it does not hold: the file is damaged"));
}

std::string FractalHeap::get(std::string_view identifier) {
  Cursor at(identifier, file_.name() + ": an entry of " + what_);
  if (identifier.size() != id_bytes_) at.fail("has an identifier of the wrong length");
  const unsigned kind = at.byte();
  if (kind == 0x00) {
    const std::uint64_t offset = at.number((heap_bits_ + 7) / 8);
    const std::uint64_t largest_bits = static_cast<std::uint64_t>(std::bit_width(largest_direct_)) - 1;
    return managed(offset, at.number(std::min((largest_bits + 7) / 8, bytes_for(largest_managed_))));
  }
  if (kind != 0x10) at.fail("is of an unknown kind");
  const auto found = huge_.find(at.number(std::min<std::uint64_t>(at.left(), 8)));
  if (found == huge_.end()) at.fail("is not there");
  return file_.block(found->second.first, found->second.second, what_);
}

}  // namespace strata::h5
