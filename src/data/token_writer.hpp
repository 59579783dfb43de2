#pragma once
// Token writer: all ranks fill one token file under a temporary name; the file appears under its own name whole or not at all.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/token_layout.hpp"
#include "strata/comm/communicator.hpp"
#include "strata/io/file.hpp"

namespace strata::data {

class TokenWriter {
 public:
  /// Rank 0 creates the file at its full size; every rank opens it. `info` is equal on all ranks. Collective over `comm`; throws on all
  /// ranks or on none. Without commit() rank 0 removes the file.
  TokenWriter(Communicator& comm, const std::filesystem::path& path, const TokenFileInfo& info);
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;

  std::size_t token_bytes() const { return size_of(parts_.front().type); }
  /// Elements [first, first + count) of a dataset ("tokens", "documents", "lengths") as they are stored. Every element is to be written
  /// once, by one rank. Local.
  void write(const std::string& part, std::int64_t first, std::int64_t count, const void* from) const;
  /// Syncs, reads everything back for the checksums, and completes the file (still under its temporary name). Collective over `comm`.
  void finish(std::int64_t padding_tokens);
  /// Renames. Collective over `comm`.
  void commit();

  const std::string& hash() const { return hash_; }
  std::int64_t separator_tokens() const { return separators_; }
  std::int64_t file_bytes() const { return file_bytes_; }

 private:
  const LayoutPart& part(const std::string& name) const;
  void create();
  std::int64_t checksum_own_pieces(const LayoutPart& part) const;
  void checksum_piece(const FileHandle& file, const LayoutPart& part, std::int64_t piece, std::vector<char>& memory,
                      std::int64_t& separators) const;
  void complete(std::int64_t padding_tokens);

  Communicator& comm_;
  std::filesystem::path path_, temporary_;
  TokenFileInfo info_;
  std::string sources_;
  std::vector<LayoutPart> parts_;
  std::map<std::string, std::int64_t> offsets_;  // [bytes] of each dataset
  std::unique_ptr<FileHandle> file_;
  std::string hash_;
  std::int64_t separators_ = 0, file_bytes_ = 0;
  bool created_ = false, committed_ = false;  // on rank 0
};

}  // namespace strata::data
