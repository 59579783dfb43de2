#pragma once
// safetensors files, single or with an index, under the format's own rules: header at most 100 MB, offsets contiguous without holes or
// overlap, sizes equal to shape times type, no duplicate keys.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "strata/base/dtype.hpp"

namespace strata {

class FileHandle;

struct SafetensorsEntry {
  DType type = DType::f32;
  std::vector<std::int64_t> shape;
  std::filesystem::path file;
  std::int64_t offset = 0;  // [bytes] in the file
  std::int64_t elements() const;
  std::int64_t bytes() const { return elements() * static_cast<std::int64_t>(size_of(type)); }
};

/// All tensors of a model: a file, or a folder with model.safetensors, or with model.safetensors.index.json and its parts (each name must
/// be in the part the index says, and in no other; a tensor of a part that the index leaves out counts as well). Reads headers only; a
/// tensor of a type Strata does not have (F8_E4M3, BOOL, ...) is refused with its name and type. Throws DataError naming file and tensor.
/// Local.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::filesystem::path& file_or_folder);
  const std::map<std::string, SafetensorsEntry>& tensors() const { return tensors_; }
  /// The texts under __metadata__; of several parts, the first part's come first.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Elements [first, first + count) of the flat tensor, as stored (little-endian). Thread-safe. Throws DataError.
  void read(const SafetensorsEntry& entry, std::int64_t first, std::int64_t count, void* to) const;

 private:
  std::map<std::string, SafetensorsEntry> tensors_;
  std::map<std::string, std::string> metadata_;
  std::map<std::filesystem::path, std::shared_ptr<FileHandle>> files_;

  void add_file(const std::filesystem::path& path);
  void add_folder(const std::filesystem::path& index);
};

/// A tensor to write and where its bytes come from.
struct SafetensorsItem {
  std::string name;
  DType type = DType::f32;
  std::vector<std::int64_t> shape;
};

/// Writes one safetensors file piece by piece: header first (metadata format = pt, padded with spaces to 8 bytes; tensors in the order of
/// the reference implementation: wider types first, then by name, so that each is aligned), then fill() each tensor, then commit(), which
/// syncs and renames from a temporary name. Without commit() nothing stays. Local.
class SafetensorsWriter {
 public:
  /// Throws DataError for names the format cannot hold, and where the file cannot be made; CapacityError when it does not fit the disk.
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<SafetensorsItem>& items,
                    const std::map<std::string, std::string>& metadata = {{"format", "pt"}});
  ~SafetensorsWriter();
  /// Elements [first, first + count) of the flat tensor. Each element is to be filled once.
  void fill(const std::string& name, std::int64_t first, std::int64_t count, const void* from);
  /// Throws InternalError naming a tensor that is not filled.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What `<name>.safetensors.index.json` holds for these parts: total_size [bytes] and, for every tensor, its file name.
std::string safetensors_index(const std::map<std::string, std::string>& file_of_tensor, std::int64_t total_bytes);

}  // namespace strata
