#pragma once
// Event files: scalars and texts by step, as TensorBoard reads them.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "strata/io/file.hpp"

namespace strata {

/// CRC-32C (Castagnoli) of memory, as iSCSI and TFRecord use it.
std::uint32_t crc32c(const void* data, std::size_t bytes);

/// One event file of one launch of a run. Each call is one write of whole records, so that a killed run leaves a readable file. Throws
/// DataError, or CapacityError on a full disk. On one rank only.
///
/// The records are TFRecords of protobuf messages, encoded by hand: Debian's libsentencepiece carries a protobuf of its own and exports
/// over a thousand of its symbols, so that a program that links libprotobuf too would mix two versions of one library.
class EventFile {
 public:
  struct Scalar {
    std::string tag;  // "train/loss"
    double value = 0;
  };
  /// Creates `events.out.tfevents.<seconds>.<host>` in `folder` (with a number behind it where that exists) and says that a session starts
  /// at `first_step`: of older files in the folder TensorBoard then shows only earlier steps.
  EventFile(const std::filesystem::path& folder, const std::string& host, std::int64_t first_step);
  /// TensorBoard keeps values as fp32.
  void scalars(std::int64_t step, const std::vector<Scalar>& values);
  /// Shown as Markdown.
  void text(std::int64_t step, const std::string& tag, const std::string& content);
  const std::filesystem::path& path() const { return file_->path(); }

 private:
  void append(std::int64_t step, const std::string& fields);
  std::unique_ptr<FileHandle> file_;
  std::int64_t bytes_ = 0;
};

}  // namespace strata
