#pragma once
// BERT for question answering: encoder, and two logits per token, the first and the last of the answer's span (Devlin et al. 2018).
#include <optional>
#include <vector>

#include "strata/models/bert_config.hpp"
#include "strata/models/model.hpp"

namespace strata {

/// Units: embedding, each layer, head. Labels and losses are those of ops/span_head.hpp: two per sequence, whose sum over the labels that
/// count is Hugging Face's loss. forward_backward drops by activations.encoder's seed, step and samples; everything else drops nothing.
class BertForQuestionAnswering final : public Model {
 public:
  explicit BertForQuestionAnswering(const BertConfig& config);
  const BertConfig& config() const { return config_; }
  const ParameterSet& parameters() const override { return set_; }
  const std::string& family() const override { return config_.family; }
  std::string summary() const override;
  const std::string& json() const override { return config_.json; }
  std::int64_t vocabulary() const override { return config_.tables.V; }
  WholeRows whole_rows() const override { return {config_.layer.hd(), config_.layer.H}; }
  AttentionSizes attention() const override {
    return {config_.layer.nh, config_.layer.nh, config_.layer.hd(), false, config_.layer.attention_dropout};
  }
  bool answers_questions() const override { return true; }
  void check_sequence(std::int64_t S) const override { config_.check_sequence(S); }
  WeightRules weight_rules() const override { return config_.weight_rules(); }

  /// Throws DeckError with `document_mask`: an encoder sees whole sequences.
  Activations take_activations(Arena& arena, PassShape pass, DType type, PassKind kind, bool document_mask,
                               ActivationPolicy policy = {}) const override;
  void prepare(Activations& activations) const override;
  /// row_loss from inputs and labels, and the logits in activations.encoder.logits. Local.
  void forward(Context& context, Activations& activations, const ResultObserver& look = {}) const override;
  void forward_backward(Context& context, Activations& activations, const Factor& scale) const override;

  /// The logits alone; labels are not read. Local.
  void forward_logits(Context& context, Activations& activations, const ResultObserver& look = {}) const;

 private:
  void layers_forward(Context& context, Activations& a, const EncoderInputs& at, const std::function<void(std::size_t)>& layer) const;
  void layer_backward(Context& context, Activations& a, const EncoderInputs& at, std::size_t l) const;
  EncoderEmbedding::Inputs embedding_inputs(const Activations& a) const;
  EncoderInputs inputs_of(const Activations& a, bool draw) const;
  // Units lie in the order embedding, layers, head.
  int layer_unit(std::size_t l) const { return static_cast<int>(l) + 1; }
  int head_unit() const { return static_cast<int>(layers_.size()) + 1; }

  BertConfig config_;
  ParameterSet set_;
  std::optional<EncoderEmbedding> embedding_;
  std::vector<EncoderLayer> layers_;
  int head_ = -1, head_bias_ = -1;
};

}  // namespace strata
