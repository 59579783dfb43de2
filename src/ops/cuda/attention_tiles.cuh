#pragma once
// Tiles of bf16 or f16 rows in shared memory and their fragments for the tensor cores.
#include "device/cuda/element.cuh"
#include "device/cuda/ptx.cuh"
#include "ops/cuda/attention_heads.cuh"

namespace strata::cuda {

/// Rows of HD elements as pieces of 16 bytes; piece c of row r lies at place c ^ (r % 8) of the row, so that eight rows of one piece, as
/// ldmatrix reads them, fall on all 32 banks.
template <class T, int HD>
struct Tile {
  static constexpr int pieces = HD / 8;
  T* data;

  __device__ __forceinline__ T* at(int row, int piece) const { return data + row * HD + ((piece ^ (row & 7)) * 8); }

  /// Begins the copy of rows [0, rows) from memory; zeros from row `limit` and from column `hd` on. By packs where the rows allow, with
  /// cp.async (a commit and a wait belong to it); else element by element.
  __device__ __forceinline__ void load(const T* from, std::int64_t stride, int rows, int limit, int hd, bool packed) const {
    const int threads = static_cast<int>(blockDim.x);
    if (packed) {
#pragma unroll 4
      for (int i = static_cast<int>(threadIdx.x); i < rows * pieces; i += threads) {
        const int row = i / pieces, piece = i % pieces;
        const bool valid = row < limit && piece * 8 < hd;
        cp_async_16_zfill(at(row, piece), valid ? from + row * stride + piece * 8 : from, valid);
      }
      return;
    }
    for (int i = static_cast<int>(threadIdx.x); i < rows * pieces; i += threads) {
      const int row = i / pieces, piece = i % pieces;
      Pack<T> pack;
#pragma unroll
      for (int e = 0; e < 8; ++e) pack.of[e] = row < limit && piece * 8 + e < hd ? from[row * stride + piece * 8 + e] : narrow<T>(0.0f);
      store_pack(at(row, piece), pack);
    }
  }

  /// Rows [row, row + 16), columns [16 k, + 16) as a left operand.
  __device__ __forceinline__ void left(unsigned (&a)[4], int row, int k) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    ldmatrix_x4(a, at(row + lane % 16, 2 * k + lane / 16));
  }
  /// Rows [row, row + 16) as columns of a right operand whose depth are our columns [16 k, + 16): b[0], b[1] for eight rows each.
  __device__ __forceinline__ void right(unsigned (&b)[2][2], int row, int k) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    unsigned r[4];
    ldmatrix_x4(r, at(row + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
    b[0][0] = r[0], b[0][1] = r[1], b[1][0] = r[2], b[1][1] = r[3];
  }
  /// Columns [16 n, + 16) of a right operand whose depth are our rows [row, row + 16): b[0], b[1] for eight columns each.
  __device__ __forceinline__ void right_rows(unsigned (&b)[2][2], int row, int n) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    unsigned r[4];
    ldmatrix_x4_trans(r, at(row + lane % 16, 2 * n + lane / 16));
    b[0][0] = r[0], b[0][1] = r[1], b[1][0] = r[2], b[1][1] = r[3];
  }

  /// Sums of a warp's 16 rows, HD columns (accumulators side by side), times `factor` of each half, rounded into rows [row, + 16).
  __device__ __forceinline__ void put(const float (&sum)[HD / 8][4], int row, float low, float high) const;
  /// The warp's rows [row, row + 16) to memory: those below `limit`, hd columns.
  __device__ __forceinline__ void store(int row, T* to, std::int64_t stride, int limit, int hd, bool packed) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    for (int i = lane; i < 16 * pieces; i += 32) {
      const int r = row + i / pieces, piece = i % pieces;
      if (r >= limit || piece * 8 >= hd) continue;
      const Pack<T> pack = load_pack(at(r, piece));
      T* place = to + r * stride + piece * 8;
      if (packed) {
        store_pack(place, pack);
      } else {
#pragma unroll
        for (int e = 0; e < 8; ++e)
          if (piece * 8 + e < hd) place[e] = pack.of[e];
      }
    }
  }
};

/// d += a b for a warp, as mma_bf16_16x8x16.
template <class T>
__device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  if constexpr (std::is_same_v<T, f16>)
    mma_f16_16x8x16(d, a, b);
  else
    mma_bf16_16x8x16(d, a, b);
}

/// Two numbers rounded to T, the first in the lower half.
template <class T>
__device__ __forceinline__ unsigned pair_of(float first, float second) {
  std::conditional_t<std::is_same_v<T, f16>, __half2, __nv_bfloat162> pair;
  if constexpr (std::is_same_v<T, f16>)
    pair = __floats2half2_rn(first, second);
  else
    pair = __floats2bfloat162_rn(first, second);
  unsigned bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

/// Sums of 16 rows and 16 columns, rounded, as a left operand.
template <class T>
__device__ __forceinline__ void left_of(unsigned (&a)[4], const float (&first)[4], const float (&second)[4]) {
  a[0] = pair_of<T>(first[0], first[1]), a[1] = pair_of<T>(first[2], first[3]);
  a[2] = pair_of<T>(second[0], second[1]), a[3] = pair_of<T>(second[2], second[3]);
}

template <class T, int HD>
__device__ __forceinline__ void Tile<T, HD>::put(const float (&sum)[HD / 8][4], int row, float low, float high) const {
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int n = 0; n < HD / 8; ++n) {
    *reinterpret_cast<unsigned*>(at(row + g, n) + 2 * t) = pair_of<T>(sum[n][0] * low, sum[n][1] * low);
    *reinterpret_cast<unsigned*>(at(row + g + 8, n) + 2 * t) = pair_of<T>(sum[n][2] * high, sum[n][3] * high);
  }
}

constexpr float log2_e = 1.44269504088896340736f;

}  // namespace strata::cuda
