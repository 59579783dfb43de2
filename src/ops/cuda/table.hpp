#pragma once
// The ops of the CUDA half by name, as fronts call them: each is declared in its own header beside this one and defined in the .cu file of
// that name, which only the shared object holds.
#include "ops/cuda/adamw.hpp"
#include "ops/cuda/dropout.hpp"
#include "ops/cuda/elementwise.hpp"
#include "ops/cuda/gelu.hpp"
#include "ops/cuda/layer_norm.hpp"
#include "ops/cuda/linear.hpp"
#include "ops/cuda/rms_norm.hpp"
#include "ops/cuda/rope.hpp"
#include "ops/cuda/swiglu.hpp"
#include "strata/device/gpu.hpp"

namespace strata::cuda {

struct OpTable {
  decltype(cuda::adamw_update)* adamw_update;
  decltype(cuda::add_into)* add_into;
  decltype(cuda::cast)* cast;
  decltype(cuda::dropout)* dropout;
  decltype(cuda::fill)* fill;
  decltype(cuda::gelu_forward)* gelu_forward;
  decltype(cuda::gelu_backward)* gelu_backward;
  decltype(cuda::join_master)* join_master;
  decltype(cuda::layer_norm_forward)* layer_norm_forward;
  decltype(cuda::layer_norm_backward)* layer_norm_backward;
  decltype(cuda::linear_backward_bias)* linear_backward_bias;
  decltype(cuda::rms_norm_forward)* rms_norm_forward;
  decltype(cuda::rms_norm_backward)* rms_norm_backward;
  decltype(cuda::rope_rotate)* rope_rotate;
  decltype(cuda::split_master)* split_master;
  decltype(cuda::sum_of_squares)* sum_of_squares;
  decltype(cuda::swiglu_forward)* swiglu_forward;
  decltype(cuda::swiglu_backward)* swiglu_backward;
};

/// The table of the loaded CUDA half.
inline const OpTable& ops() {
  return *static_cast<const OpTable*>(cuda_half().ops);
}

}  // namespace strata::cuda

namespace strata {

/// Runs an op where the stream is: on_cpu(stream, arguments...), or the table's entry with the same.
template <class... P, class... A>
void run_op(Stream& stream, void (*on_cpu)(Stream&, P...), void (*cuda::OpTable::*on_cuda)(Stream&, P...), A&&... arguments) {
  if (stream.on_gpu())
    (cuda::ops().*on_cuda)(stream, arguments...);
  else
    on_cpu(stream, arguments...);
}

}  // namespace strata
