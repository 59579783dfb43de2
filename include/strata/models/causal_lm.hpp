#pragma once
// Causal language model: embedding, blocks, norm and head; forward, backward, and generation with a cache. Qwen3, Llama and Mistral differ
// by configuration only.
#include <memory>
#include <optional>
#include <vector>

#include "strata/models/activations.hpp"
#include "strata/models/causal_config.hpp"
#include "strata/models/model.hpp"

namespace strata {

class CausalLm final : public Model {
 public:
  using PassKind = strata::PassKind;
  using Activations = strata::Activations;
  /// Keys, values and scratch for generating with up to B sequences of up to C tokens.
  struct Decoder {
    std::vector<KeyValueCache> caches;  // one per block
    View cos, sin;                      // [C, hd/2]
    View ids, positions, lengths;       // i32 [B]
    View x, logits;                     // [B,H]; f32 (f64) [B,V]
    Block::DecodeScratch scratch;
  };

  explicit CausalLm(const CausalConfig& config);
  const CausalConfig& config() const { return config_; }
  const ParameterSet& parameters() const override { return set_; }
  const std::string& family() const override { return config_.family; }
  std::string summary() const override;
  const std::string& json() const override { return config_.json; }
  std::int64_t vocabulary() const override { return config_.V; }
  WholeRows whole_rows() const override { return {config_.block.attention.hd, config_.H}; }
  AttentionSizes attention() const override {
    const AttentionConfig& attention = config_.block.attention;
    return {attention.nh, attention.nkv, attention.hd, true, 0};
  }
  void check_sequence(std::int64_t S) const override { config_.check_sequence(S); }
  WeightRules weight_rules() const override { return config_.weight_rules(); }

  Activations take_activations(Arena& arena, PassShape pass, DType type, PassKind kind, bool document_mask,
                               ActivationPolicy policy = {}) const override;
  /// Writes rotary tables and positions; once, after the arena is real.
  void prepare(Activations& activations) const override;

  void forward(Context& context, Activations& activations, const ResultObserver& look = {}) const override;
  /// The same; `look` sees each block's results at once. Local.
  void forward(Context& context, Activations& activations, const BlockObserver& look) const;
  void forward_backward(Context& context, Activations& activations, const Factor& scale) const override;
  /// Logits of every row, f32 (f64) [R,V], of an evaluate or train pass. For comparisons and tools. Local.
  void forward_logits(Context& context, Activations& activations, View logits) const;

  Decoder take_decoder(Arena& arena, std::int64_t B, std::int64_t C, DType type) const;
  void prepare(Decoder& decoder) const;
  /// Runs a prompt (pass.B = 1) through the model, fills row `slot` of the caches, and writes the last token's logits to row `slot` of
  /// decoder.logits. Local.
  void prefill(Context& context, Activations& activations, Decoder& decoder, std::int64_t slot) const;
  /// Feeds decoder.ids[b] at decoder.positions[b] for the first B sequences and writes their next logits. Local.
  void decode(Context& context, Decoder& decoder, std::int64_t B) const;

 private:
  View blocks_forward(Context& context, Activations& activations, const std::function<void(std::size_t)>& block) const;
  void block_forward(Context& context, Activations& activations, std::size_t l, KeyValueCache* cache = nullptr) const;
  void block_backward(Context& context, Activations& activations, std::size_t l) const;
  View head_weight(const FlatBuffer& buffer) const;
  // Units lie in the order embedding, blocks, head.
  int block_unit(std::size_t l) const { return static_cast<int>(l) + 1; }
  int head_unit() const { return static_cast<int>(blocks_.size()) + 1; }
  PositionViews at(const Activations& activations) const;
  void logits_of(Context& context, ConstView normed, View logits) const;

  CausalConfig config_;
  ParameterSet set_;
  int embedding_ = -1, head_ = -1;
  std::vector<Block> blocks_;
  std::optional<Norm> norm_;
};

}  // namespace strata
