// Element-wise work: groups of four elements, so that tensors of 2 and of 4 bytes an element are both read in whole lines by a warp.
// The bits are those of the host's ops: bf16 is rounded as BFloat16 does, sums of squares are added in the same order.
#include "ops/cuda/elementwise.hpp"

#include <algorithm>

#include "ops/cpu/element.hpp"
#include "ops/cpu/elementwise.hpp"
#include "ops/cuda/exact.cuh"
#include "ops/cuda/flat.cuh"
#include "ops/cuda/master.cuh"

namespace strata::cuda {
namespace {

constexpr int width = 4;

template <class T>
struct Fill {
  static constexpr int at_once = 1;
  T* to;
  T value;

  template <int N>
  __device__ Group<T, N> load(std::int64_t) const {
    Group<T, N> all;
#pragma unroll
    for (int e = 0; e < N; ++e) all.of[e] = value;
    return all;
  }
  template <int N>
  __device__ void store(std::int64_t i, const Group<T, N>& all) const {
    store_group<N>(to + i, all);
  }
};

/// bf16 goes through f32 in both directions.
template <class To, class From>
__device__ __forceinline__ To converted(From value) {
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (std::is_same_v<From, BFloat16>)
    return static_cast<To>(widen(value));
  else if constexpr (std::is_same_v<To, BFloat16>)
    return rounded(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

template <class From, class To>
struct Cast {
  static constexpr int at_once = 2;
  const From* from;
  To* to;

  template <int N>
  __device__ Group<From, N> load(std::int64_t i) const {
    return load_group<N>(from + i);
  }
  template <int N>
  __device__ void store(std::int64_t i, const Group<From, N>& x) const {
    Group<To, N> y;
#pragma unroll
    for (int e = 0; e < N; ++e) y.of[e] = converted<To>(x.of[e]);
    store_group<N>(to + i, y);
  }
};

template <class T>
struct Add {
  static constexpr int at_once = 2;
  T* to;
  const T* from;

  template <int N>
  struct Loaded {
    Group<T, N> y, x;
  };
  template <int N>
  __device__ Loaded<N> load(std::int64_t i) const {
    return {load_group<N>(static_cast<const T*>(to + i)), load_group<N>(from + i)};
  }
  template <int N>
  __device__ void store(std::int64_t i, Loaded<N> a) const {
#pragma unroll
    for (int e = 0; e < N; ++e) a.y.of[e] = sum(a.y.of[e], a.x.of[e]);
    store_group<N>(to + i, a.y);
  }
};

struct Split {
  static constexpr int at_once = 2;
  const float* master;
  BFloat16* weight;
  std::int16_t* remainder;

  template <int N>
  __device__ Group<float, N> load(std::int64_t i) const {
    return load_group<N>(master + i);
  }
  template <int N>
  __device__ void store(std::int64_t i, const Group<float, N>& from) const {
    Group<BFloat16, N> upper;
    Group<std::int16_t, N> lower;
#pragma unroll
    for (int e = 0; e < N; ++e) {
      upper.of[e] = rounded(from.of[e]);
      lower.of[e] = remainder_of(from.of[e], upper.of[e]);
    }
    store_group<N>(weight + i, upper), store_group<N>(remainder + i, lower);
  }
};

struct Join {
  static constexpr int at_once = 2;
  const BFloat16* weight;
  const std::int16_t* remainder;
  float* master;

  template <int N>
  struct Loaded {
    Group<BFloat16, N> upper;
    Group<std::int16_t, N> lower;
  };
  template <int N>
  __device__ Loaded<N> load(std::int64_t i) const {
    return {load_group<N>(weight + i), load_group<N>(remainder + i)};
  }
  template <int N>
  __device__ void store(std::int64_t i, const Loaded<N>& a) const {
    Group<float, N> to;
#pragma unroll
    for (int e = 0; e < N; ++e) to.of[e] = joined(a.upper.of[e], a.lower.of[e]);
    store_group<N>(master + i, to);
  }
};

constexpr int square_threads = 256;

/// Parts of a launch by value (see Update in adamw.cu).
struct SquareParts {
  static constexpr int most = 32;
  std::int64_t chunks = 0;  // of all
  std::int64_t end[most] = {}, chunk_end[most] = {};
};

/// A warp for each chunk, in the order of lane_sum (ops/cpu/lanes.hpp): lane l adds elements l, l + 32, ..; then lanes are folded by
/// halves. Sixteen loads are under way at once.
template <class T>
__global__ void __launch_bounds__(square_threads) squares_kernel(const T* x, SquareParts parts, double* partials) {
  const std::int64_t chunk = (std::int64_t{blockIdx.x} * square_threads + threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  std::int64_t first = 0;
  int count = 0;
  if (chunk < parts.chunks) {
    int k = 0;
    while (chunk >= parts.chunk_end[k]) ++k;
    first = (k > 0 ? parts.end[k - 1] : 0) + (chunk - (k > 0 ? parts.chunk_end[k - 1] : 0)) * cpu::square_chunk;
    const std::int64_t left = parts.end[k] - first;
    count = static_cast<int>(left < cpu::square_chunk ? left : cpu::square_chunk);
  }
  const T* from = x + first;
  double total = 0;
  const auto add = [&](int i) {
    const auto value = static_cast<double>(from[i]);
    total = sum(total, product(value, value));
  };
  if (count == cpu::square_chunk) {
#pragma unroll 16
    for (int k = 0; k < static_cast<int>(cpu::square_chunk); k += 32) add(k + lane);
  } else {
    for (int i = lane; i < count; i += 32) add(i);
  }
  for (int offset = 16; offset > 0; offset /= 2) total = sum(total, __shfl_down_sync(0xffffffffu, total, offset));
  if (lane == 0 && count > 0) partials[chunk] = total;
}

template <class T>
void run_squares(Stream& stream, const T* x, std::span<const std::int64_t> ends, double* partials) {
  constexpr int warps = square_threads / 32;
  std::int64_t begin = 0;
  while (!ends.empty()) {
    const auto now = ends.first(std::min<std::size_t>(ends.size(), SquareParts::most));
    SquareParts parts;
    const T* const from = x + begin;
    for (std::size_t k = 0; k < now.size(); ++k) {
      parts.chunks += cpu::square_chunks(now[k] - (k > 0 ? now[k - 1] : begin));
      parts.end[k] = now[k] - begin, parts.chunk_end[k] = parts.chunks;
    }
    launch(squares_kernel<T>, {static_cast<unsigned>((parts.chunks + warps - 1) / warps), square_threads}, queue_of(stream), from, parts,
           partials);
    partials += parts.chunks, begin = now.back(), ends = ends.subspan(now.size());
  }
}

}  // namespace

void fill(Stream& stream, const View& y, double value) {
  cpu::with_float_type("fill", y.type(), [&](auto element) {
    using T = decltype(element);
    T all;
    if constexpr (std::is_same_v<T, BFloat16>)
      all = BFloat16(static_cast<float>(value));
    else
      all = static_cast<T>(value);
    constexpr int pack = pack_size<T>;
    run_flat<pack>(stream, y.elements(), aligned_for<pack>(y.as<T>()), Fill<T>{y.as<T>(), all});
  });
}

void cast(Stream& stream, const ConstView& x, const View& y) {
  cpu::with_float_type("cast", x.type(), [&](auto x_element) {
    cpu::with_float_type("cast", y.type(), [&](auto y_element) {
      using From = decltype(x_element);
      using To = decltype(y_element);
      const From* from = x.as<const From>();
      To* to = y.as<To>();
      run_flat<width>(stream, x.elements(), aligned_for<width>(from) && aligned_for<width>(to), Cast<From, To>{from, to});
    });
  });
}

void add_into(Stream& stream, const View& y, const ConstView& x) {
  const auto add = [&](auto element) {
    using T = decltype(element);
    T* to = y.as<T>();
    const T* from = x.as<const T>();
    run_flat<width>(stream, y.elements(), aligned_for<width>(to) && aligned_for<width>(from), Add<T>{to, from});
  };
  if (y.type() == DType::f64)
    add(double{});
  else
    add(float{});
}

void split_master(Stream& stream, const ConstView& master, const View& weight, const View& remainder) {
  const Split work{master.as<const float>(), weight.as<BFloat16>(), remainder.as<std::int16_t>()};
  const bool aligned = aligned_for<width>(work.master) && aligned_for<width>(work.weight) && aligned_for<width>(work.remainder);
  run_flat<width>(stream, master.elements(), aligned, work);
}

void join_master(Stream& stream, const ConstView& weight, const ConstView& remainder, const View& master) {
  const Join work{weight.as<const BFloat16>(), remainder.as<const std::int16_t>(), master.as<float>()};
  const bool aligned = aligned_for<width>(work.master) && aligned_for<width>(work.weight) && aligned_for<width>(work.remainder);
  run_flat<width>(stream, master.elements(), aligned, work);
}

void sum_of_squares(Stream& stream, const ConstView& x, std::span<const std::int64_t> ends, const View& partials) {
  if (x.type() == DType::f64)
    run_squares(stream, x.as<const double>(), ends, partials.as<double>());
  else
    run_squares(stream, x.as<const float>(), ends, partials.as<double>());
}

}  // namespace strata::cuda
