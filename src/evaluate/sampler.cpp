// The sampler: penalty, temperature, top-k, top-p, min-p, softmax, inverse CDF.
#include "strata/evaluate/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "strata/base/error.hpp"

namespace strata {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

void expect(bool good, const char* key, const char* range, double found) {
  if (!good) throw DeckError(text("generate.", key, ": expected ", range, ", found ", found));
}

/// The largest score. A comparison with nan is false, so that one test finds nan and +infinity.
float largest_of(const std::vector<float>& scores) {
  float largest = -infinity;
  bool finite = true;
  for (const float x : scores) {
    finite &= x < infinity;
    largest = x > largest ? x : largest;
  }
  if (!finite) throw DivergenceError("the model's logits hold nan or infinity: no token can be chosen; the weights are probably damaged");
  if (largest == -infinity) throw DivergenceError("all logits are minus infinity: no token can be chosen");
  return largest;
}

}  // namespace

Sampler::Sampler(const SamplerConfig& config) : config_(config) {
  const auto& c = config_;
  expect(c.temperature >= 0 && std::isfinite(c.temperature), "temperature", "a finite number >= 0 (0 is greedy)", c.temperature);
  expect(c.top_k >= 0, "top_k", "a number of tokens >= 0 (0 is off)", static_cast<double>(c.top_k));
  expect(c.top_p >= 0 && c.top_p <= 1, "top_p", "a probability between 0 and 1 (1 is off)", c.top_p);
  expect(c.min_p >= 0 && c.min_p <= 1, "min_p", "a share between 0 and 1 (0 is off)", c.min_p);
  expect(c.repetition_penalty > 0 && std::isfinite(c.repetition_penalty), "repetition_penalty", "a finite number > 0 (1 is off)",
         c.repetition_penalty);
}

TokenId Sampler::sample(std::span<const float> logits, std::span<const TokenId> history, double u) {
  STRATA_ASSERT(u >= 0 && u < 1, "the uniform number is ", u);
  const Distribution kept = distribution(logits, history);
  double sum = 0;
  for (std::size_t i = 0; i < kept.ids.size(); ++i) {
    sum += kept.probabilities[i];
    if (sum > u) return kept.ids[i];
  }
  return kept.ids.back();  // the probabilities' rounding errors left the sum just below u
}

Sampler::Distribution Sampler::distribution(std::span<const float> logits, std::span<const TokenId> history) {
  prepare(logits, history);
  if (config_.temperature == 0) {
    const auto best = std::find(scores_.begin(), scores_.end(), largest_);
    ids_.assign(1, static_cast<TokenId>(best - scores_.begin()));
    weights_.assign(1, 1.0);
    return {ids_, weights_};
  }
  gather(top_k_limit());
  if (config_.top_p < 1) keep_nucleus();
  if (config_.min_p > 0) keep_min_p();
  normalise();
  return {ids_, weights_};
}

/// Steps 1 and 2.
void Sampler::prepare(std::span<const float> logits, std::span<const TokenId> history) {
  STRATA_ASSERT(!logits.empty(), "no logits");
  scores_.assign(logits.begin(), logits.end());
  if (config_.repetition_penalty != 1) {
    const float penalty = static_cast<float>(config_.repetition_penalty);
    for (const TokenId id : history) {
      STRATA_ASSERT(id < logits.size(), "token ", id, " in the history, but the vocabulary is ", logits.size());
      const float x = logits[id];  // from the logits, not from the score: an id that comes twice is penalised once
      scores_[id] = x < 0 ? x * penalty : x / penalty;
    }
  }
  if (config_.temperature != 1 && config_.temperature != 0) {
    const float temperature = static_cast<float>(config_.temperature);
    for (float& x : scores_) x /= temperature;
  }
  largest_ = largest_of(scores_);
}

/// The smallest score that top_k leaves; minus infinity where it leaves all.
float Sampler::top_k_limit() {
  const std::size_t v = scores_.size(), k = static_cast<std::size_t>(config_.top_k);
  if (k == 0 || k >= v) return -infinity;
  if (k <= v / 64) {  // a heap of k, which few scores enter
    largest_scores_.resize(k);
    std::partial_sort_copy(scores_.begin(), scores_.end(), largest_scores_.begin(), largest_scores_.end(), std::greater<>());
  } else {
    largest_scores_ = scores_;
    std::nth_element(largest_scores_.begin(), largest_scores_.begin() + static_cast<std::ptrdiff_t>(k - 1), largest_scores_.end(),
                     std::greater<>());
  }
  return largest_scores_[k - 1];
}

