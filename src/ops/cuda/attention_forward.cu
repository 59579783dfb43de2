// Attention, forward pass on tensor cores: 128 queries of a head against blocks of 64 keys, with the softmax carried along in base 2.
//
// Four warps of 32 queries each: a fragment of keys or values then serves two products, without which shared memory (128 bytes a cycle)
// would feed the tensor cores at two thirds of what mma.sync takes. With a head of 128 a thread holds 128 sums and 64 scores, which leaves
// no room for the queries: they are read again for each block. Keys and values of the next block come by cp.async while this one is
// worked on, one barrier a block; 96 KiB of shared memory, so two blocks share a multiprocessor. With what else is there, dropout's bits
// too, it stays below the 99 KiB that blocks of sm_86, sm_89 and sm_120 may have.
#include "device/cuda/launch.cuh"
#include "ops/cuda/attention_tensor.hpp"
#include "ops/cuda/attention_tiles.cuh"
#include "ops/cuda/queue.cuh"

namespace strata::cuda {
namespace {

constexpr int warps = 4, threads = 32 * warps, query_rows = 32 * warps, key_rows = 64;

template <class T>
struct Pass {
  Heads<const T> q, k, v;
  Heads<T> o;
  float* lse;  // [B,nh,S] or null
  Sight sight;
  DropoutWords words;
  int nh, group, hd, blocks;  // query heads, those of a key/value head, head size, blocks of queries
  float scale, kept;
  bool packed_q, packed_k, packed_v, packed_o;
};

/// What a warp knows of its 32 queries: fragment m has rows 16 m + lane / 4 (low) and 8 more (high).
template <int HD>
struct Rows {
  float sum[2][HD / 8][4];      // of exp2(score - top) v
  float top[2][2], mass[2][2];  // largest score, unscaled; this lane's part of the sum of exponentials
};

/// S = Q K^T
template <class T, int HD>
__device__ __forceinline__ void score(const Tile<T, HD>& q, const Tile<T, HD>& k, int row, float (&s)[2][key_rows / 8][4]) {
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int n = 0; n < key_rows / 8; ++n) s[m][n][0] = s[m][n][1] = s[m][n][2] = s[m][n][3] = 0.0f;
#pragma unroll
  for (int d = 0; d < HD / 16; ++d) {
    unsigned a[2][4];
    q.left(a[0], row, d), q.left(a[1], row + 16, d);
#pragma unroll
    for (int n = 0; n < key_rows / 16; ++n) {
      unsigned b[2][2];
      k.right(b, 16 * n, d);
#pragma unroll
      for (int m = 0; m < 2; ++m) mma<T>(s[m][2 * n], a[m], b[0]), mma<T>(s[m][2 * n + 1], a[m], b[1]);
    }
  }
}

/// Scores of keys that a row does not see become -inf.
__device__ __forceinline__ void hide(const Sight& sight, std::int64_t b, int row, int key, float (&s)[2][key_rows / 8][4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int i = row + 16 * m + 8 * half + lane / 4;
      const KeyRange range = i < sight.S ? sight.of(b, i) : KeyRange{0, 0x7fffffff};  // beyond the last: zeros, which nobody reads
#pragma unroll
      for (int n = 0; n < key_rows / 8; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int j = key + 8 * n + lane % 4 * 2 + e;
          float& value = s[m][n][2 * half + e];
          value = j >= range.first && j < range.end ? value : -INFINITY;
        }
    }
}

/// Scores become exponentials; top, mass and the sums so far follow.
template <int HD>
__device__ __forceinline__ void exponentiate(float scale2, Rows<HD>& rows, float (&s)[2][key_rows / 8][4]) {
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float top = rows.top[m][half];
#pragma unroll
      for (int n = 0; n < key_rows / 8; ++n) top = fmaxf(top, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
      const float base = top == -INFINITY ? 0.0f : top * scale2, shrink = exp2_approx(rows.top[m][half] * scale2 - base);
      float mass = 0.0f;
#pragma unroll
      for (int n = 0; n < key_rows / 8; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float& value = s[m][n][2 * half + e];
          value = exp2_approx(fmaf(value, scale2, -base));
          mass += value;
        }
      rows.top[m][half] = top, rows.mass[m][half] = fmaf(rows.mass[m][half], shrink, mass);
#pragma unroll
      for (int n = 0; n < HD / 8; ++n) rows.sum[m][n][2 * half] *= shrink, rows.sum[m][n][2 * half + 1] *= shrink;
    }
}

/// Zeros in place of what is dropped.
__device__ __forceinline__ void drop(const std::uint16_t* bits, int row, int key, float (&s)[2][key_rows / 8][4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint2 keeps = *reinterpret_cast<const uint2*>(bits + (row + 16 * m + 8 * half + lane / 4) * 8 + key % 128 / 16);
#pragma unroll
      for (int n = 0; n < key_rows / 8; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const unsigned word = n < 4 ? keeps.x : keeps.y;
          if (!(word >> (n % 4 * 8 + lane % 4 * 2 + e) & 1u)) s[m][n][2 * half + e] = 0.0f;
        }
    }
}

/// sum += P V
template <class T, int HD>
__device__ __forceinline__ void add_values(const Tile<T, HD>& v, const float (&s)[2][key_rows / 8][4], Rows<HD>& rows) {
#pragma unroll
  for (int j = 0; j < key_rows / 16; ++j) {
    unsigned p[2][4];
    left_of<T>(p[0], s[0][2 * j], s[0][2 * j + 1]), left_of<T>(p[1], s[1][2 * j], s[1][2 * j + 1]);
#pragma unroll
    for (int n = 0; n < HD / 16; ++n) {
      unsigned b[2][2];
      v.right_rows(b, 16 * j, n);
#pragma unroll
      for (int m = 0; m < 2; ++m) mma<T>(rows.sum[m][2 * n], p[m], b[0]), mma<T>(rows.sum[m][2 * n + 1], p[m], b[1]);
    }
  }
}

/// o = kept sum / mass, lse = scale top + log(mass); a row that sees no key gives o = 0, lse = -inf. Through the warp's own rows of the
/// queries' tile, which nobody else reads, so that memory is written by whole rows.
template <class T, int HD>
__device__ __forceinline__ void finish(const Pass<T>& a, Rows<HD>& rows, const Tile<T, HD>& staged, std::int64_t b, int h, int first,
                                       int row) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  __syncwarp();
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float mass = rows.mass[m][half];
      mass += __shfl_xor_sync(0xffffffffu, mass, 1);
      mass += __shfl_xor_sync(0xffffffffu, mass, 2);
      inverse[half] = mass == 0.0f ? 0.0f : a.kept / mass;
      const int i = first + row + 16 * m + 8 * half + lane / 4;
      if (a.lse && lane % 4 == 0 && i < a.sight.S)
        a.lse[(b * a.nh + h) * a.sight.S + i] = mass == 0.0f ? -INFINITY : fmaf(rows.top[m][half], a.scale, logf(mass));
    }
    staged.put(rows.sum[m], row + 16 * m, inverse[0], inverse[1]);
  }
  __syncwarp();
  for (int m = 0; m < 2; ++m) staged.store(row + 16 * m, a.o.at(b, first, h), a.o.row, a.sight.S - first, a.hd, a.packed_o);
}

