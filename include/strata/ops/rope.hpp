#pragma once
// Rotary position embedding (Su et al. 2021), rotate-half form, with the scaling of Llama 3.
#include <cstdint>

#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

struct RopeConfig {
  double theta = 10000.0;
  std::int64_t head_size = 0;
  bool llama3 = false;  // rope_type "llama3": low frequencies divided by factor, a smooth step between
  double factor = 1.0, low_freq_factor = 1.0, high_freq_factor = 4.0;
  std::int64_t original_positions = 0;
};

/// cos and sin of position * f_i, f_i = theta^(-2i/hd), i < hd/2, for positions 0 .. P-1, computed in double and rounded once (f_i first to
/// f32 unless the tables are f64, as Hugging Face does).  [out] cos, sin [P, hd/2], f32 or f64. At set-up; not recorded as an op. Local.
void rope_tables(const RopeConfig& config, View cos, View sin);

/// (a, b) -> (a cos - b sin, b cos + a sin) for a = x[i], b = x[i + hd/2]; y may be x.
/// [in] x [R,n,hd], outer dimensions may be strided  [in] cos, sin [P, hd/2]  [in] positions i32 [R], each < P  [out] y, shape of x. dtype
/// x, y: f32, bf16, f64; arithmetic in f32 (f64). Local.
void rope_forward(Stream& stream, ConstView x, ConstView cos, ConstView sin, ConstView positions, View y);

/// The inverse rotation: dx = rope(-angle) dy. dx may be dy. Shapes as forward. Local.
void rope_backward(Stream& stream, ConstView dy, ConstView cos, ConstView sin, ConstView positions, View dx);

}  // namespace strata
