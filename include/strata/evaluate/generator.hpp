#pragma once
// Generator: continues prompts with a key/value cache, several at a time.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "strata/device/compute_device.hpp"
#include "strata/evaluate/config.hpp"
#include "strata/models/causal_lm.hpp"
#include "strata/models/weights.hpp"
#include "strata/tokenizer/tokenizer.hpp"

namespace strata {

struct Generation {
  std::vector<TokenId> ids;  // the continuation, without the token that ended it
  std::string text;          // before any stop text
  std::string reason;        // "eos", "stop" or "length"
};

/// Owns the memory of weights, caches and passes: planned, then allocated, once. Prompts run one by one through the model (no padding),
/// then continue together; a place in the batch that falls free takes the next prompt. Random numbers are functions of seed, prompt and
/// position. Local: no communication.
class Generator {
 public:
  /// `longest_prompt` and config.max_new_tokens bound the caches; together they may not exceed the model's positions (DataError).
  Generator(ComputeDevice& device, const CausalLm& model, DType compute, const GenerateConfig& config, std::int64_t longest_prompt);
  ~Generator();
  /// Where the weights go before the first run.
  const WeightStore& weights() const;
  Stream& stream();
  std::int64_t memory_bytes() const;

  /// Continues every prompt (at least one token each). `tokenizer` may be null: then ids only, and no stop texts. finished(prompt,
  /// generation), if given, is called as each one ends. Results in the order of the prompts.
  std::vector<Generation> run(const std::vector<std::vector<TokenId>>& prompts, const Tokenizer* tokenizer, std::uint64_t seed,
                              const std::function<void(std::size_t, const Generation&)>& finished = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
