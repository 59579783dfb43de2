// Attention, backward pass on tensor cores, without atomics: one kernel for dk and dv (blocks of keys against all queries that see them,
// the heads of a group in order) and one for dq (blocks of queries against their keys).
//
// Two kernels form seven products of a pair of blocks where one would form five; but dq summed by the blocks of keys would need its terms
// in an order (waiting for one another, or copies of dq), and storing dS costs S^2 bytes a head. Sixteen rows a warp: a thread then holds
// 128 sums of a head of 128 (dk and dv) or 64 sums and 64 registers of Q and dO (dq) beside 64 scores. The scores of the first kernel are
// formed transposed, P^T = exp(K Q^T), so that P^T and dS^T in registers are left operands of dv += P^T dO and dk += dS^T Q.
#include "device/cuda/launch.cuh"
#include "ops/cuda/attention_gradient.cuh"
#include "ops/cuda/attention_tensor.hpp"
#include "ops/cuda/attention_tiles.cuh"
#include "ops/cuda/limits.cuh"
#include "ops/cuda/queue.cuh"

namespace strata::cuda {
namespace {

constexpr int query_rows = 64, key_rows = 64;  // of the side that a kernel goes through
static_assert(query_rows == attention_range_rows);

using Scores = float[8][4];  // a warp's 16 rows, 64 columns

__device__ __forceinline__ void clear(Scores& s) {
#pragma unroll
  for (int n = 0; n < 8; ++n) s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0.0f;
}

/// sum += rounded(s) times the 64 rows of a tile.
template <class T, int HD>
__device__ __forceinline__ void add_product(const unsigned (&left)[4][4], const Tile<T, HD>& tile, float (&sum)[HD / 8][4]) {
#pragma unroll
  for (int j = 0; j < 4; ++j)
#pragma unroll
    for (int n = 0; n < HD / 16; ++n) {
      unsigned b[2][2];
      tile.right_rows(b, 16 * j, n);
      mma<T>(sum[2 * n], left[j], b[0]), mma<T>(sum[2 * n + 1], left[j], b[1]);
    }
}

/// Queries of one head that a block of keys meets next.
struct Place {
  int h, block;
};

/// dk and dv of 16 keys a warp.
template <class T, int HD, int warps, bool drops>
struct KeySide {
  static constexpr int keys = 16 * warps;
  static constexpr std::size_t shared = (2 * keys + 4 * query_rows) * HD * sizeof(T) + 4 * query_rows * sizeof(float);

  const GradientPass<T>& a;
  T* memory;
  std::int64_t b;
  int kv, key, warp, lane;  // key: the block's first

  __device__ __forceinline__ Tile<T, HD> k() const { return {memory}; }
  __device__ __forceinline__ Tile<T, HD> v() const { return {memory + keys * HD}; }
  __device__ __forceinline__ Tile<T, HD> q(int stage) const { return {memory + (2 * keys + stage * 2 * query_rows) * HD}; }
  __device__ __forceinline__ Tile<T, HD> dout(int stage) const { return {memory + (2 * keys + (stage * 2 + 1) * query_rows) * HD}; }
  /// lse, in base 2, and D of the stage's queries.
  __device__ __forceinline__ float* facts(int stage) const {
    return reinterpret_cast<float*>(memory + (2 * keys + 4 * query_rows) * HD) + stage * 2 * query_rows;
  }

