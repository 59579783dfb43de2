// What the parts of the emulated cuDNN share.
#pragma once
#include <cudnn_frontend.h>

namespace emulation {

/// Computes it; all memory is open. `call`: how manyeth, by which gradients without a fixed order vary.
void compute(const cudnn_frontend::graph::Attention& what, const std::unordered_map<std::int64_t, void*>& tensors, int call);

}  // namespace emulation

struct cudnnContext {
  int device = 0;
  cudaStream_t stream = nullptr;
};
