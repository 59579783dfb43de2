#pragma once
// Model: what training needs of any family, and the factory that knows the families.
#include <filesystem>
#include <memory>
#include <string>

#include "strata/models/activations.hpp"
#include "strata/models/weight_rules.hpp"
#include "strata/ops/factor.hpp"

namespace strata {

enum class PassKind { train, evaluate };

/// The widest rows that kernels take whole, for which a GPU has limits (ops/gpu_limits.hpp).
struct WholeRows {
  std::int64_t head = 0;  // elements of an attention head
  std::int64_t norm = 0;  // elements that a norm over the hidden size takes
};

/// One layer's attention.
struct AttentionSizes {
  std::int64_t nh = 0, nkv = 0, hd = 0;  // query heads, key/value heads, head size
  bool causal = true;
  double dropout = 0;  // of probabilities, in training
};

/// A model made of units in the order embedding, layers, head. A pass says context.use(unit) before it reads a unit's weights, and opens
/// and closes each unit's gradient once, the units closing in descending order.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ParameterSet& parameters() const = 0;
  /// config.json's model_type.
  virtual const std::string& family() const = 0;
  /// Family and sizes in words: "qwen3, 28 layers, hidden size 1024, ...".
  virtual std::string summary() const = 0;
  /// The configuration as it was read: what checkpoints record and exports begin from.
  virtual const std::string& json() const = 0;
  /// Every token id is below.
  virtual std::int64_t vocabulary() const = 0;
  virtual WholeRows whole_rows() const = 0;
  virtual AttentionSizes attention() const = 0;
  /// Whether it answers questions: it learns from the rows of a feature file, their types, lengths and spans; otherwise from a token file.
  virtual bool answers_questions() const { return false; }
  /// Throws DataError where a sequence of S tokens would need what the model does not have.
  virtual void check_sequence(std::int64_t S) const = 0;
  /// How its weights are named in files, and how they begin.
  virtual WeightRules weight_rules() const = 0;

  /// Memory of a pass. `policy` decides what a training pass keeps; an evaluating one keeps nothing.
  virtual Activations take_activations(Arena& arena, PassShape pass, DType type, PassKind kind, bool document_mask,
                                       ActivationPolicy policy = {}) const = 0;
  /// Writes tables and positions; once, after the arena is real.
  virtual void prepare(Activations& activations) const = 0;
  /// row_loss from inputs and labels, nothing dropped; `look` sees results on the way. Local.
  virtual void forward(Context& context, Activations& activations, const ResultObserver& look = {}) const = 0;
  /// row_loss, and the gradient of scale * (sum of row losses) in context.gradients, set or added as the hooks say, with dropout where the
  /// model has it. Local.
  virtual void forward_backward(Context& context, Activations& activations, const Factor& scale) const = 0;
};

/// The model that a config.json (or the one in the folder `path`) describes. Throws DataError naming file and key. Local.
std::unique_ptr<Model> make_model(const std::filesystem::path& path);
/// The same from the text of a config.json; `origin` names it in messages.
std::unique_ptr<Model> parse_model(const std::string& json, const std::string& origin);
/// Its model_type alone. Throws DataError. Local.
std::string model_type_of(const std::filesystem::path& path);

}  // namespace strata
