#pragma once
// AdamW (Loshchilov and Hutter 2019) on flat stretches, in PyTorch's form (semantics S3).
#include <cstdint>
#include <span>

#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

struct AdamwStep {
  double lr = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  std::int64_t t = 1;         // this update's number, from 1
  double gradient_scale = 1;  // clipping coefficient over the loss scale, multiplied into the gradient first
};

/// g' = g * gradient_scale;  p *= 1 - lr wd;  m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2;  p -= lr / (1 - b1^t) * m / (sqrt(v) /
/// sqrt(1 - b2^t) + eps). [in,out] weight [n]: f32, f64; or bf16 with `rest` the remainder i16 [n], master = (bf16 bits << 16) + remainder,
/// exact; or (on a GPU) f16, written only, with `rest` the master f32 [n]. Otherwise rest is not given  [in] gradient f32 (f64) [n]
/// [in,out] exp_avg, exp_avg_sq f32 (f64) [n]. All contiguous. Every element's bits depend on its own values alone. Local.
void adamw_update(Stream& stream, View weight, View rest, ConstView gradient, View exp_avg, View exp_avg_sq, const AdamwStep& step);

/// Elements of a stretch from the end of the segment before up to `end`: one parameter, or neighbours that are updated alike.
struct AdamwSegment {
  std::int64_t end = 0;
  bool decays = true;  // by step.weight_decay; otherwise not at all
};

/// The same for parameters that lie end to end. Segments are not empty, and the last one ends at n. A unit of a model is one such call,
/// and on a GPU one launch (of 32 segments each).
void adamw_update(Stream& stream, View weight, View rest, ConstView gradient, View exp_avg, View exp_avg_sq, const AdamwStep& step,
                  std::span<const AdamwSegment> segments);

}  // namespace strata
