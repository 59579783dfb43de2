#pragma once
// Settings of the deck's [device] and [precision] sections.
#include <string>

namespace strata {

struct DeviceConfig {
  std::string kind = "auto";  // auto | cpu | cuda
  int threads = 0;            // per rank; 0: auto, the cores of the host shared among its ranks
};

struct PrecisionConfig {
  std::string compute = "bf16";     // fp32 | bf16 | fp64
  std::string loss_scale = "none";  // none: only fp16 needs one
};

}  // namespace strata
