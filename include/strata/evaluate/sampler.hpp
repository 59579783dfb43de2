#pragma once
// Sampler: the next token from logits, with the processors of transformers' generation in their order.
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "strata/tokenizer/tokenizer.hpp"

namespace strata {

struct SamplerConfig {
  double temperature = 1.0;         // 0: greedy
  double top_p = 1.0;               // 1: off
  double min_p = 0.0;               // 0: off
  double repetition_penalty = 1.0;  // 1: off
  std::int64_t top_k = 0;           // 0: off
};

/// From logits x [V] and the history, the ids of prompt and continuation so far:
///   1. repetition_penalty r, for every id in the history, once: x = x * r where x < 0, else x / r
///   2. temperature: x = x / temperature
///   3. top_k: x below the k-th largest goes; ids equal to it stay, so there may be more than k
///   4. top_p: sorted by falling x, an id stays while the probability of all ids before it is below top_p; the first always stays. Of equal
///      logits the highest id counts as the largest, so where the cut runs through them those with the lowest ids go (a stable ascending
///      sort)
///   5. min_p: probabilities below min_p times the largest go
///   6. softmax over what is left; an id whose probability is zero in f32 goes
/// Steps 1 and 2 are computed in f32 as the library does, probabilities in f64. temperature 0 is greedy: step 1, then the largest x, the
/// lowest id among equals. Nothing here depends on anything but the arguments. One object serves one thread at a time; memory is taken at
/// the first call for a V and kept. Time O(V) per call, without a full sort. Local: no communication.
class Sampler {
 public:
  /// Throws DeckError naming generate.<key> for a value out of range: temperature >= 0, top_k >= 0, 0 <= top_p <= 1, 0 <= min_p <= 1,
  /// repetition_penalty > 0.
  explicit Sampler(const SamplerConfig& config);

  /// The id at u in [0, 1): the first kept id, in rising order of ids, at which the sum of probabilities exceeds u. Greedy ignores u.
  /// The caller draws u = random_uniform(seed, RandomPurpose::sampling, sequence, position).
  /// Throws DivergenceError for logits that are nan or +infinity or all -infinity, InternalError for an id in the history outside [0, V).
  TokenId sample(std::span<const float> logits, std::span<const TokenId> history, double u);

  /// The kept ids, rising, and their probabilities; they sum to 1. Greedy: one id with probability 1. Views of the object's memory, valid
  /// until the next call. Throws as sample does.
  struct Distribution {
    std::span<const TokenId> ids;
    std::span<const double> probabilities;
  };
  Distribution distribution(std::span<const float> logits, std::span<const TokenId> history);

 private:
  void prepare(std::span<const float> logits, std::span<const TokenId> history);
  float top_k_limit();
  void gather(float limit);
  void keep_nucleus();
  std::size_t count_below(double above, double target);
  void keep_min_p();
  void normalise();
  template <class Keep>
  void compact(Keep keep);

  static constexpr std::size_t bins = 1024;
  static constexpr float bins_per_unit = 16;

  SamplerConfig config_;
  std::vector<float> scores_;          // [V] after steps 1 and 2
  std::vector<float> largest_scores_;  // [V] scratch of top_k
  float largest_ = 0;
  // What is still kept: id, score, and exp(score - largest), later the probability. Ids rising.
  std::vector<TokenId> ids_;
  std::vector<float> kept_scores_;
  std::vector<double> weights_;
  std::vector<std::uint32_t> order_;  // positions in ids_: scratch of top_p
  std::array<double, bins> bin_mass_{};
};

}  // namespace strata
