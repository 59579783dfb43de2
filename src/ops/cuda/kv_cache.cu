// The cache of keys and values: heads copied, a warp each.
#include "ops/cuda/kv_cache.hpp"

#include "device/cuda/launch.cuh"
#include "ops/cuda/attention_heads.cuh"
#include "ops/cuda/queue.cuh"

namespace strata::cuda {
namespace {

constexpr int threads = 128, warps = threads / 32;

template <class T, int W>
__global__ void __launch_bounds__(threads) store_kernel(const T* rows, std::int64_t row, std::int64_t head, const int* positions,
                                                        Heads<T> cache, std::int64_t items, int nkv, int hd, std::int64_t C) {
  const std::int64_t item = blockIdx.x * std::int64_t{warps} + threadIdx.x / 32;
  if (item >= items) return;
  const std::int64_t r = item / nkv, h = item % nkv, at = positions ? positions[r] : r;
  if (at < 0 || at >= C) return;
  const T* from = rows + r * row + h * head;
  T* to = cache.at(positions ? r : 0, at, h);
  for (int d = static_cast<int>(threadIdx.x) % 32 * W; d < hd; d += 32 * W) {
    if constexpr (W == 1)
      to[d] = from[d];
    else
      store_pack(to + d, load_pack(from + d));
  }
}

}  // namespace

void store_rows(Stream& stream, const ConstView& rows, const ConstView& positions, const View& cache) {
  const std::int64_t nkv = rows.size(1), hd = rows.size(2), items = rows.size(0) * nkv;
  if (items == 0 || hd == 0) return;
  with_float_type("store_rows", rows.type(), [&](auto element) {
    using T = decltype(element);
    const T* from = data_of<T>(rows);
    const bool packed = packs(from, rows.stride(0), hd) && rows.stride(1) % pack_size<T> == 0 && rows_pack(cache);
    const auto kernel = packed ? store_kernel<T, pack_size<T>> : store_kernel<T, 1>;
    launch(kernel, {static_cast<unsigned>((items + warps - 1) / warps), threads}, queue_of(stream), from, rows.stride(0), rows.stride(1),
           positions.given() ? data_of<int>(positions) : nullptr, heads_of<T>(cache), items, static_cast<int>(nkv), static_cast<int>(hd),
           cache.size(1));
  });
}

}  // namespace strata::cuda
