#pragma once
// Token file: the HDF5 file of tokenized documents that training reads (format in doc/data.md).
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace strata {

struct SourceFile {
  std::string name;        // as the deck or its glob gave it
  std::int64_t bytes = 0;  // on disk
  std::string hash;        // XXH3-128 of the file on disk, 32 hexadecimal digits
};

/// What a token file says about itself.
struct TokenFileInfo {
  std::int64_t version = 1;
  std::string tokenizer_kind, tokenizer_name, tokenizer_hash;  // hash empty: ids came from elsewhere
  std::int64_t vocabulary = 0;                                 // every id is below
  std::string separator = "none";                              // its text, or none
  std::int64_t separator_id = -1;                              // -1: none
  std::string separator_place = "none";                        // after | before | none: where it stands in each document
  std::string pack = "stream";                                 // stream | concat | documents
  bool wrap = true;                                            // concat
  std::int64_t sequence = 0;                                   // [tokens] concat, documents; 0 for stream
  std::int64_t padding_id = -1;                                // documents
  std::int64_t truncate = 0;                                   // [tokens] of a document that were kept at most; 0: all
  std::string part = "train";                                  // train | validation
  double split = 0;                                            // share of documents that went to validation
  std::uint64_t split_seed = 0;
  std::string format, documents_by, normalise;  // prepare.format, prepare.documents, prepare.normalise
  std::int64_t tokens = 0;                      // of the file, padding included
  std::int64_t documents = 0;                   // entries of /documents (mode documents: pieces)
  std::int64_t separator_tokens = 0, padding_tokens = 0;
  std::vector<SourceFile> sources;
};

/// Reads a token file and trusts nothing in it. Opening checks structure, the attributes' checksum, the documents' offsets (start at 0,
/// never fall, end at the number of tokens) and the sequences' lengths with their checksums; each 4 MiB piece of /tokens is compared with
/// its checksum and every id with the vocabulary when the piece is first read. Whatever is wrong is a DataError that names file, piece and
/// position. Memory: 8 pieces, 16 bytes per piece, 8 bytes per 1,024 documents, 4 bytes per sequence of mode documents. Local; read(),
/// starts_between() and used() are thread-safe.
class TokenFileReader {
 public:
  explicit TokenFileReader(const std::filesystem::path& path);
  ~TokenFileReader();
  TokenFileReader(TokenFileReader&&) noexcept;
  TokenFileReader& operator=(TokenFileReader&&) noexcept;

  const std::filesystem::path& path() const;
  const TokenFileInfo& info() const;
  /// XXH3-128, 32 hexadecimal digits, over the checksums and what decides the meaning of the ids (tokenizer hash, vocabulary, separator,
  /// packing): equal for files that train the same, whatever their sources were called. Goes into the checkpoint.
  const std::string& hash() const;
  /// Ids of the tokens [first, first + count).
  void read(std::int64_t first, std::int64_t count, std::int32_t* to) const;
  /// Starts of documents in the open interval (first, end), rising, each once.
  std::vector<std::int64_t> starts_between(std::int64_t first, std::int64_t end) const;
  /// [tokens] of sequence `number` that are not padding. Mode documents only.
  std::int64_t used(std::int64_t number) const;
  /// Recomputes every checksum and looks at every id; what is wrong, one line each, the first 20. Empty: sound.
  std::vector<std::string> verify() const;
  /// The same for at most `most` pieces of 4 MiB: the first, the last, and others evenly between them.
  std::vector<std::string> verify_some(std::int64_t most) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Opens and verifies; a file that cannot be opened is one line.
std::vector<std::string> verify_token_file(const std::filesystem::path& path);
/// Whether `path` is an HDF5 file that calls itself a token file. Never throws.
bool is_token_file(const std::filesystem::path& path);
/// What the file holds, for people, and as one JSON object (for `strata inspect`).
std::string describe_token_file(const TokenFileReader& file);
std::string token_file_json(const TokenFileReader& file);

}  // namespace strata
