#pragma once
// The structure of HDF5 files (format specification 3.0) as Strata's own reader sees it. HDF5 1.10's decoders free what a file tells them
// to free (doc/hostile-files.md), so no file is opened with the library: what create_file() and the library with bounds from V18 on write
// is read here, every field checked before it is used, and everything else is refused by name.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/h5_cursor.hpp"

namespace strata::h5 {

/// Message types of object headers.
enum MessageType : unsigned {
  nil_message = 0x00,
  dataspace_message = 0x01,
  link_info_message = 0x02,
  datatype_message = 0x03,
  fill_message = 0x05,
  link_message = 0x06,
  external_message = 0x07,
  layout_message = 0x08,
  group_info_message = 0x0a,
  filter_message = 0x0b,
  attribute_message = 0x0c,
  comment_message = 0x0d,
  continuation_message = 0x10,
  symbol_table_message = 0x11,
  time_message = 0x12,
  attribute_info_message = 0x15,
  reference_count_message = 0x16
};

struct Message {
  unsigned type = 0;
  bool shared = false;  // its content lies elsewhere
  std::string content;
};

struct Link {
  bool hard = false;
  std::uint64_t address = no_address;  // of the object; hard links only
};

/// An attribute with its type and shape still encoded.
struct RawAttribute {
  std::string type, space, value;
};

enum class ObjectKind { group, dataset, other };

/// An object header with what belongs to it.
struct Object {
  ObjectKind kind = ObjectKind::other;
  std::vector<Message> messages;
  std::map<std::string, Link> links;  // of a group
  std::map<std::string, RawAttribute> attributes;
  const Message* find(unsigned type) const;
};

/// All objects of one file by address, read when asked for and kept. Every refusal is a DataError that names the file. Not thread-safe.
class Structure {
 public:
  /// `descriptor` must stay open. Reads the superblock.
  Structure(int descriptor, std::int64_t file_bytes, std::string name);
  std::uint64_t root() const { return root_; }
  /// `path` is for messages.
  const Object& object(std::uint64_t address, const std::string& path);

  /// A block of `bytes` bytes at `address`, the last four the checksum of the others.
  std::string checked_block(std::uint64_t address, std::uint64_t bytes, const std::string& what);
  /// A block without a checksum.
  std::string block(std::uint64_t address, std::uint64_t bytes, const std::string& what);
  const std::string& name() const { return name_; }

 private:
  Object parse(std::uint64_t address, const std::string& path);
  void read_messages(std::string_view bytes, bool has_order, const std::string& what, Object& object,
                     std::vector<std::pair<std::uint64_t, std::uint64_t>>& continuations);
  void read_links(Object& object, const std::string& path);
  void read_attributes(Object& object, const std::string& path);

  int descriptor_;
  std::int64_t file_bytes_;
  std::string name_;
  std::uint64_t root_ = no_address;
  std::int64_t budget_;  // [bytes] that may still be read: structures that overlap could ask for the same bytes without end
  std::map<std::uint64_t, Object> objects_;
};

/// Jenkins' lookup3 hash (2006), which protects HDF5's metadata.
std::uint32_t metadata_checksum(std::string_view bytes);

/// The records of a version 2 B-tree, `record_bytes` each. DataError for another type or size.
std::vector<std::string> tree_records(Structure& file, std::uint64_t address, unsigned type, std::uint64_t record_bytes,
                                      const std::string& what);

/// The objects of a fractal heap by their identifiers.
class FractalHeap {
 public:
  FractalHeap(Structure& file, std::uint64_t address, std::string what);
  std::string get(std::string_view identifier);

 private:
  void read_direct(std::uint64_t address, std::uint64_t bytes, std::uint64_t offset);
  void read_indirect(std::uint64_t address, std::uint64_t rows, std::uint64_t offset, int depth);
  void read_huge();
  std::string managed(std::uint64_t offset, std::uint64_t bytes) const;

  Structure& file_;
  std::uint64_t address_;
  std::string what_;
  std::uint64_t id_bytes_ = 0, width_ = 0, start_ = 0, largest_direct_ = 0, heap_bits_ = 0, largest_managed_ = 0;
  std::uint64_t huge_tree_ = no_address;
  bool checksums_ = false;
  std::map<std::uint64_t, std::string> blocks_;                            // by their first byte in the heap
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> huge_;  // identifier -> address, bytes
};

}  // namespace strata::h5
