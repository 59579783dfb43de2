// Embedding: rows copied, a warp each; gradients summed by id in order of rows, without sorting: the block of an id's first row looks for
// the others and adds them.
#include "ops/cuda/embedding.hpp"

#include "device/cuda/check.cuh"
#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "ops/cuda/queue.cuh"

namespace strata::cuda {
namespace {

constexpr int threads = 256, rows_per_block = threads / 32;

template <class T, int W>
__global__ void __launch_bounds__(threads) forward_kernel(const int* ids, std::int64_t R, const T* weight, std::int64_t ld_weight,
                                                          std::int64_t V, T* y, std::int64_t ld_y, std::int64_t H) {
  const std::int64_t r = blockIdx.x * std::int64_t{rows_per_block} + threadIdx.x / 32;
  if (r >= R || ids[r] < 0 || ids[r] >= V) return;
  const T* from = weight + ids[r] * ld_weight;
  T* to = y + r * ld_y;
#pragma unroll 4
  for (std::int64_t j = threadIdx.x % 32 * W; j < H; j += 32 * W) {
    if constexpr (W == 1)
      to[j] = from[j];
    else
      store_pack(to + j, load_pack(from + j));
  }
}

/// A row's three terms.
template <class T>
struct Tables {
  const int *ids, *types;
  const T *words, *kinds, *positions;
  std::int64_t V, n, S;
};

template <class T, int W>
__global__ void __launch_bounds__(threads) sum_kernel(const Tables<T> a, std::int64_t R, T* y, std::int64_t H) {
  const std::int64_t r = blockIdx.x * std::int64_t{rows_per_block} + threadIdx.x / 32;
  if (r >= R || a.ids[r] < 0 || a.ids[r] >= a.V || a.types[r] < 0 || a.types[r] >= a.n) return;
  const T *word = a.words + a.ids[r] * H, *kind = a.kinds + a.types[r] * H, *position = a.positions + r % a.S * H;
#pragma unroll 4
  for (std::int64_t j = threadIdx.x % 32 * W; j < H; j += 32 * W) {
    if constexpr (W == 1) {
      y[r * H + j] = narrow<T>(widen(word[j]) + widen(kind[j]) + widen(position[j]));
    } else {
      const Pack<T> first = load_pack(word + j), second = load_pack(kind + j), third = load_pack(position + j);
      Pack<T> sum;
#pragma unroll
      for (int e = 0; e < W; ++e) sum.of[e] = narrow<T>(widen(first.of[e]) + widen(second.of[e]) + widen(third.of[e]));
      store_pack(y + r * H + j, sum);
    }
  }
}

/// How often each id occurs, and its first row: whole numbers, whose sum and minimum no order changes.
__global__ void __launch_bounds__(threads) count_kernel(const int* ids, int R, std::int64_t V, int* counts, int* firsts) {
  const int r = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (r >= R || ids[r] < 0 || ids[r] >= V) return;
  atomicAdd(counts + ids[r], 1);
  atomicMin(firsts + ids[r], r);
}

constexpr int sum_threads = 128, sum_warps = sum_threads / 32, looks = 8, span = looks * sum_threads;

/// Rows of [begin, begin + span) with this id, in order, into `list`; gives their number. Holds two barriers.
__device__ __forceinline__ int find_rows(const int* ids, int R, int id, int begin, int* list) {
  __shared__ int counts[looks][sum_warps];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  unsigned votes[looks];
#pragma unroll
  for (int k = 0; k < looks; ++k) {
    const int r = begin + k * sum_threads + static_cast<int>(threadIdx.x);
    votes[k] = __ballot_sync(0xffffffffu, r < R && ids[r] == id);
    if (lane == 0) counts[k][warp] = __popc(votes[k]);
  }
  __syncthreads();
  int before = 0;
#pragma unroll
  for (int k = 0; k < looks; ++k)
#pragma unroll
    for (int w = 0; w < sum_warps; ++w) {
      if (w == warp && (votes[k] >> lane & 1u))
        list[before + __popc(votes[k] & ((1u << lane) - 1u))] = begin + k * sum_threads + static_cast<int>(threadIdx.x);
      before += counts[k][w];
    }
  __syncthreads();
  return before;
}

template <class T>
struct Gradient {
  const T* dy;
  std::int64_t ld_dy;
  const int *ids, *counts, *firsts;
  SumOf<T>* dweight;
  int R;
  std::int64_t V, H;
  bool add;
};

/// sum += rows of the list in order, W columns from `column`.
template <class T, int W>
__device__ __forceinline__ void add_rows(const Gradient<T>& a, const int* list, int count, std::int64_t column, SumOf<T> (&sum)[W]) {
#pragma unroll 4
  for (int i = 0; i < count; ++i) {
    const T* from = a.dy + list[i] * a.ld_dy + column;
    if constexpr (W == 1) {
      sum[0] += widen(from[0]);
    } else {
      const Pack<T> pack = load_pack(from);
#pragma unroll
      for (int e = 0; e < W; ++e) sum[e] += widen(pack.of[e]);
    }
  }
}

/// Block: row x and columns y of dy; only the first row of an id goes on. -0 is the number to begin a sum with: -0 + v is v for every v.
template <class T, int W>
__global__ void __launch_bounds__(sum_threads) sum_rows_kernel(const Gradient<T> a) {
  using Sum = SumOf<T>;
  __shared__ int list[span];
  const int row = static_cast<int>(blockIdx.x), id = a.ids[row];
  if (id < 0 || id >= a.V || a.firsts[id] != row) return;
  const std::int64_t column = (blockIdx.y * std::int64_t{sum_threads} + threadIdx.x) * W;
  const bool valid = column < a.H;
  Sum sum[W];
#pragma unroll
  for (int e = 0; e < W; ++e) sum[e] = -Sum{0};
  const int count = a.counts[id];
  if (count == 1) {
    if (valid) add_rows<T, W>(a, &row, 1, column, sum);
  } else {
    for (int begin = row, found = 0; found < count && begin < a.R; begin += span) {
      const int here = find_rows(a.ids, a.R, id, begin, list);
      if (valid) add_rows<T, W>(a, list, here, column, sum);
      found += here;
    }
  }
  if (!valid) return;
  Sum* const to = a.dweight + id * a.H + column;
#pragma unroll
  for (int e = 0; e < W; ++e) to[e] = a.add ? to[e] + sum[e] : sum[e];
}

unsigned row_blocks(std::int64_t R) {
  return static_cast<unsigned>((R + rows_per_block - 1) / rows_per_block);
}

template <class T>
void backward(cudaStream_t queue, const Gradient<T>& a) {
  constexpr int W = pack_size<T>;
  const bool packed = packs(a.dy, a.ld_dy, a.H);
  const std::int64_t part = sum_threads * (packed ? W : 1);
  const dim3 grid(static_cast<unsigned>(a.R), static_cast<unsigned>((a.H + part - 1) / part));
  if (packed)
    launch(sum_rows_kernel<T, W>, {grid, sum_threads}, queue, a);
  else
    launch(sum_rows_kernel<T, 1>, {grid, sum_threads}, queue, a);
}

}  // namespace

void embedding_forward(Stream& stream, const ConstView& ids, const ConstView& weight, const View& y) {
  const std::int64_t R = ids.elements(), V = weight.size(0), H = weight.size(1);
  if (R == 0 || H == 0) return;
  with_float_type("embedding_forward", y.type(), [&](auto element) {
    using T = decltype(element);
    const T* from = data_of<T>(weight);
    T* to = data_of<T>(y);
    if (packs(from, weight.stride(0), H) && packs(to, y.stride(0), H))
      launch(forward_kernel<T, pack_size<T>>, {row_blocks(R), threads}, queue_of(stream), data_of<int>(ids), R, from, weight.stride(0), V,
             to, y.stride(0), H);
    else
      launch(forward_kernel<T, 1>, {row_blocks(R), threads}, queue_of(stream), data_of<int>(ids), R, from, weight.stride(0), V, to,
             y.stride(0), H);
  });
}

void embedding_sum_forward(Stream& stream, const ConstView& ids, const ConstView& types, const ConstView& words,
                           const ConstView& types_table, const ConstView& positions, std::int64_t S, const View& y) {
  const std::int64_t R = ids.elements(), H = y.size(1);
  if (R == 0 || H == 0) return;
  with_float_type("embedding_sum_forward", y.type(), [&](auto element) {
    using T = decltype(element);
    const Tables<T> tables{data_of<int>(ids),     data_of<int>(types), data_of<T>(words),   data_of<T>(types_table),
                           data_of<T>(positions), words.size(0),       types_table.size(0), S};
    T* to = data_of<T>(y);
    if (packs(tables.words, H, H) && packs(tables.kinds, H, H) && packs(tables.positions, H, H) && packs(to, H, H))
      launch(sum_kernel<T, pack_size<T>>, {row_blocks(R), threads}, queue_of(stream), tables, R, to, H);
    else
      launch(sum_kernel<T, 1>, {row_blocks(R), threads}, queue_of(stream), tables, R, to, H);
  });
}

void embedding_backward(Stream& stream, const ConstView& dy, const ConstView& ids, const View& dweight, Write write, void* workspace) {
  const std::int64_t R = ids.elements(), V = dweight.size(0), H = dweight.size(1);
  const cudaStream_t queue = queue_of(stream);
  if (write == Write::set)
    check(cudaMemsetAsync(dweight.data(), 0, static_cast<std::size_t>(dweight.bytes()), queue), "zeroing a gradient");
  if (R == 0 || V == 0 || H == 0) return;
  int *const counts = static_cast<int*>(workspace), *const firsts = counts + V;
  check(cudaMemsetAsync(counts, 0, static_cast<std::size_t>(V) * sizeof(int), queue), "zeroing counts");
  check(cudaMemsetAsync(firsts, 0x7f, static_cast<std::size_t>(V) * sizeof(int), queue), "setting first rows");
  launch(count_kernel, {static_cast<unsigned>((R + threads - 1) / threads), threads}, queue, data_of<int>(ids), static_cast<int>(R), V,
         counts, firsts);
  with_float_type("embedding_backward", dy.type(), [&](auto element) {
    using T = decltype(element);
    backward(queue, Gradient<T>{data_of<T>(dy), dy.stride(0), data_of<int>(ids), counts, firsts, data_of<SumOf<T>>(dweight),
                                static_cast<int>(R), V, H, write == Write::add});
  });
}

}  // namespace strata::cuda