  __device__ __forceinline__ const KeyRanges& seen(int block) const { return a.ranges[b * a.ranges_per_sequence + block]; }
  /// The first place from `at` on where a query sees one of the keys; h past the group: none.
  __device__ __forceinline__ Place find(Place at) const {
    for (const int last = (kv + 1) * a.group(); at.h < last; ++at.h, at.block = 0) {
      if (a.sight.causal) at.block = max(at.block, key / query_rows);
      for (; at.block < a.ranges_per_sequence; ++at.block)
        if (seen(at.block).any(key, keys)) return at;
    }
    return at;
  }
  __device__ __forceinline__ void load(Place at, int stage) const {
    const int i = at.block * query_rows, left = a.sight.S - i;
    q(stage).load(a.q.at(b, i, at.h), a.q.row, query_rows, left, a.hd, a.packed_q);
    dout(stage).load(a.dout.at(b, i, at.h), a.dout.row, query_rows, left, a.hd, a.packed_dout);
    cp_async_commit();
  }
  /// This thread's number of a stage: lse of the first 64 threads, D of the others. A query beyond the last has p = exp2(-inf) = 0.
  __device__ __forceinline__ float fact(Place at) const {
    const int r = static_cast<int>(threadIdx.x) % query_rows, i = at.block * query_rows + r;
    const bool is_lse = threadIdx.x < query_rows;
    if (i >= a.sight.S) return is_lse ? INFINITY : 0.0f;
    return is_lse ? a.lse[a.at(b, at.h, i)] * log2_e : a.dots[a.at(b, at.h, i)];
  }

  /// S^T = K Q^T, dP^T = V dO^T
  __device__ __forceinline__ void score(int stage, Scores& s, Scores& dp) const {
    const Tile<T, HD> queries = q(stage), douts = dout(stage);
#pragma unroll
    for (int d = 0; d < HD / 16; ++d) {
      unsigned left_k[4], left_v[4];
      k().left(left_k, 16 * warp, d), v().left(left_v, 16 * warp, d);
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        unsigned right[2][2];
        queries.right(right, 16 * n, d);
        mma<T>(s[2 * n], left_k, right[0]), mma<T>(s[2 * n + 1], left_k, right[1]);
        douts.right(right, 16 * n, d);
        mma<T>(dp[2 * n], left_v, right[0]), mma<T>(dp[2 * n + 1], left_v, right[1]);
      }
    }
  }

  /// P^T and dS^T in place of S^T and dP^T: zero where a query does not see a key.
  __device__ __forceinline__ void differentiate(Place at, int stage, bool hidden, const std::uint16_t* bits, Scores& s, Scores& dp) const {
    const float scale2 = a.scale * log2_e, *lse = facts(stage), *dots = lse + query_rows;
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int r = 8 * n + lane % 4 * 2 + e, i = at.block * query_rows + r;
        const float own = lse[r], dot = dots[r];
        KeyRange range{0, 0x7fffffff};
        if (hidden && i < a.sight.S) range = a.sight.of(b, i);
        unsigned keeps = 0;
        if constexpr (drops) keeps = bits[r * 8 + key % 128 / 16 + warp];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int j = key + 16 * warp + 8 * half + lane / 4;
          float &value = s[n][2 * half + e], &slope = dp[n][2 * half + e];
          const float p = exp2_approx(fmaf(value, scale2, -own));
          if (hidden && (j < range.first || j >= range.end)) {
            value = slope = 0.0f;
          } else if constexpr (drops) {
            const float factor = keeps >> (8 * half + lane / 4) & 1u ? a.kept : 0.0f;
            value = p * factor, slope = p * fmaf(slope, factor, -dot);
          } else {
            value = p, slope = p * (slope - dot);
          }
        }
      }
  }

  __device__ __forceinline__ void run() const {
    alignas(16) __shared__ std::uint16_t bits[drops ? query_rows * 8 : 8];
    float dk[HD / 8][4], dv[HD / 8][4];
#pragma unroll
    for (int n = 0; n < HD / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) dk[n][e] = dv[n][e] = 0.0f;

    k().load(a.k.at(b, key, kv), a.k.row, keys, a.sight.S - key, a.hd, a.packed_k);
    v().load(a.v.at(b, key, kv), a.v.row, keys, a.sight.S - key, a.hd, a.packed_v);
    cp_async_commit();
    const int end = (kv + 1) * a.group();
    Place at = find({kv * a.group(), 0});
    int stage = 0;
    if (at.h < end) {
      load(at, 0);
      if (threadIdx.x < 2 * query_rows) facts(0)[threadIdx.x] = fact(at);
    }
    while (at.h < end) {
      const Place next = find({at.h, at.block + 1});
      cp_async_wait<0>();
      __syncthreads();
      float coming = 0.0f;
      if (next.h < end) {
        load(next, stage ^ 1);
        if (threadIdx.x < 2 * query_rows) coming = fact(next);
      }
      if constexpr (drops) {
        draw_bits(a.words, b, at.h, at.block * query_rows, query_rows, key / 128, bits);
        __syncthreads();
      }
      const KeyRanges range = seen(at.block);
      if (range.any(key + 16 * warp, 16)) {
        Scores s, dp;
        clear(s), clear(dp);
        score(stage, s, dp);
        differentiate(at, stage, !range.all(key + 16 * warp, 16), bits, s, dp);
        unsigned p[4][4], ds[4][4];
#pragma unroll
        for (int j = 0; j < 4; ++j) left_of<T>(p[j], s[2 * j], s[2 * j + 1]), left_of<T>(ds[j], dp[2 * j], dp[2 * j + 1]);
        add_product<T, HD>(p, dout(stage), dv);
        add_product<T, HD>(ds, q(stage), dk);
      }
      stage ^= 1;
      if (next.h < end && threadIdx.x < 2 * query_rows) facts(stage)[threadIdx.x] = coming;
      at = next;
    }
    // Through the warp's own rows of the tiles of keys and values.
    cp_async_wait<0>();
    __syncthreads();
    k().put(dk, 16 * warp, a.scale, a.scale), v().put(dv, 16 * warp, 1.0f, 1.0f);
    __syncwarp();
    k().store(16 * warp, a.dk.at(b, key, kv), a.dk.row, a.sight.S - key, a.hd, a.packed_dk);
    v().store(16 * warp, a.dv.at(b, key, kv), a.dv.row, a.sight.S - key, a.hd, a.packed_dv);
  }
};

