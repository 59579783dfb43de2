#pragma once
// HDF5 files as Strata makes and reads them: metadata through the library, bulk data of contiguous datasets by plain pread and pwrite.
// Why: collective MPI-IO hangs on a full disk and independent transfers stop at 2 GiB (doc/files.md); with early allocation and contiguous
// layout the library tells each dataset's place in the file, and any number of ranks and threads may then write their pieces.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "strata/base/dtype.hpp"

namespace strata::h5 {

using AttributeValue = std::variant<std::int64_t, double, std::string>;

struct DatasetSpec {
  std::string path;                 // "/model/lm_head.weight"; groups on the way are made
  DType type = DType::f32;          // bf16 is stored as 2-byte unsigned with attribute dtype = "bf16"
  std::vector<std::int64_t> shape;  // global shape; empty: scalar
};
struct AttributeSpec {
  std::string object;  // "/" or the path of a group or dataset (a group that does not exist is made)
  std::string name;
  AttributeValue value;
};

/// Creates `path` (which must not exist), with groups, attributes and contiguous, early-allocated, never filled datasets, library bounds
/// (V18, LATEST), no time stamps: equal specifications give equal files. Extends it to its full size, syncs and closes it. Returns the
/// byte offset of each dataset. Datasets without elements have offset -1. Throws DataError (with the file and the system's reason). Local.
std::map<std::string, std::int64_t> create_file(const std::filesystem::path& path, const std::vector<DatasetSpec>& datasets,
                                                const std::vector<AttributeSpec>& attributes);

struct DatasetInfo {
  DType type;
  std::vector<std::int64_t> shape;
  std::int64_t offset = -1;  // [bytes] in the file; -1 without elements
  std::int64_t elements() const;
  std::int64_t bytes() const { return elements() * static_cast<std::int64_t>(size_of(type)); }
};

/// A file opened for reading under the rules of operations.md section 4: hard links only, no external or virtual storage, contiguous, plain
/// integer or float types, rank at most 4, claimed sizes inside the file and equal to what is stored, bounded depth, names and counts.
/// Whatever breaks a rule is a DataError that names file and object. The library has no part in it: the structure is parsed here, since the
/// library's decoders trust what they read (doc/hostile-files.md). Files of library bounds from V18 on. read() is thread-safe, the rest
/// not.
class File {
 public:
  explicit File(const std::filesystem::path& path);
  ~File();
  File(File&&) noexcept;
  File& operator=(File&&) noexcept;

  const std::filesystem::path& path() const;
  bool has(const std::string& object) const;
  /// Names of the members of a group, sorted.
  std::vector<std::string> children(const std::string& group) const;
  /// Paths of all datasets below a group, sorted by name.
  std::vector<std::string> datasets_below(const std::string& group) const;
  DatasetInfo dataset(const std::string& path) const;
  /// Reads `count` elements from element `first` of the flat dataset (row-major) into `to`, by pread; short reads are DataErrors.
  void read(const DatasetInfo& info, std::int64_t first, std::int64_t count, void* to) const;
  bool has_attribute(const std::string& object, const std::string& name) const;
  std::int64_t integer(const std::string& object, const std::string& name) const;
  double real(const std::string& object, const std::string& name) const;
  std::string string(const std::string& object, const std::string& name) const;
  std::vector<std::string> attribute_names(const std::string& object) const;
  AttributeValue attribute(const std::string& object, const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata::h5
