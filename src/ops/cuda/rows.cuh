#pragma once
// Rows in registers: teams of threads that read them, and sums over a team.
#include <cuda_runtime.h>

#include <cstdint>

#include "device/cuda/element.cuh"
#include "ops/cuda/teams.hpp"

namespace strata::cuda {

/// Threads of a block of a norm at most: 128 registers are left to each.
constexpr int most_row_threads = 512;

/// A row's number in both outer dimensions of [R,n,H], found by one division for all tensors of an op.
struct RowPlace {
  unsigned outer, inner;
};
__device__ __forceinline__ RowPlace place_of(unsigned row, unsigned inner) {
  return inner == 1 ? RowPlace{row, 0} : RowPlace{row / inner, row % inner};
}

/// Where the rows of a view [R,H] or [R,n,H] begin.
template <class T>
struct Rows {
  T* data;
  std::int64_t outer, inner;  // strides

  template <class AnyView>
  static Rows of(const AnyView& view) {
    return {data_of<std::remove_const_t<T>>(view), view.stride(0), view.rank() == 3 ? view.stride(1) : 0};
  }
  bool packed() const { return packs(data, outer, pack_size<std::remove_const_t<T>>) && inner % pack_size<std::remove_const_t<T>> == 0; }
  __device__ __forceinline__ T* operator[](RowPlace place) const { return data + place.outer * outer + place.inner * inner; }
};
template <class AnyView>
unsigned inner_of(const AnyView& view) {
  return view.rank() == 3 ? static_cast<unsigned>(view.size(1)) : 1u;
}
/// Rows of all outer dimensions; kernels count them in 32 bits.
template <class AnyView>
unsigned rows_of(const AnyView& view) {
  const std::int64_t rows = view.shape().rows();
  STRATA_ASSERT(rows < (std::int64_t{1} << 31), "a norm of ", rows, " rows");
  return static_cast<unsigned>(rows);
}

/// Pack p of a row of H elements; beyond the row, zeros. `whole`: rows are 16-byte aligned and packs do not cross their end. Which elements
/// a thread holds is the same either way, and so are the bits of its sums.
template <bool whole, class T>
__device__ __forceinline__ Pack<T> load_of_row(const T* row, int p, int H) {
  if constexpr (whole) {
    if (p * pack_size<T> < H) return load_pack(row + p * pack_size<T>);
  }
  Pack<T> pack;
#pragma unroll
  for (int e = 0; e < pack_size<T>; ++e) {
    const int j = p * pack_size<T> + e;
    pack.of[e] = !whole && j < H ? row[j] : narrow<T>(0);
  }
  return pack;
}
template <bool whole, class T>
__device__ __forceinline__ void store_of_row(T* row, int p, int H, const Pack<T>& pack) {
  if constexpr (whole) {
    if (p * pack_size<T> < H) store_pack(row + p * pack_size<T>, pack);
  } else {
#pragma unroll
    for (int e = 0; e < pack_size<T>; ++e)
      if (const int j = p * pack_size<T> + e; j < H) row[j] = pack.of[e];
  }
}

/// N sums over each team, for all of its threads: by halves inside a warp, then over the team's warps in order. All threads of the block
/// call it; `shared` holds 16 N and must not be that of the call before.
template <class S, int N>
__device__ __forceinline__ void team_sum(S (&value)[N], int team, S* shared) {
  for (int offset = (team < 32 ? team : 32) / 2; offset > 0; offset /= 2) {
#pragma unroll
    for (int i = 0; i < N; ++i) value[i] += __shfl_xor_sync(0xffffffffu, value[i], offset);
  }
  if (team <= 32) return;
  const unsigned warp = threadIdx.x / 32;
  if (threadIdx.x % 32 == 0) {
#pragma unroll
    for (int i = 0; i < N; ++i) shared[warp * N + i] = value[i];
  }
  __syncthreads();
  const S* const mine = shared + threadIdx.x / static_cast<unsigned>(team) * static_cast<unsigned>(team / 32 * N);
#pragma unroll
  for (int i = 0; i < N; ++i) value[i] = mine[i];
  for (int w = 1; w < team / 32; ++w) {
#pragma unroll
    for (int i = 0; i < N; ++i) value[i] += mine[w * N + i];
  }
}

/// Writes a block's sums over its rows, out[j] for j < H: thread `member` of each team holds those of its packs in `sums`. Teams in order.
template <class S, int K, int W>
__device__ __forceinline__ void store_team_sums(const S (&sums)[K][W], const Teams& teams, int H, S* out, S* shared) {
  const int member = static_cast<int>(threadIdx.x) % teams.team, group = static_cast<int>(threadIdx.x) / teams.team;
  if constexpr (K == 1) {
    if (teams.groups > 1) {
#pragma unroll
      for (int e = 0; e < W; ++e) shared[(group * teams.team + member) * W + e] = sums[0][e];
      __syncthreads();
      for (int j = static_cast<int>(threadIdx.x); j < H; j += static_cast<int>(blockDim.x)) {
        S total = 0;
        for (int g = 0; g < teams.groups; ++g) total += shared[g * teams.team * W + j];
        out[j] = total;
      }
      return;
    }
  }
#pragma unroll
  for (int k = 0; k < K; ++k)
#pragma unroll
    for (int e = 0; e < W; ++e)
      if (const int j = (member + k * teams.team) * W + e; j < H) out[j] = sums[k][e];
}
/// Elements of shared memory that store_team_sums needs.
template <int K, int W>
constexpr int team_sums_shared = K == 1 ? 256 * W : 1;

/// Calls f(K) with the number of packs of a thread as a constant.
template <class F>
void with_packs(const Teams& teams, F&& f) {
  if (teams.packs == 1)
    f(std::integral_constant<int, 1>{});
  else if (teams.packs == 2)
    f(std::integral_constant<int, 2>{});
  else
    f(std::integral_constant<int, 8>{});
}
/// Calls f(whole, K). f64 is for tests: element by element.
template <class T, class F>
void with_row_form(bool whole, const Teams& teams, F&& f) {
  with_packs(teams, [&](auto packs) {
    if constexpr (!std::is_same_v<T, double>) {
      if (whole) return f(std::true_type{}, packs);
    }
    f(std::false_type{}, packs);
  });
}
}  // namespace strata::cuda
