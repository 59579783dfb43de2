// Answer logits: one gather of numbers, then the values sent to rank 0.
#include "strata/evaluate/answer_logits.hpp"

#include <algorithm>
#include <optional>

#include "strata/base/error.hpp"

namespace strata {

AnswerLogits::AnswerLogits(std::int64_t features, std::int64_t sequence)
    : sequence_(sequence), place_(static_cast<std::size_t>(features), -1) {}

void AnswerLogits::put(std::int64_t k, const float* logits) {
  STRATA_ASSERT(k >= 0 && k < static_cast<std::int64_t>(place_.size()) && place_[static_cast<std::size_t>(k)] < 0, "feature ", k);
  place_[static_cast<std::size_t>(k)] = static_cast<std::int64_t>(numbers_.size());
  numbers_.push_back(k);
  values_.insert(values_.end(), logits, logits + 2 * sequence_);
}

void AnswerLogits::gather(Communicator& comm) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  std::vector<std::int64_t> counts(ranks);
  const auto mine = static_cast<std::int64_t>(numbers_.size());
  comm.all_gather(&mine, sizeof mine, counts.data());
  std::vector<std::size_t> bytes;
  std::int64_t total = 0;
  for (const std::int64_t count : counts) bytes.push_back(static_cast<std::size_t>(count) * sizeof(std::int64_t)), total += count;
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(total));
  comm.all_gather_v(numbers_.data(), bytes, numbers.data());
  std::vector<std::int64_t> sorted = numbers;
  std::sort(sorted.begin(), sorted.end());
  bool each_once = total == static_cast<std::int64_t>(place_.size());
  for (std::size_t k = 0; k < sorted.size() && each_once; ++k) each_once = sorted[k] == static_cast<std::int64_t>(k);
  if (!each_once)  // the same on every rank
    throw_error(ExitCode::internal, text("logits of ", total, " features came from the ranks for ", place_.size(), ", not each once"),
                true);
  std::vector<Message> sends, receives;
  std::vector<float> all;
  const std::size_t row = static_cast<std::size_t>(2 * sequence_) * sizeof(float);
  sends.push_back({0, values_.data(), values_.size() * sizeof(float)});
  if (comm.rank() == 0) {
    all.resize(static_cast<std::size_t>(total * 2 * sequence_));
    auto* at = reinterpret_cast<char*>(all.data());
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      receives.push_back({static_cast<int>(rank), at, static_cast<std::size_t>(counts[rank]) * row});
      at += static_cast<std::size_t>(counts[rank]) * row;
    }
  }
  comm.exchange(sends, receives);
  if (comm.rank() != 0) return;
  values_ = std::move(all), numbers_ = std::move(numbers);
  for (std::size_t k = 0; k < numbers_.size(); ++k) place_[static_cast<std::size_t>(numbers_[k])] = static_cast<std::int64_t>(k);
}

FeatureLogits AnswerLogits::of(std::int64_t k) const {
  const std::int64_t place = place_.at(static_cast<std::size_t>(k));
  STRATA_ASSERT(place >= 0, "the logits of feature ", k, " are not on this rank");
  const auto size = static_cast<std::size_t>(sequence_);
  const std::span<const float> row = std::span<const float>(values_).subspan(static_cast<std::size_t>(place) * 2 * size, 2 * size);
  return {row.first(size), row.subspan(size)};
}

}  // namespace strata
