#pragma once
// Step time: how long a planned step takes on a machine that is only described (doc/plan.md has the model).
#include <string>
#include <vector>

#include "strata/device/machine.hpp"
#include "strata/train/setup.hpp"

namespace strata {

/// Where a run is to take place.
struct Site {
  Machine machine;  // of each node
  int ranks = 1, ranks_per_host = 1;
  int threads = 1;  // of a rank
};

/// One term of a step's time.
struct TimeTerm {
  std::string name;
  double seconds = 0;  // of the slowest rank
  double hidden = 0;   // [s] that pass behind computation, not in `seconds`
};

struct StepTime {
  std::vector<TimeTerm> terms;            // ops, then communication; longest first in each
  double compute = 0, communication = 0;  // [s]
  double tokens_per_s = 0;
  double mfu = 0;                    // operations of the model's own forward and backward pass over the peak of all nodes
  std::vector<std::string> guessed;  // what the machine file does not say, and a default stands for
  double seconds() const { return compute + communication; }
};

/// `tokens` are those of the step, of all ranks; `precision` is fp32, bf16 or fp64. Local.
StepTime foresee_step(const TrainPlan& plan, const Site& site, std::int64_t tokens, const std::string& precision);

}  // namespace strata
