#pragma once
// Reading checkpoints; nothing in the file is trusted (io/h5.hpp), and every piece is checked against its hash as it is read.
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "strata/checkpoint/format.hpp"
#include "strata/io/h5.hpp"

namespace strata {

class CheckpointReader {
 public:
  /// Opens and checks version, the run record against its hash, and that every tensor has checksums of the right shape, inside the file.
  /// Reads no tensor. Throws DataError. Local. HDF5 is used here only: the other functions may be called by any thread.
  explicit CheckpointReader(const std::filesystem::path& path);
  const RunRecord& run() const { return run_; }
  const LaunchRecord& launch() const { return launch_; }
  const std::filesystem::path& path() const { return file_.path(); }
  /// Paths of all tensors, sorted.
  std::vector<std::string> tensors() const;
  bool has(const std::string& tensor) const { return tensors_.count(tensor) > 0; }
  /// Type, shape and place of a tensor. Throws DataError naming file and tensor where it is absent.
  h5::DatasetInfo info(const std::string& tensor) const;
  /// Reads elements [first, first + count) of a tensor and compares the checksums of the blocks it touches. Throws DataError naming file,
  /// tensor and elements. Local.
  void read(const std::string& tensor, std::int64_t first, std::int64_t count, void* to) const;
  /// A piece of a tensor, and where its elements go. [elements]
  struct Request {
    std::string tensor;
    std::int64_t first, count;
    void* to;
  };
  /// read() for every request, in the order of the file and by several threads; `past_cache`: past the page cache where the file system
  /// allows it, for a file that nobody else on this host is going to read. Local.
  void read_all(std::vector<Request> requests, bool past_cache = false) const;
  /// Recomputes every checksum, by several threads; returns one line per damaged stretch (empty: sound), as in "/model/x: elements
  /// 8192..12287 differ from their checksum". Local.
  std::vector<std::string> verify() const;
  /// XXH3-128 over the checksums of all tensors below `group` ("/model"), their names, types and shapes: equal exactly when they are. 32
  /// hexadecimal digits. Reads the checksums only. Local.
  std::string content_hash(const std::string& group) const;

 private:
  struct Tensor {
    h5::DatasetInfo data, checksums;
  };
  using Fetch = std::function<const std::byte*(const Tensor& tensor, std::int64_t first, std::int64_t count, std::byte* wanted)>;
  const Tensor& find(const std::string& tensor) const;
  /// read() with whole blocks from `fetch`, which may put them where they are `wanted` (null: nowhere) or keep them elsewhere.
  void read_by(const Fetch& fetch, const std::string& tensor, std::int64_t first, std::int64_t count, void* to) const;

  h5::File file_;
  std::map<std::string, Tensor> tensors_;
  RunRecord run_;
  LaunchRecord launch_;
};

}  // namespace strata
