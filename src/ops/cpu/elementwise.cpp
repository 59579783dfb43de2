// Element-wise work on the host: one vector loop per block.
#include "ops/cpu/elementwise.hpp"

#include <algorithm>
#include <cmath>

#include "ops/cpu/blocks.hpp"
#include "ops/cpu/element.hpp"
#include "ops/cpu/lanes.hpp"
#include "ops/cpu/master.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

/// bf16 goes through f32 in both directions.
template <class To, class From>
To converted(From value) {
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (std::is_same_v<From, BFloat16>)
    return static_cast<To>(static_cast<float>(value));
  else if constexpr (std::is_same_v<To, BFloat16>)
    return BFloat16(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

/// Sum of squares, lane by lane as lane_sum() adds. The cache lines are asked for well before they are read: the processor by itself
/// reads them at two thirds of the memory's speed.
template <class T>
double squares(const T* x, Index n) {
  constexpr Index lanes = 32, ahead = 1024, line = 64 / static_cast<Index>(sizeof(T));
  double sum[lanes] = {};
  Index i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (Index l = 0; l < lanes; l += line) __builtin_prefetch(x + i + ahead + l);
    for (Index l = 0; l < lanes; ++l) {
      const auto value = converted<double>(x[i + l]);
      sum[l] = std::fma(value, value, sum[l]);
    }
  }
  double rest[lanes] = {};  // its own array: the lanes above then stay in registers
  for (Index l = 0; i + l < n; ++l) rest[l] = converted<double>(x[i + l]) * converted<double>(x[i + l]);
  for (Index l = 0; l < lanes; ++l) sum[l] += rest[l];
  return fold_lanes<lanes>(sum);
}

}  // namespace

void fill(Stream& stream, const View& y, double value) {
  with_float_type("fill", y.type(), [&](auto element) {
    using T = decltype(element);
    T* to = y.as<T>();
    const T all = converted<T>(value);
    for_blocks(stream, y.elements(), [=](Index first, Index last) {
      for (Index i = first; i < last; ++i) to[i] = all;
    });
  });
}

void cast(Stream& stream, const ConstView& x, const View& y) {
  with_float_type("cast", x.type(), [&](auto x_element) {
    with_float_type("cast", y.type(), [&](auto y_element) {
      using From = decltype(x_element);
      using To = decltype(y_element);
      const From* from = x.as<const From>();
      To* to = y.as<To>();
      for_blocks(stream, x.elements(), [=](Index first, Index last) {
        for (Index i = first; i < last; ++i) to[i] = converted<To>(from[i]);
      });
    });
  });
}

void add_into(Stream& stream, const View& y, const ConstView& x) {
  const auto add = [&](auto element) {
    using T = decltype(element);
    T* to = y.as<T>();
    const T* from = x.as<const T>();
    for_blocks(stream, y.elements(), [=](Index first, Index last) {
#pragma GCC ivdep
      for (Index i = first; i < last; ++i) to[i] += from[i];
    });
  };
  if (y.type() == DType::f64)
    add(double{});
  else
    add(float{});
}

void split_master(Stream& stream, const ConstView& master, const View& weight, const View& remainder) {
  const float* from = master.as<const float>();
  auto* upper = weight.as<BFloat16>();
  auto* lower = remainder.as<std::int16_t>();
  for_blocks(stream, master.elements(), [=](Index first, Index last) {
#pragma GCC ivdep
    for (Index i = first; i < last; ++i) {
      upper[i] = BFloat16(from[i]);
      lower[i] = remainder_of(from[i], upper[i]);
    }
  });
}

void join_master(Stream& stream, const ConstView& weight, const ConstView& remainder, const View& master) {
  const auto* upper = weight.as<const BFloat16>();
  const auto* lower = remainder.as<const std::int16_t>();
  float* to = master.as<float>();
  for_blocks(stream, master.elements(), [=](Index first, Index last) {
    for (Index i = first; i < last; ++i) to[i] = joined(upper[i], lower[i]);
  });
}

void sum_of_squares(Stream& stream, const ConstView& x, std::span<const std::int64_t> ends, const View& partials) {
  constexpr Index chunks_at_once = 4;
  const Index chunks = partials.elements();
  auto* to = partials.as<double>();
  with_float_type("sum_of_squares", x.type(), [&](auto element) {
    using T = decltype(element);
    const T* from = x.as<const T>();
    stream.pool().run((chunks + chunks_at_once - 1) / chunks_at_once, [&](Index task, int) {
      const Index first = task * chunks_at_once, last = std::min(chunks, first + chunks_at_once);
      Index begin = 0, chunk = 0;  // of a part: its first element, and the number of its first chunk
      for (const Index end : ends) {
        const Index next = chunk + square_chunks(end - begin);
        for (Index c = std::max(first, chunk); c < std::min(last, next); ++c) {
          const Index at = begin + (c - chunk) * square_chunk;
          to[c] = squares(from + at, std::min(square_chunk, end - at));
        }
        begin = end, chunk = next;
      }
    });
  });
}

}  // namespace strata::cpu
