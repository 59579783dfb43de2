#pragma once
// Settings of the deck's [run], [batch] and [train] sections.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace strata {

struct RunConfig {
  std::string folder = "runs/default";  // everything the run writes lies in here
  std::uint64_t seed = 42;
  std::string resume = "auto";    // auto | never | a checkpoint | a folder of checkpoints
  std::string progress = "auto";  // auto | on | off
  std::string fault;              // a fault on purpose (base/fault.hpp), for tests; empty: none
  bool profile = false;           // time per op and its floor
  double device_log = 10;         // [s] between lines of device_use.csv; 0: none
};

struct BatchConfig {
  std::int64_t global = 0;                                          // [sequences] per optimizer step; 0: micro * accumulation * ranks
  std::int64_t micro = 1;                                           // [sequences] per rank and pass
  std::int64_t block = 1;                                           // [micro-batches] added in order before the tree
  std::vector<std::pair<std::int64_t, std::int64_t>> accumulation;  // (from epoch, factor); empty: global is given
};

struct TrainConfig {
  std::int64_t max_steps = 0;             // [steps] 0: no limit
  std::int64_t epochs = 0;                // 0: no limit
  std::int64_t validate_every = 0;        // [steps] 0: only at the end
  std::int64_t validation_sequences = 0;  // 0: all
  std::int64_t early_stopping = 0;        // validations without improvement; 0: off
  double min_delta = 0.0;                 // improvement that counts
  std::int64_t log_every = 1;             // [steps]
  double clip = 1.0;                      // global gradient norm; 0: off
  std::string non_finite = "stop";        // stop | skip: a step whose loss or gradient is not finite
  std::string loss = "tokens";            // tokens | microbatch_mean (semantics S6)
};

}  // namespace strata
