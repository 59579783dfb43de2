#pragma once
// cuDNN's attention (AttentionKernels::cudnn, doc/cuda.md): whether it can be had, asked before a run.
#include <cstdint>
#include <string>

#include "strata/base/dtype.hpp"

namespace strata {

class Gpu;

/// The attention of a run: sequences, their length, query heads, key/value heads, head size.
struct AttentionRun {
  DType type = DType::bf16;
  std::int64_t B = 0, S = 0, nh = 0, nkv = 0, hd = 0;
  bool causal = true, backward = true;
};

/// Whether cuDNN's kernels compute it, where no keys are hidden inside sequences and nothing is dropped. Known on any machine.
inline bool cudnn_takes_attention(DType type, std::int64_t S, std::int64_t hd) {
  return (type == DType::bf16 || type == DType::f16) && hd % 8 == 0 && hd <= 128 && S > 1;
}
/// Why they cannot be used, in words; empty: they can. Loads the CUDA half. Without a GPU and a run, what can be said of program and
/// library alone; with them, cuDNN is asked for its plans. Throws NotCompiled without a CUDA half. Local.
std::string cudnn_attention_refusal(Gpu* gpu = nullptr, const AttentionRun* run = nullptr);
/// "9.28.0"; for where nothing was refused.
std::string cudnn_attention_version();

}  // namespace strata
