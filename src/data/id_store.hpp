#pragma once
// Id store: a rank's documents between tokenizing and packing, in a file without a name.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "strata/base/dtype.hpp"
#include "strata/comm/communicator.hpp"
#include "strata/io/file.hpp"

namespace strata::data {

class IdStore {
 public:
  /// A temporary file beside `output`, unlinked at once, so that nothing stays however the program ends. `type` is the output's. Local.
  IdStore(const std::filesystem::path& output, DType type);
  /// The next block of this rank: all its ids, and the length of each of its documents.
  void append(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> lengths);
  /// Ids [first, first + count) as stored, `type` wide.
  void read(std::int64_t first, std::int64_t count, void* to) const;
  std::int64_t documents() const { return static_cast<std::int64_t>(lengths_.size()); }
  std::int64_t tokens() const { return tokens_; }

  /// Calls visit(source, length) for every document of all ranks in input order; source is its place in this rank's store, -1 where it is
  /// another rank's. `blocks` is the number of blocks of all ranks. An error of visit on one rank is thrown on all. Collective over `comm`.
  void for_all(Communicator& comm, std::int64_t blocks, const std::function<void(std::int64_t, std::int64_t)>& visit) const;

 private:
  std::vector<std::uint32_t> pack_lengths(std::size_t first_block, std::size_t count) const;

  DType type_;
  FileHandle file_;
  std::int64_t tokens_ = 0;
  std::vector<std::uint32_t> lengths_;            // of every document
  std::vector<std::int64_t> block_documents_{0};  // documents before block k
};

}  // namespace strata::data
