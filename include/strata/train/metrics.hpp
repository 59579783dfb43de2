#pragma once
// metrics.csv and the step line: what a run says of each step.
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

namespace strata {

struct StepMetrics {
  std::int64_t step = 0, max_steps = 0;
  double epoch = 0;
  std::int64_t tokens = 0;  // since the beginning of training
  double loss = 0, grad_norm = 0, lr = 0;
  double validation_loss = 0;  // NaN: not validated after this step
  double tokens_per_s = 0, sequences_per_s = 0;
  std::int64_t memory_bytes = 0;
  double eta = 0;  // [s]
  // For TensorBoard only; metrics.csv has its columns.
  bool perplexity = true;                                                           // of the validation loss; false: it means nothing
  double exact_match = std::numeric_limits<double>::quiet_NaN(), f1 = exact_match;  // [percent] NaN: not scored after this step
  double loss_scale = exact_match;                                                  // NaN: it never changes
};

/// "Step 120/1000  Loss 3.4121  norm 0.84  lr 4.98e-05  8123 tok/s  15.9 seq/s  2.31 GB  eta 12:05"
std::string step_line(const StepMetrics& metrics);

/// metrics.csv: 17 significant digits, so that equal bits are equal text. On one rank only.
class MetricsFile {
 public:
  /// Opens for appending after cutting every row beyond `resumed_step` (0: begins anew) and every line that is no row with a rising step;
  /// such lines are counted in a warning. A file without this version's header is renamed to <name>.unknown. Throws DataError.
  MetricsFile(const std::filesystem::path& path, std::int64_t resumed_step);
  void append(const StepMetrics& metrics);

 private:
  std::filesystem::path path_;
};

/// Peak resident memory of this process. [bytes]
std::int64_t peak_memory_bytes();

}  // namespace strata
