#pragma once
// Settings of the deck's [parallel] section.
#include <string>
#include <vector>

namespace strata {

struct ParallelConfig {
  std::string strategy = "ddp";         // ddp (alias NO_SHARD)
  std::string reduction = "canonical";  // canonical | fast
  std::string recompute = "none";       // none | selective | full: what backward computes again
  std::vector<std::string> offload;     // activations: wait in host memory; empty: all stay on the device
  std::string gradient_type = "fp32";   // fp32 | bf16 on the way between ranks
  double timeout = 600;                 // [s] the longest a rank may be waited for without a sign that it gets on
};

}  // namespace strata
