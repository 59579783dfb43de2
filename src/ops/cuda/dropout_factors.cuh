#pragma once
// Factors of dropout on the GPU, the same bits as ops/cpu/dropout_factors.hpp: half-word h of counter l of a group of 128 columns decides
// element 16 h + l of it.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "strata/ops/dropout.hpp"
#include "strata/tensor/random.hpp"

namespace strata::cuda {

/// Where kernels read the step; null: nowhere.
inline const std::uint32_t* step_place(const Dropout& what) {
  return what.step_at.given() ? reinterpret_cast<const std::uint32_t*>(what.step_at.as<const std::int32_t>()) : nullptr;
}

/// The factors of one head; S is float or double.
template <class S>
struct DropoutFactors {
  const std::int32_t* samples = nullptr;   // on the device
  const std::uint32_t* step_at = nullptr;  // or null: the step, when the kernel runs
  std::uint32_t step = 0, place = 0, key0 = 0, key1 = 0, threshold = 0;
  S kept = 1;  // the factor of what is not dropped

  /// `what` drops.
  static DropoutFactors of(const Dropout& what, std::int64_t head) {
    const auto threshold = static_cast<std::uint32_t>(std::min(65535L, std::lround(what.p * 65536)));
    return {what.samples.as<const std::int32_t>(),
            step_place(what),
            what.step,
            what.site * 4096 + static_cast<std::uint32_t>(head),
            static_cast<std::uint32_t>(what.seed),
            static_cast<std::uint32_t>(what.seed >> 32) ^ (static_cast<std::uint32_t>(RandomPurpose::dropout) * 0x9E3779B9u),
            threshold,
            static_cast<S>(65536.0 / (65536.0 - static_cast<double>(threshold)))};
  }

  /// Philox 4x32-10 of counter l of group g of row i of a sample.
  __device__ __forceinline__ uint4 words(std::uint32_t sample, std::uint32_t i, std::uint32_t g, std::uint32_t l) const {
    std::uint32_t x0 = sample, x1 = step_at ? *step_at : step, x2 = (i << 16 | g * 16) + l, x3 = place, k0 = key0, k1 = key1;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
      const std::uint32_t a = __umulhi(x0, 0xD2511F53u), b = __umulhi(x2, 0xCD9E8D57u);
      const std::uint32_t a_low = x0 * 0xD2511F53u, b_low = x2 * 0xCD9E8D57u;
      x0 = b ^ x1 ^ k0, x1 = b_low;
      x2 = a ^ x3 ^ k1, x3 = a_low;
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return make_uint4(x0, x1, x2, x3);
  }
  static __device__ __forceinline__ std::uint32_t half_word(const uint4& words, int h) {
    const std::uint32_t word = h < 2 ? words.x : h < 4 ? words.y : h < 6 ? words.z : words.w;
    return h % 2 == 0 ? word & 0xffffu : word >> 16;
  }

  /// The factor of element j of row i, by a Philox of its own.
  __device__ __forceinline__ S one(std::uint32_t sample, std::uint32_t i, std::uint32_t j) const {
    const std::uint32_t e = j % 128;
    return half_word(words(sample, i, j / 128, e % 16), static_cast<int>(e / 16)) < threshold ? S{0} : kept;
  }
  /// Bit e: whether element p W + e of row i is kept; W is 4 or 8. For a whole warp at once, in one row, whose lane l has a pack p with
  /// p % 32 = l: each lane draws one counter for all, eight votes hand the bits round.
  template <int W>
  __device__ __forceinline__ std::uint32_t kept_bits(std::uint32_t sample, std::uint32_t i, std::uint32_t p) const {
    static_assert(W == 4 || W == 8);
    const std::uint32_t lane = threadIdx.x % 32, e = p * W % 128, mine = e / 16;
    const uint4 drawn = words(sample, i, p * W / 128, lane % 16);
    std::uint32_t votes = 0;
#pragma unroll
    for (std::uint32_t h = 0; h < 8; ++h) {
      const std::uint32_t all = __ballot_sync(0xffffffffu, half_word(drawn, static_cast<int>(h)) >= threshold);
      votes = h == mine ? all : votes;
    }
    return votes >> ((lane & 16) + e % 16);
  }
};

}  // namespace strata::cuda