/// Block: 128 queries of one head, late queries (which see most keys where causal) first, heads of a group side by side so that they find
/// their keys in the cache.
template <class T, int HD, bool drops>
__global__ void __launch_bounds__(threads) forward_kernel(const Pass<T> a) {
  __shared__ KeyRanges parts[warps];
  alignas(16) __shared__ std::uint16_t bits[drops ? query_rows * 8 : 8];
  T* const memory = dynamic_shared<T>();
  const Tile<T, HD> q{memory};
  const auto keys_at = [&](int stage) { return Tile<T, HD>{memory + (query_rows + stage * 2 * key_rows) * HD}; };
  const auto values_at = [&](int stage) { return Tile<T, HD>{memory + (query_rows + (stage * 2 + 1) * key_rows) * HD}; };

  const int heads = static_cast<int>(gridDim.x) / a.blocks, head = static_cast<int>(blockIdx.x) % heads, h = head % a.nh, kv = h / a.group;
  const std::int64_t b = head / a.nh;
  const int first = (a.blocks - 1 - static_cast<int>(blockIdx.x) / heads) * query_rows, row = static_cast<int>(threadIdx.x) / 32 * 32;

  KeyRanges seen = KeyRanges::of_nobody(), own = KeyRanges::of_nobody();
  const int i = first + static_cast<int>(threadIdx.x);
  if (i < a.sight.S) own.add(a.sight.of(b, i));
  own.add_lanes();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = own;
  __syncthreads();
  for (int w = 0; w < warps; ++w) seen.add(parts[w]);

  const auto load = [&](int key, int stage) {
    keys_at(stage).load(a.k.at(b, key, kv), a.k.row, key_rows, a.sight.S - key, a.hd, a.packed_k);
    values_at(stage).load(a.v.at(b, key, kv), a.v.row, key_rows, a.sight.S - key, a.hd, a.packed_v);
    cp_async_commit();
  };
  Rows<HD> rows;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    rows.top[m][0] = rows.top[m][1] = -INFINITY, rows.mass[m][0] = rows.mass[m][1] = 0.0f;
#pragma unroll
    for (int n = 0; n < HD / 8; ++n) rows.sum[m][n][0] = rows.sum[m][n][1] = rows.sum[m][n][2] = rows.sum[m][n][3] = 0.0f;
  }
  // Blocks of keys begin at fixed places, so that skipping masked ones changes no bit.
  const int begin = min(seen.first, seen.end) / key_rows * key_rows;
  if (begin < seen.end) {
    q.load(a.q.at(b, first, h), a.q.row, query_rows, a.sight.S - first, a.hd, a.packed_q);
    load(begin, 0);
  }
  int stage = 0;
  for (int key = begin; key < seen.end; key += key_rows, stage ^= 1) {
    cp_async_wait<0>();
    __syncthreads();
    if (key + key_rows < seen.end) load(key + key_rows, stage ^ 1);
    if constexpr (drops) {
      if (key == begin || key % 128 == 0) {
        draw_bits(a.words, b, h, first, query_rows, key / 128, bits);
        __syncthreads();
      }
    }
    const KeyRanges& sees = parts[threadIdx.x / 32];
    if (!sees.any(key, key_rows)) continue;
    float s[2][key_rows / 8][4];
    score<T, HD>(q, keys_at(stage), row, s);
    if (!sees.all(key, key_rows)) hide(a.sight, b, first + row, key, s);
    exponentiate<HD>(a.scale * log2_e, rows, s);
    if constexpr (drops) drop(bits, row, key, s);
    add_values<T, HD>(values_at(stage), s, rows);
  }
  finish<T, HD>(a, rows, q, b, h, first, row);
}

