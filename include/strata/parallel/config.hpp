#pragma once
// Settings of the deck's [parallel] section.
#include <cstdint>
#include <string>
#include <vector>

namespace strata {

struct ParallelConfig {
  std::string strategy = "ddp";                 // ddp | zero1 | zero2 | fsdp | hybrid
  std::int64_t group = 0;                       // [ranks] of a group of strategy hybrid; 0: those of a host
  std::int64_t node = 0;                        // [ranks] that fold their gradients before the sum leaves for others; 0: those of a host
  std::int64_t prefetch = 1;                    // [units] gathered ahead of their use
  std::int64_t bucket = std::int64_t{1} << 20;  // [elements] that travel as one message
  bool overlap = true;                          // communication beside computation; false: to measure what that is worth
  std::string reduction = "canonical";          // canonical | fast
  std::string recompute = "none";               // none | selective | full: what backward computes again
  std::vector<std::string> offload;             // activations: wait in host memory; empty: all stay on the device
  std::string gradient_type = "fp32";           // fp32 | bf16 on the way between ranks
  double timeout = 600;                         // [s] the longest a rank may be waited for without a sign that it gets on
};

}  // namespace strata