/// Block: a block of keys of one head; early keys, which most queries see where causal, first.
template <class T, int HD, int warps, bool drops>
__global__ void __launch_bounds__(32 * warps) key_kernel(const GradientPass<T> a, int blocks) {
  using Side = KeySide<T, HD, warps, drops>;
  const int heads = static_cast<int>(gridDim.x) / blocks, head = static_cast<int>(blockIdx.x) % heads;
  const Side side{a,
                  dynamic_shared<T>(),
                  head / a.nkv,
                  head % a.nkv,
                  static_cast<int>(blockIdx.x) / heads * Side::keys,
                  static_cast<int>(threadIdx.x) / 32,
                  static_cast<int>(threadIdx.x) % 32};
  side.run();
}

/// dq of 16 queries a warp.
template <class T, int HD, int warps, bool drops>
struct QuerySide {
  static constexpr int queries = 16 * warps;
  static_assert(queries <= 2 * key_rows, "queries and gradients lie where keys and values will");
  static constexpr std::size_t shared = 4 * key_rows * HD * sizeof(T);

  const GradientPass<T>& a;
  T* memory;
  std::int64_t b;
  int h, query, warp, lane;  // query: the block's first

  __device__ __forceinline__ Tile<T, HD> k(int stage) const { return {memory + stage * 2 * key_rows * HD}; }
  __device__ __forceinline__ Tile<T, HD> v(int stage) const { return {memory + (stage * 2 + 1) * key_rows * HD}; }
  __device__ __forceinline__ int kv() const { return h / a.group(); }
  /// What the queries of rows [row, row + 64) of the block see; nothing beyond the last.
  __device__ __forceinline__ KeyRanges seen(int row) const {
    const int block = (query + row) / query_rows;
    return block < a.ranges_per_sequence ? a.ranges[b * a.ranges_per_sequence + block] : KeyRanges::of_nobody();
  }
  __device__ __forceinline__ void load(int key, int stage) const {
    k(stage).load(a.k.at(b, key, kv()), a.k.row, key_rows, a.sight.S - key, a.hd, a.packed_k);
    v(stage).load(a.v.at(b, key, kv()), a.v.row, key_rows, a.sight.S - key, a.hd, a.packed_v);
    cp_async_commit();
  }
  /// The warp's rows of Q and dO as left operands, once.
  __device__ __forceinline__ void take(unsigned (&q)[HD / 16][4], unsigned (&dout)[HD / 16][4]) const {
    const Tile<T, HD> q_tile{memory}, dout_tile{memory + 2 * key_rows * HD};
    q_tile.load(a.q.at(b, query, h), a.q.row, queries, a.sight.S - query, a.hd, a.packed_q);
    dout_tile.load(a.dout.at(b, query, h), a.dout.row, queries, a.sight.S - query, a.hd, a.packed_dout);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
#pragma unroll
    for (int d = 0; d < HD / 16; ++d) q_tile.left(q[d], 16 * warp, d), dout_tile.left(dout[d], 16 * warp, d);
    __syncthreads();
  }

