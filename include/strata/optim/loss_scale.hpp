#pragma once
// The loss scale of fp16 training: the factor under which small gradients stay above what fp16 can hold, and how it follows what overflows.
#include <cstdint>
#include <map>
#include <string>

#include "strata/device/config.hpp"

namespace strata {

/// As torch.amp.GradScaler has it (semantics S4): a step whose scaled gradients are not finite is skipped and the scale times `backoff`;
/// after `window` updates on end the scale times `growth`. All are powers of two, so that scaling and unscaling change no bit of a gradient
/// that fits.
class LossScale {
 public:
  /// 1, for good.
  LossScale() = default;
  /// What [precision] asks for: 1 unless it computes in fp16.
  explicit LossScale(const PrecisionConfig& config);

  double value() const { return value_; }
  /// "65536", every digit.
  std::string str() const;
  /// Whether it follows what happens.
  bool adapts() const { return window_ > 0; }
  /// Whether a step may overflow: the scale then does not fall below the smallest.
  bool can_fall() const { return adapts() && value_ * backoff_ >= smallest_; }
  /// Steps skipped so far.
  std::int64_t overflows() const { return overflows_; }
  /// The step's update was made. True where the scale has risen.
  bool update_made();
  /// The step was skipped. Throws InternalError unless can_fall().
  void overflowed();
  /// For the message of the run that ends: ", with the loss scale at 1, ...".
  std::string exhausted_text() const;

  /// Into, and out of, further texts of a checkpoint's record. Nothing is stored of a scale that never changes.
  void save(std::map<std::string, std::string>& texts) const;
  void restore(const std::map<std::string, std::string>& texts);

 private:
  double value_ = 1, growth_ = 2, backoff_ = 0.5, smallest_ = 1;
  std::int64_t window_ = 0;  // [updates] 0: it never changes
  std::int64_t good_ = 0;    // updates since the last change
  std::int64_t overflows_ = 0;
};

/// Whether [precision] loss_scale is a text that LossScale takes: dynamic, none, or a power of two from 1 to 2^40.
bool is_loss_scale(const std::string& text);

}  // namespace strata
