#pragma once
// Validation loss, and what answers are worth: exact over ranks, the same bits for every rank count.
#include <cstdint>
#include <optional>

#include "strata/comm/communicator.hpp"
#include "strata/models/model.hpp"
#include "strata/train/step.hpp"

namespace strata {

/// Of answers to questions. [percent]
struct AnswerQuality {
  double exact_match = 0, f1 = 0;
  std::int64_t questions = 0;
};

/// Scores what a validation finds besides its loss.
class ValidationScoring {
 public:
  virtual ~ValidationScoring() = default;
  /// A validation begins. Local.
  virtual void begin() = 0;
  /// Leaf `leaf` has been computed here. Local.
  virtual void see(std::int64_t leaf, const Activations& activations) = 0;
  /// All leaves have been. The same on every rank. Collective.
  virtual AnswerQuality finish() = 0;
};

struct ValidationResult {
  double loss = 0;           // mean over all labels that count
  std::int64_t counted = 0;  // labels: tokens, or ends of answers
  std::int64_t sequences = 0;
  std::optional<AnswerQuality> answers;  // with a scoring
};

/// Mean loss over `leaves` micro-batches of the source, dealt to ranks in contiguous runs; leaf sums are folded in the canonical order,
/// whoever computed them. `traffic`: brings weights that are not whole; null where they are. `scoring` sees every leaf; may be null.
/// Collective over `comm`.
ValidationResult validate(Stream& stream, Communicator& comm, const Model& model, const FlatBuffer& weights, Activations& activations,
                          LeafSource& source, std::int64_t leaves, UnitTraffic* traffic = nullptr, ValidationScoring* scoring = nullptr);

}  // namespace strata
