#pragma once
// Token pieces: /tokens read through checksums, each piece compared once.
#include <cstdint>
#include <list>
#include <mutex>
#include <vector>

#include "data/token_layout.hpp"

namespace strata::data {

/// The pieces of /tokens: the first read of a piece takes all of its 4 MiB, checks it and keeps it among the last few; later reads of a
/// piece no longer kept take only the bytes they need, and ids are compared with the vocabulary again. Thread-safe.
class TokenPieces {
 public:
  TokenPieces(const h5::File& file, const TokenFileInfo& info, const h5::DatasetInfo& dataset, std::vector<Digest> digests);
  /// Ids of [first, first + count), which must lie inside the dataset.
  void read(std::int64_t first, std::int64_t count, std::int32_t* to);
  /// Checks one piece from the file, kept or not. Throws DataError.
  void check(std::int64_t piece) const;
  std::int64_t pieces() const { return static_cast<std::int64_t>(digests_.size()); }

 private:
  struct Kept {
    std::int64_t piece;
    std::vector<char> bytes;
  };
  std::vector<char> load(std::int64_t piece) const;
  const std::vector<char>* kept(std::int64_t piece);
  void convert(const char* from, std::int64_t first, std::int64_t count, std::int32_t* to) const;

  const h5::File& file_;
  const TokenFileInfo& info_;
  h5::DatasetInfo dataset_;
  std::vector<Digest> digests_;
  std::vector<bool> checked_;
  std::list<Kept> kept_;  // the last used first
  std::vector<char> scratch_;
  std::mutex mutex_;
};

}  // namespace strata::data
