#pragma once
// Loader: token file and data order as batches of inputs and labels, read ahead of their use.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "strata/data/order.hpp"
#include "strata/data/token_file.hpp"

namespace strata {

class Tokenizer;

constexpr std::int32_t ignored_label = -100;  // semantics S6

/// The samples of a token file: sample k is the tokens [k S, (k + 1) S), k < floor(tokens / S); what remains at the end is not used.
///
/// labels[i] = inputs[i + 1] within the sample (Hugging Face: labels = input_ids, shifted in the model), so at most S - 1 labels count. The
/// last position has no next token; padding (pack = documents) is neither predicted nor predicts: those labels are -100. mask_documents:
/// first_key[i] is the index in the sample of the first token of i's document (0 for the document that the sample begins in), for
/// attention; and the label across a border, the next document's first token, does not count: nothing the token may attend to says which
/// document comes next. With separator eos the separator is predicted; with bos it is not. Padding is a document of its own. Without
/// mask_documents first_key is 0 everywhere and labels across borders count, in padded sequences too.
class TokenSamples {
 public:
  /// Throws DataError if the file holds no sample of `sequence` tokens, or is packed for sequences of another length. `file` must outlive
  /// this.
  TokenSamples(const TokenFileReader& file, std::int64_t sequence, bool mask_documents);
  std::int64_t samples() const { return samples_; }
  std::int64_t sequence() const { return sequence_; }
  bool mask_documents() const { return mask_documents_; }
  const TokenFileReader& file() const { return *file_; }
  /// Writes S values to each; returns the number of labels that count. Thread-safe, as are all functions here.
  std::int64_t read(std::int64_t sample, std::int32_t* inputs, std::int32_t* labels, std::int32_t* first_key) const;
  /// Labels that count in the sample, without reading its tokens.
  std::int64_t counted(std::int64_t sample) const;

 private:
  std::int64_t used(std::int64_t sample) const;
  const TokenFileReader* file_;
  std::int64_t sequence_, samples_;
  bool mask_documents_;
};

/// M sequences of S tokens.
struct TokenBatch {
  std::int64_t position = -1;           // of the first row in the data order
  std::int64_t counted = 0;             // labels that count
  std::vector<std::int32_t> inputs;     // [M*S]
  std::vector<std::int32_t> labels;     // [M*S] -100: does not count
  std::vector<std::int32_t> first_key;  // [M*S]
};

/// Batches by position in the data order. Thread-safe. `samples` must outlive this.
class TokenLoader {
 public:
  TokenLoader(const TokenSamples& samples, const DataOrder& order, std::int64_t rows);
  std::int64_t rows() const { return rows_; }
  const TokenSamples& samples() const { return *samples_; }
  const DataOrder& order() const { return order_; }
  /// Positions [position, position + M). Rows at `end` and beyond are filler: inputs 0, labels -100.
  void fill(std::int64_t position, std::int64_t end, TokenBatch& batch) const;
  /// What fill() would put into batch.counted.
  std::int64_t counted_labels(std::int64_t position, std::int64_t end) const;

 private:
  const TokenSamples* samples_;
  DataOrder order_;
  std::int64_t rows_;
};

/// A batch of filler rows only: nothing counts.
void fill_empty(std::int64_t rows, std::int64_t sequence, TokenBatch& batch);

/// Fills batches on a thread of its own, at most `depth` ahead. Batches come in the order in which `next_position` names them, so nothing
/// of what next() returns depends on timing.
class ReadAhead {
 public:
  /// next_position is called on the thread; nullopt ends it. `end` as in TokenLoader::fill. `loader` must outlive this.
  ReadAhead(const TokenLoader& loader, std::int64_t end, std::function<std::optional<std::int64_t>()> next_position, int depth = 4);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  /// Swaps the next batch into `batch` (whose memory is used again); false when there are no more. An error of the thread is thrown here,
  /// after the batches before it.
  bool next(TokenBatch& batch);

 private:
  void work();
  void put(TokenBatch& batch);

  const TokenLoader& loader_;
  std::int64_t end_;
  std::function<std::optional<std::int64_t>()> next_position_;
  std::size_t depth_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<TokenBatch> ready_;
  std::vector<TokenBatch> spare_;
  std::exception_ptr error_;
  bool stop_ = false, done_ = false;
  std::thread thread_;  // last: starts when all else is there
};

/// What the log says before the first step. One epoch.
struct DatasetFacts {
  std::int64_t samples = 0;
  double steps = 0;                // samples / global batch; the stream of epochs is endless, so a step may cross into the next
  std::int64_t tokens = 0;         // in samples
  std::int64_t unused_tokens = 0;  // after the last sample
  std::int64_t text_tokens = 0, separator_tokens = 0, padding_tokens = 0;  // of the file: together tokens + unused_tokens
  std::int64_t counted = 0;                                                // labels
};

/// Reads the documents' offsets if documents are masked, otherwise nothing. global_batch [sequences]. Local.
DatasetFacts dataset_facts(const TokenSamples& samples, std::int64_t global_batch);
std::string facts_text(const DatasetFacts& facts);

/// Text of a sample with its separators shown as the tokenizer spells them, padding left out; at most `most_tokens` of it.
std::string decoded_sample(const TokenSamples& samples, std::int64_t sample, const Tokenizer& tokenizer, std::int64_t most_tokens = 256);

}  // namespace strata
