#pragma once
// Run metrics: the one place that feeds metrics.csv and TensorBoard's event file.
#include <cstdint>
#include <filesystem>
#include <string>

#include "strata/io/event_file.hpp"
#include "strata/train/metrics.hpp"

namespace strata {

class RunMetrics {
 public:
  /// Goes on with the metrics of the run in `folder` behind `resumed_step` (0: begins anew) and opens an event file for this launch, with
  /// the effective deck in it. Throws DataError, CapacityError. On one rank only.
  RunMetrics(const std::filesystem::path& folder, std::int64_t resumed_step, const std::string& host, const std::string& deck);
  void append(const StepMetrics& metrics);

 private:
  MetricsFile csv_;
  EventFile events_;
};

}  // namespace strata
