// Loader: samples cut from the token file, rows in data order.
#include "strata/data/loader.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {

TokenSamples::TokenSamples(const TokenFileReader& file, std::int64_t sequence, bool mask_documents)
    : file_(&file), sequence_(sequence), samples_(0), mask_documents_(mask_documents) {
  const TokenFileInfo& info = file.info();
  if (sequence < 2) throw DeckError(text("data.sequence = ", sequence, ": expected at least 2 tokens"));
  if (info.pack != "stream" && info.sequence != sequence)
    throw DataError(text(file.path().string(), ": the file is packed (prepare.pack = ", info.pack, ") into sequences of ", info.sequence,
                         " tokens, and data.sequence is ", sequence, ": set data.sequence = ", info.sequence, " or prepare it again"));
  samples_ = info.tokens / sequence;
  if (samples_ == 0)
    throw DataError(
        text(file.path().string(), ": the file has ", info.tokens, " tokens, fewer than one sequence of ", sequence, " (data.sequence)"));
}

std::int64_t TokenSamples::used(std::int64_t sample) const {
  return file_->info().pack == "documents" ? file_->used(sample) : sequence_;
}

std::int64_t TokenSamples::read(std::int64_t sample, std::int32_t* inputs, std::int32_t* labels, std::int32_t* first_key) const {
  const std::int64_t first = sample * sequence_, n = used(sample);
  file_->read(first, sequence_, inputs);
  std::copy(inputs + 1, inputs + n, labels);
  std::fill(labels + n - 1, labels + sequence_, ignored_label);
  std::fill(first_key, first_key + sequence_, 0);
  if (!mask_documents_) return n - 1;
  std::int64_t counted = n - 1;
  for (const std::int64_t start : file_->starts_between(first, first + n)) {
    const std::int64_t at = start - first;
    labels[at - 1] = ignored_label, --counted;
    std::fill(first_key + at, first_key + sequence_, static_cast<std::int32_t>(at));
  }
  std::fill(first_key + n, first_key + sequence_, static_cast<std::int32_t>(n));
  return counted;
}

std::int64_t TokenSamples::counted(std::int64_t sample) const {
  const std::int64_t first = sample * sequence_, n = used(sample);
  return n - 1 - (mask_documents_ ? static_cast<std::int64_t>(file_->starts_between(first, first + n).size()) : 0);
}

TokenLoader::TokenLoader(const TokenSamples& samples, const DataOrder& order, std::int64_t rows)
    : samples_(&samples), order_(order), rows_(rows) {
  STRATA_ASSERT(rows >= 1 && order.samples() == samples.samples(), rows, " rows, order of ", order.samples(), ", ", samples.samples(),
                " samples");
}

void fill_empty(std::int64_t rows, std::int64_t sequence, TokenBatch& batch) {
  const auto size = static_cast<std::size_t>(rows * sequence);
  batch.position = -1, batch.counted = 0;
  batch.inputs.assign(size, 0);
  batch.labels.assign(size, ignored_label);
  batch.first_key.assign(size, 0);
}

void TokenLoader::fill(std::int64_t position, std::int64_t end, TokenBatch& batch) const {
  const std::int64_t sequence = samples_->sequence();
  fill_empty(rows_, sequence, batch);
  batch.position = position;
  for (std::int64_t row = 0; row < rows_ && position + row < end; ++row) {
    const auto at = static_cast<std::size_t>(row * sequence);
    batch.counted += samples_->read(order_.sample_at(position + row), &batch.inputs[at], &batch.labels[at], &batch.first_key[at]);
  }
}

std::int64_t TokenLoader::counted_labels(std::int64_t position, std::int64_t end) const {
  std::int64_t counted = 0;
  for (std::int64_t at = position; at < std::min(end, position + rows_); ++at) counted += samples_->counted(order_.sample_at(at));
  return counted;
}

}  // namespace strata
