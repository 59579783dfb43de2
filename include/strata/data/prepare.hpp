#pragma once
// prepare: text, JSON lines or ready ids into token files, SQuAD into feature files, in parallel over ranks, the same bytes for any number.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/data/config.hpp"

namespace strata {

class Tokenizer;

struct PrepareProgress {
  double share = 0;            // of the input's bytes on disk, 0 to 1
  std::int64_t documents = 0;  // read so far
  std::int64_t tokens = 0;     // made so far
  std::int64_t text_bytes = 0;
  std::int64_t skipped = 0;  // documents
  double seconds = 0;
};

/// What prepare needs beside its settings.
struct PrepareTools {
  const Tokenizer* tokenizer = nullptr;  // may be absent for format ids
  std::string tokenizer_name;            // for the file's attributes, as in the deck
  std::uint64_t seed = 42;               // of the split
  int threads = 1;                       // of this rank; decides nothing but time
  /// Called on every rank with the same values after every round of blocks; must not throw or communicate. May be empty.
  std::function<void(const PrepareProgress&)> progress;
};

struct PreparedFile {
  std::filesystem::path path;
  std::string part;            // train | validation
  std::int64_t documents = 0;  // that went into it, tails of concat included
  std::int64_t tokens = 0;     // in the file, padding included
  std::int64_t sequences = 0;  // concat, documents
  std::int64_t separator_tokens = 0, padding_tokens = 0;
  std::int64_t dropped_tokens = 0;  // concat: of cut documents and the tail
  std::int64_t file_bytes = 0;
  std::string hash;  // TokenFileReader::hash()
};

struct PrepareSummary {
  std::int64_t documents = 0;  // read, skipped ones left out
  std::int64_t skipped = 0;
  std::int64_t repaired = 0;    // documents in which bytes that are not UTF-8 became U+FFFD
  std::int64_t text_bytes = 0;  // of the documents' text (format ids: 0)
  std::int64_t tokens = 0;      // with separators, before packing
  double seconds = 0;
  std::vector<std::string> problems;  // what was skipped or repaired and why, in input order, the first 20
  std::vector<PreparedFile> files;    // train, then validation if there is one
  std::string squad;                  // format squad: all this in words for the log, and what was odd in the data
  double tokens_per_second() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
  double bytes_per_token() const { return tokens > 0 ? static_cast<double>(text_bytes) / static_cast<double>(tokens) : 0; }
};

/// Reads config.input in order, makes ids of every document, appends the separator (bos: puts it before; a token's text, or without a
/// tokenizer its id, stands after), divides documents into training and validation (split.hpp) and packs them (packing.hpp) into
/// config.output and the validation file. Files appear whole, under their names, or not at all; existing ones are replaced.
///
/// How: every rank reads all input; blocks of documents are dealt to ranks in turn, tokenized by threads and kept in an unnamed temporary
/// file beside the output; when all lengths are known, every rank copies its documents to their places. Needs about twice the output's size
/// on disk for a while, and 4 bytes of memory per document of a rank's share.
///
/// Format squad (doc/squad.md): every rank reads the files, tokenizes its share of the contexts, and hands its tokens to all; rank 0 writes
/// the feature file. One output; documents are questions, sequences are features.
///
/// Errors, the same on every rank and the first in input order whatever the ranks: DeckError for settings, DataError for input (always
/// stops for unreadable or damaged files; for bad documents as config.on_error says), CapacityError for a full disk. Collective over
/// `comm`.
PrepareSummary prepare(Communicator& comm, const PrepareConfig& config, const DataConfig& data, const PrepareTools& tools);

/// Where the validation share goes: config.validation_output, or the output with -valid before its ending.
std::filesystem::path validation_path(const PrepareConfig& config);

/// The summary in a few lines for the log.
std::string summary_text(const PrepareSummary& summary);

/// Lines of the training documents for training a vocabulary: all of them if they have at most `most_bytes` [bytes], else a sample drawn by
/// Philox, each line with the same chance; in input order. A line of more than 4,000 bytes is cut at a blank (else between characters).
/// Memory: about most_bytes and one document. Depends on the input and the seed alone. Throws as prepare; bad documents under on_error =
/// skip are left out. Local: call it on one rank.
std::vector<std::string> sample_sentences(const PrepareConfig& config, std::uint64_t seed,
                                          std::int64_t most_bytes = std::int64_t{256} << 20);

}  // namespace strata