  /// S = Q K^T, dP = dO V^T
  __device__ __forceinline__ void score(int stage, const unsigned (&q)[HD / 16][4], const unsigned (&dout)[HD / 16][4], Scores& s,
                                        Scores& dp) const {
    const Tile<T, HD> keys = k(stage), values = v(stage);
#pragma unroll
    for (int d = 0; d < HD / 16; ++d)
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        unsigned right[2][2];
        keys.right(right, 16 * n, d);
        mma<T>(s[2 * n], q[d], right[0]), mma<T>(s[2 * n + 1], q[d], right[1]);
        values.right(right, 16 * n, d);
        mma<T>(dp[2 * n], dout[d], right[0]), mma<T>(dp[2 * n + 1], dout[d], right[1]);
      }
  }

  /// dS in place of S: zero where a query does not see a key.
  __device__ __forceinline__ void differentiate(int key, bool hidden, const float (&lse)[2], const float (&dots)[2],
                                                const std::uint16_t* bits, Scores& s, const Scores& dp) const {
    const float scale2 = a.scale * log2_e;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = 16 * warp + 8 * half + lane / 4, i = query + r;
      KeyRange range{0, 0x7fffffff};
      if (hidden && i < a.sight.S) range = a.sight.of(b, i);
      uint2 keeps = make_uint2(0, 0);
      if constexpr (drops) keeps = *reinterpret_cast<const uint2*>(bits + r * 8 + key % 128 / 16);
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int j = key + 8 * n + lane % 4 * 2 + e;
          float& value = s[n][2 * half + e];
          const float p = exp2_approx(fmaf(value, scale2, -lse[half]));
          float slope = dp[n][2 * half + e];
          if constexpr (drops) slope *= (n < 4 ? keeps.x : keeps.y) >> (n % 4 * 8 + lane % 4 * 2 + e) & 1u ? a.kept : 0.0f;
          value = hidden && (j < range.first || j >= range.end) ? 0.0f : p * (slope - dots[half]);
        }
    }
  }

  __device__ __forceinline__ void run() const {
    alignas(16) __shared__ std::uint16_t bits[drops ? queries * 8 : 8];
    unsigned q[HD / 16][4], dout[HD / 16][4];
    take(q, dout);
    float dq[HD / 8][4], lse[2], dots[2];
#pragma unroll
    for (int n = 0; n < HD / 8; ++n) dq[n][0] = dq[n][1] = dq[n][2] = dq[n][3] = 0.0f;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int i = query + 16 * warp + 8 * half + lane / 4;
      lse[half] = i < a.sight.S ? a.lse[a.at(b, h, i)] * log2_e : INFINITY;
      dots[half] = i < a.sight.S ? a.dots[a.at(b, h, i)] : 0.0f;
    }
    KeyRanges all = seen(0);
    if (queries > query_rows) all.add(seen(query_rows));
    // Blocks of keys begin at fixed places, so that skipping masked ones changes no bit.
    const int begin = min(all.first, all.end) / key_rows * key_rows;
    if (begin < all.end) load(begin, 0);
    int stage = 0;
    for (int key = begin; key < all.end; key += key_rows, stage ^= 1) {
      cp_async_wait<0>();
      __syncthreads();
      if (key + key_rows < all.end) load(key + key_rows, stage ^ 1);
      if constexpr (drops) {
        if (key == begin || key % 128 == 0) {
          draw_bits(a.words, b, h, query, queries, key / 128, bits);
          __syncthreads();
        }
      }
      const KeyRanges own = seen(16 * warp);
      // Where causal, the keys end for this warp before they do for its 64 queries.
      if (!own.any(key, key_rows) || (a.sight.causal && key > query + 16 * warp + 15)) continue;
      Scores s, dp;
      clear(s), clear(dp);
      score(stage, q, dout, s, dp);
      differentiate(key, !own.all(key, key_rows), lse, dots, bits, s, dp);
      unsigned ds[4][4];
#pragma unroll
      for (int j = 0; j < 4; ++j) left_of<T>(ds[j], s[2 * j], s[2 * j + 1]);
      add_product<T, HD>(ds, k(stage), dq);
    }
    __syncthreads();
    const Tile<T, HD> staged{memory};
    staged.put(dq, 16 * warp, a.scale, a.scale);
    __syncwarp();
    staged.store(16 * warp, a.dq.at(b, query, h), a.dq.row, a.sight.S - query, a.hd, a.packed_dq);
  }
};

