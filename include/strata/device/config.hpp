#pragma once
// Settings of the deck's [device] and [precision] sections.
#include <cstdint>
#include <string>

namespace strata {

struct DeviceConfig {
  std::string kind = "auto";      // auto | cpu | cuda
  int threads = 0;                // per rank; 0: auto, the cores of the host shared among its ranks
  std::string graphs = "auto";    // auto | on | off: micro-batches as CUDA graphs
  std::string tuning;             // tuning file, of cuda; empty: cuBLASLt's own choice
  std::string attention = "own";  // own | cudnn: kernels of attention, on cuda
};

struct PrecisionConfig {
  std::string compute = "bf16";        // fp32 | bf16 | fp16 (cuda) | fp64 (cpu)
  std::string loss_scale = "dynamic";  // dynamic | none | a power of two; of fp16
  // Of the dynamic one; powers of two.
  double initial_scale = 65536, scale_growth = 2, scale_backoff = 0.5, smallest_scale = 1;
  std::int64_t scale_window = 2000;  // [updates] on end before it grows
};

}  // namespace strata