template <class T, int HD, bool drops>
void forward(Stream& stream, const Pass<T>& pass, std::int64_t heads) {
  launch(forward_kernel<T, HD, drops>, {static_cast<unsigned>(heads * pass.blocks), threads, (query_rows + 4 * key_rows) * HD * sizeof(T)},
         queue_of(stream), pass);
}

template <class T>
void forward(Stream& stream, const AttentionForward& pass) {
  const ConstView& q = pass.q;
  const std::int64_t S = q.size(1), nh = q.size(2), heads = q.size(0) * nh;
  if (S == 0 || heads == 0) return;
  const Pass<T> a{heads_of<T>(q),
                  heads_of<T>(pass.k),
                  heads_of<T>(pass.v),
                  heads_of<T>(pass.o),
                  pass.lse.given() ? data_of<float>(pass.lse) : nullptr,
                  sight_of(pass.mask, S),
                  words_of(pass.mask.what),
                  static_cast<int>(nh),
                  static_cast<int>(nh / pass.k.size(2)),
                  static_cast<int>(q.size(3)),
                  static_cast<int>((S + query_rows - 1) / query_rows),
                  static_cast<float>(pass.scale),
                  static_cast<float>(kept_factor(pass.mask.what)),
                  rows_pack(q),
                  rows_pack(pass.k),
                  rows_pack(pass.v),
                  rows_pack(pass.o)};
  const bool drops = pass.mask.what.drops();
  if (q.size(3) <= 64)
    drops ? forward<T, 64, true>(stream, a, heads) : forward<T, 64, false>(stream, a, heads);
  else
    drops ? forward<T, 128, true>(stream, a, heads) : forward<T, 128, false>(stream, a, heads);
}

}  // namespace

void attention_forward_tensor(Stream& stream, const AttentionForward& pass) {
  pass.q.type() == DType::f16 ? forward<f16>(stream, pass) : forward<bf16>(stream, pass);
}

}  // namespace strata::cuda