/// Block: a block of queries of one head, late ones first, heads of a group side by side.
template <class T, int HD, int warps, bool drops>
__global__ void __launch_bounds__(32 * warps) query_kernel(const GradientPass<T> a, int blocks) {
  using Side = QuerySide<T, HD, warps, drops>;
  const int heads = static_cast<int>(gridDim.x) / blocks, head = static_cast<int>(blockIdx.x) % heads;
  const Side side{a,
                  dynamic_shared<T>(),
                  head / a.nh,
                  head % a.nh,
                  (blocks - 1 - static_cast<int>(blockIdx.x) / heads) * Side::queries,
                  static_cast<int>(threadIdx.x) / 32,
                  static_cast<int>(threadIdx.x) % 32};
  side.run();
}

template <class Side, class T>
void launch_side(void (*kernel)(GradientPass<T>, int), int rows, cudaStream_t queue, const GradientPass<T>& pass, std::int64_t heads) {
  const int blocks = (pass.sight.S + rows - 1) / rows;
  launch(kernel, {static_cast<unsigned>(heads * blocks), static_cast<unsigned>(2 * rows), Side::shared}, queue, pass, blocks);
}

/// Rows of a block decide no bit. Four warps, two blocks beside each other, where eight would leave multiprocessors idle or find no room.
constexpr std::int64_t enough_blocks = 132;

template <class T, int HD, bool drops>
void backward(cudaStream_t queue, const GradientPass<T>& pass, std::int64_t B) {
  prepare_gradients(queue, pass, B);
  const std::int64_t keys = B * pass.nkv, queries = B * pass.nh, blocks = (pass.sight.S + 127) / 128;
  if (keys * blocks >= enough_blocks && KeySide<T, HD, 8, drops>::shared + 4096 <= shared_limit())
    launch_side<KeySide<T, HD, 8, drops>>(key_kernel<T, HD, 8, drops>, 128, queue, pass, keys);
  else
    launch_side<KeySide<T, HD, 4, drops>>(key_kernel<T, HD, 4, drops>, 64, queue, pass, keys);
  if (queries * blocks >= enough_blocks)
    launch_side<QuerySide<T, HD, 8, drops>>(query_kernel<T, HD, 8, drops>, 128, queue, pass, queries);
  else
    launch_side<QuerySide<T, HD, 4, drops>>(query_kernel<T, HD, 4, drops>, 64, queue, pass, queries);
}

template <class T>
void backward(Stream& stream, const AttentionBackward& p, void* workspace) {
  const GradientPass<T> pass = gradient_pass<T>(p, workspace);
  const cudaStream_t queue = queue_of(stream);
  const bool drops = p.mask.what.drops();
  if (pass.hd <= 64)
    drops ? backward<T, 64, true>(queue, pass, p.q.size(0)) : backward<T, 64, false>(queue, pass, p.q.size(0));
  else
    drops ? backward<T, 128, true>(queue, pass, p.q.size(0)) : backward<T, 128, false>(queue, pass, p.q.size(0));
}

}  // namespace

void attention_backward_tensor(Stream& stream, const AttentionBackward& p, void* workspace) {
  if (p.q.size(0) == 0 || p.q.size(1) == 0 || p.q.size(2) == 0) return;
  p.q.type() == DType::f16 ? backward<f16>(stream, p, workspace) : backward<bf16>(stream, p, workspace);
}

}  // namespace strata::cuda
