// Rotary embedding: a thread turns pairs (i, i + hd/2) of one pack of columns for up to four heads, so that the row of the tables is read
// once for them and eight loads of 16 bytes are under way. Eight threads side by side read a whole half of a head of 128.
#include "ops/cuda/rope.hpp"

#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "ops/cuda/flat.cuh"
#include "ops/cuda/queue.cuh"
#include "ops/cuda/rope.cuh"

namespace strata::cuda {
namespace {

constexpr int threads = 256, heads_each = 4;

template <class T>
struct Heads {
  T* data;
  std::int64_t row, head;  // strides

  template <class AnyView>
  static Heads of(const AnyView& view) {
    return {data_of<std::remove_const_t<T>>(view), view.stride(0), view.stride(1)};
  }
  bool packed(std::int64_t half) const { return packs(data, row, half) && head % pack_size<std::remove_const_t<T>> == 0; }
  __device__ __forceinline__ T* at(std::int64_t r, std::int64_t n) const { return data + r * row + n * head; }
};

template <class T>
struct Rotation {
  Heads<const T> x;
  Heads<T> y;
  const SumOf<T>*cos, *sin;
  std::int64_t cos_stride, sin_stride;
  const std::int32_t* positions;
  std::int64_t position_stride, tables;
  std::int64_t rows, heads, half;
  SumOf<T> sign;
};

/// (a, b) -> (a cos - b sin, b cos + a sin) for W columns.
template <int W, class T>
__device__ __forceinline__ void turn(const Group<T, W>& a, const Group<T, W>& b, const Group<SumOf<T>, W>& cos,
                                     const Group<SumOf<T>, W>& sin, T* lower, T* upper) {
  Group<T, W> low, up;
#pragma unroll
  for (int e = 0; e < W; ++e) turn_pair(a.of[e], b.of[e], cos.of[e], sin.of[e], low.of[e], up.of[e]);
  store_group<W>(lower, low), store_group<W>(upper, up);
}

template <class T, int W>
__global__ void __launch_bounds__(threads) rotate_kernel(Rotation<T> a) {
  using S = SumOf<T>;
  const auto pieces = static_cast<unsigned>(a.half / W), head_groups = static_cast<unsigned>((a.heads + heads_each - 1) / heads_each);
  const unsigned item = blockIdx.x * threads + threadIdx.x;  // quotients in 32 bits: those in 64 take a hundred instructions
  if (item >= a.rows * head_groups * pieces) return;
  const unsigned rest = item / pieces, group = rest % head_groups;
  const std::int64_t i = std::int64_t{item % pieces} * W, r = rest / head_groups, first = std::int64_t{group} * heads_each;
  const int count = static_cast<int>(a.heads - first < heads_each ? a.heads - first : heads_each);
  const std::int64_t position = a.positions[r * a.position_stride];
  Group<T, W> lower[heads_each], upper[heads_each];
#pragma unroll
  for (int h = 0; h < heads_each; ++h)
    if (h < count) lower[h] = load_group<W>(a.x.at(r, first + h) + i), upper[h] = load_group<W>(a.x.at(r, first + h) + i + a.half);
  Group<S, W> cos, sin;
  if (position >= 0 && position < a.tables) {
    cos = load_group<W>(a.cos + position * a.cos_stride + i), sin = load_group<W>(a.sin + position * a.sin_stride + i);
#pragma unroll
    for (int e = 0; e < W; ++e) sin.of[e] *= a.sign;
  } else {
#pragma unroll
    for (int e = 0; e < W; ++e) cos.of[e] = sin.of[e] = static_cast<S>(__uint_as_float(0x7fc00000u));
  }
#pragma unroll
  for (int h = 0; h < heads_each; ++h)
    if (h < count) {
      T* const to = a.y.at(r, first + h) + i;
      turn<W>(lower[h], upper[h], cos, sin, to, to + a.half);
    }
}

template <class T, int W>
void rotate(Stream& stream, const Rotation<T>& work) {
  const std::int64_t items = work.rows * ((work.heads + heads_each - 1) / heads_each) * (work.half / W);
  STRATA_ASSERT(items < std::int64_t{1} << 31, "rotary embedding of ", work.rows, " rows of ", work.heads, " heads");
  if (items > 0) launch(rotate_kernel<T, W>, {static_cast<unsigned>((items + threads - 1) / threads), threads}, queue_of(stream), work);
}

}  // namespace

void rope_rotate(const char* op, Stream& stream, const ConstView& x, const ConstView& cos, const ConstView& sin, const ConstView& positions,
                 bool inverse, const View& y) {
  with_float_type(op, x.type(), [&](auto element) {
    using T = decltype(element);
    using S = SumOf<T>;
    const Rotation<T> work{Heads<const T>::of(x),
                           Heads<T>::of(y),
                           data_of<S>(cos),
                           data_of<S>(sin),
                           cos.stride(0),
                           sin.stride(0),
                           positions.as<const std::int32_t>(),
                           positions.stride(0),
                           cos.size(0),
                           x.size(0),
                           x.size(1),
                           x.size(2) / 2,
                           inverse ? S{-1} : S{1}};
    constexpr int W = pack_size<T>;
    const bool tables = packs(work.cos, work.cos_stride, work.half) && packs(work.sin, work.sin_stride, work.half);
    if (tables && work.x.packed(work.half) && work.y.packed(work.half))
      rotate<T, W>(stream, work);
    else
      rotate<T, 1>(stream, work);
  });
}

}  // namespace strata::cuda