/// Ids with a score of at least `limit` that is not minus infinity, and exp(score - largest).
void Sampler::gather(float limit) {
  ids_.clear();
  kept_scores_.clear();
  weights_.clear();
  ids_.reserve(scores_.size());
  kept_scores_.reserve(scores_.size());
  weights_.reserve(scores_.size());
  for (std::size_t id = 0; id < scores_.size(); ++id) {
    const float x = scores_[id];
    if (x < limit || x == -infinity) continue;
    ids_.push_back(static_cast<TokenId>(id));
    kept_scores_.push_back(x);
    weights_.push_back(std::exp(static_cast<double>(x) - static_cast<double>(largest_)));
  }
}

/// Drops what `keep(position)` is false for, without changing the order.
template <class Keep>
void Sampler::compact(Keep keep) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (!keep(i)) continue;
    ids_[kept] = ids_[i];
    kept_scores_[kept] = kept_scores_[i];
    weights_[kept] = weights_[i];
    ++kept;
  }
  ids_.resize(kept);
  kept_scores_.resize(kept);
  weights_.resize(kept);
}

/// Top-p without a sort: the mass of the scores in bins of 1/16 below the largest tells the one bin that the cut runs through, and only its
/// members are put in order, as far as needed.
void Sampler::keep_nucleus() {
  const auto bin_of = [&](std::size_t i) {
    const float depth = (largest_ - kept_scores_[i]) * bins_per_unit;
    return depth < static_cast<float>(bins - 1) ? static_cast<std::size_t>(depth) : bins - 1;
  };
  bin_mass_.fill(0);
  double total = 0;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    bin_mass_[bin_of(i)] += weights_[i];
    total += weights_[i];
  }
  const double target = std::max(config_.top_p * total, std::numeric_limits<double>::min());  // above 0: the first id always stays
  std::size_t cut = 0;
  double above = 0;  // mass of the bins before the cut's
  while (cut + 1 < bins && above + bin_mass_[cut] < target) above += bin_mass_[cut++];

  order_.clear();
  order_.reserve(scores_.size());
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (bin_of(i) == cut) order_.push_back(static_cast<std::uint32_t>(i));
  }
  for (std::size_t j = count_below(above, target); j < order_.size(); ++j) weights_[order_[j]] = -1;
  compact([&](std::size_t i) { return weights_[i] >= 0 && bin_of(i) <= cut; });
}

/// Orders the front of order_ by falling score, equal ones by falling id, as far as needed to tell how many of its members have less than
/// `target` of mass before them, where `above` lies before the first; these then stand at the front. Halving: O(size).
std::size_t Sampler::count_below(double above, double target) {
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    return kept_scores_[a] != kept_scores_[b] ? kept_scores_[a] > kept_scores_[b] : a > b;
  };
  const auto at = [&](std::size_t j) { return order_.begin() + static_cast<std::ptrdiff_t>(j); };
  std::size_t inside = 0, outside = order_.size();  // known to be inside: [0, inside); outside: [outside, size)
  while (inside < outside) {
    const std::size_t middle = inside + (outside - inside) / 2;
    std::nth_element(at(inside), at(middle), at(outside), before);
    double mass = above;
    for (std::size_t j = inside; j < middle; ++j) mass += weights_[order_[j]];
    if (mass < target) {
      above = mass + weights_[order_[middle]];
      inside = middle + 1;
    } else {
      outside = middle;
    }
  }
  return inside;
}

/// The weights are probabilities relative to the largest one.
void Sampler::keep_min_p() {
  compact([&](std::size_t i) { return weights_[i] >= config_.min_p; });
}

void Sampler::normalise() {
  double total = 0;
  for (const double w : weights_) total += w;
  for (double& w : weights_) w /= total;
  compact([&](std::size_t i) { return static_cast<float>(weights_[i]) > 0; });
}

}  // namespace strata
