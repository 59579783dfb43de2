// SwiGLU: each thread takes a pack of 16 bytes, or one element where rows do not divide into packs. The same bits either way.
#include "ops/cuda/swiglu.hpp"

#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "ops/cuda/queue.cuh"

namespace strata::cuda {
namespace {

constexpr int threads = 256;

/// 1 / (1 + exp(-g)), never inf / inf.
__device__ __forceinline__ float sigmoid(float g) {
  return 1.0f / (1.0f + expf(-g));
}
__device__ __forceinline__ double sigmoid(double g) {
  return 1.0 / (1.0 + exp(-g));
}

template <class T>
__device__ T forward_one(T gate, T up) {
  const SumOf<T> g = widen(gate);
  return narrow<T>(g * sigmoid(g) * widen(up));
}

template <class T>
__device__ void backward_one(T dy, T gate, T up, T& dgate, T& dup) {
  using S = SumOf<T>;
  const S d = widen(dy), g = widen(gate), u = widen(up), s = sigmoid(g);
  dgate = narrow<T>(d * u * s * (1 + g * (1 - s)));
  dup = narrow<T>(d * g * s);
}

/// Row i / n and place i % n in it; in 32 bits where `items` fit, for a division in 64 takes as long as the rest of a pack.
struct Place {
  std::int64_t row, at;
};
__device__ __forceinline__ Place place_of(std::int64_t i, std::int64_t n, std::int64_t items) {
  if (items <= 0xffffffff) {
    const auto small = static_cast<unsigned>(i), of = static_cast<unsigned>(n);
    return {small / of, small % of};
  }
  return {i / n, i % n};
}

/// A matrix with rows `stride` elements apart.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;
  __device__ T* at(std::int64_t r, std::int64_t j) const { return data + r * stride + j; }
};

/// Element (r, j) of y from (r, j) and (r, F + j) of gate_up, W elements at once.
template <class T, int W>
__global__ void __launch_bounds__(threads) forward_kernel(Rows<const T> gate_up, Rows<T> y, std::int64_t rows, std::int64_t F) {
  const std::int64_t items = rows * (F / W);
  for (std::int64_t i = blockIdx.x * std::int64_t{threads} + threadIdx.x; i < items; i += std::int64_t{gridDim.x} * threads) {
    const Place place = place_of(i, F / W, items);
    const std::int64_t r = place.row, j = place.at * W;
    const T* gate = gate_up.at(r, j);
    if constexpr (W == 1) {
      *y.at(r, j) = forward_one(gate[0], gate[F]);
    } else {
      const Pack<T> g = load_pack(gate), u = load_pack(gate + F);
      Pack<T> out;
#pragma unroll
      for (int e = 0; e < W; ++e) out.of[e] = forward_one(g.of[e], u.of[e]);
      store_pack(y.at(r, j), out);
    }
  }
}

template <class T, int W>
__global__ void __launch_bounds__(threads)
    backward_kernel(Rows<const T> dy, Rows<const T> gate_up, Rows<T> dgate_up, std::int64_t rows, std::int64_t F) {
  const std::int64_t items = rows * (F / W);
  for (std::int64_t i = blockIdx.x * std::int64_t{threads} + threadIdx.x; i < items; i += std::int64_t{gridDim.x} * threads) {
    const Place place = place_of(i, F / W, items);
    const std::int64_t r = place.row, j = place.at * W;
    const T* gate = gate_up.at(r, j);
    T* to = dgate_up.at(r, j);
    if constexpr (W == 1) {
      T dgate, dup;
      backward_one(*dy.at(r, j), gate[0], gate[F], dgate, dup);
      to[0] = dgate, to[F] = dup;
    } else {
      const Pack<T> d = load_pack(dy.at(r, j)), g = load_pack(gate), u = load_pack(gate + F);
      Pack<T> dgate, dup;
#pragma unroll
      for (int e = 0; e < W; ++e) backward_one(d.of[e], g.of[e], u.of[e], dgate.of[e], dup.of[e]);
      store_pack(to, dgate), store_pack(to + F, dup);
    }
  }
}

template <class T>
Rows<const T> rows_of(const ConstView& view) {
  return {data_of<T>(view), view.stride(0)};
}
template <class T>
Rows<T> rows_of(const View& view) {
  return {data_of<T>(view), view.stride(0)};
}
template <class T, class AnyRows>
bool packs(const AnyRows& rows, std::int64_t F) {
  return cuda::packs<T>(rows.data, rows.stride, F);
}

template <class T>
void forward(Stream& stream, const ConstView& gate_up, const View& y) {
  const auto from = rows_of<T>(gate_up);
  const auto to = rows_of<T>(y);
  const std::int64_t rows = y.size(0), F = y.size(1);
  constexpr int W = pack_size<T>;
  if (packs<T>(from, F) && packs<T>(to, F))
    launch(forward_kernel<T, W>, {blocks_for(rows * (F / W), threads), threads}, queue_of(stream), from, to, rows, F);
  else
    launch(forward_kernel<T, 1>, {blocks_for(rows * F, threads), threads}, queue_of(stream), from, to, rows, F);
}

template <class T>
void backward(Stream& stream, const ConstView& dy, const ConstView& gate_up, const View& dgate_up) {
  const auto d = rows_of<T>(dy), from = rows_of<T>(gate_up);
  const auto to = rows_of<T>(dgate_up);
  const std::int64_t rows = dy.size(0), F = dy.size(1);
  constexpr int W = pack_size<T>;
  if (packs<T>(d, F) && packs<T>(from, F) && packs<T>(to, F))
    launch(backward_kernel<T, W>, {blocks_for(rows * (F / W), threads), threads}, queue_of(stream), d, from, to, rows, F);
  else
    launch(backward_kernel<T, 1>, {blocks_for(rows * F, threads), threads}, queue_of(stream), d, from, to, rows, F);
}

}  // namespace

void swiglu_forward(Stream& stream, const ConstView& gate_up, const View& y) {
  with_float_type("swiglu_forward", y.type(), [&](auto element) { forward<decltype(element)>(stream, gate_up, y); });
}

void swiglu_backward(Stream& stream, const ConstView& dy, const ConstView& gate_up, const View& dgate_up) {
  with_float_type("swiglu_backward", dy.type(), [&](auto element) { backward<decltype(element)>(stream, dy, gate_up, dgate_up); });
}

}  // namespace strata::cuda
