// Attention of one new query per sequence against a cache: fixed pieces of the cache side by side, then their sums joined in order. A
// piece's keys and values are read once from memory for all query heads of their group.
#include "device/cuda/launch.cuh"
#include "device/cuda/ptx.cuh"
#include "ops/cuda/attention_plain.cuh"

namespace strata::cuda {
namespace {

constexpr int piece_keys = static_cast<int>(attention_decode_piece), warps = 4, threads = 32 * warps;
static_assert(piece_keys == threads);

template <class T>
struct Pass {
  const T* q;
  std::int64_t q_batch, q_head;
  Heads<const T> k, v;
  const int* lengths;
  T* o;
  std::int64_t o_batch, o_head;
  SumOf<T>* partial;  // [B,nh,pieces, hd + 2]: sum of exp(score - top) v, top, mass
  int C, nh, nkv, hd, pieces, lanes;
  SumOf<T> scale;

  __device__ __forceinline__ int length(std::int64_t b) const { return min(max(1, lengths[b]), C); }
  __device__ __forceinline__ SumOf<T>* part(std::int64_t b, int h, int piece) const {
    return partial + ((b * nh + h) * pieces + piece) * (hd + 2);
  }
};

/// scores[head][key] of the piece: `lanes` lanes a key, W elements at once.
template <class T, int W>
__device__ __forceinline__ void score(const Pass<T>& a, std::int64_t b, int kv, int first, int keys, const SumOf<T>* q, SumOf<T>* scores) {
  const int per_block = threads / a.lanes, lane = static_cast<int>(threadIdx.x) % a.lanes, own = static_cast<int>(threadIdx.x) / a.lanes;
  for (int begin = 0; begin < piece_keys; begin += per_block) {
    const int j = begin + own;
    const bool valid = j < keys && own < per_block;
    const T* row = a.k.at(b, first + (valid ? j : 0), kv);
    for (int h = 0; h < a.nh / a.nkv; ++h) {
      SumOf<T> sum = 0;
      for (int d = lane * W; valid && d < a.hd; d += a.lanes * W) {
        if constexpr (W == 1) {
          sum = fma(widen(row[d]), q[h * a.hd + d], sum);
        } else {
          const Pack<T> pack = load_pack(row + d);
#pragma unroll
          for (int e = 0; e < W; ++e) sum = fma(widen(pack.of[e]), q[h * a.hd + d + e], sum);
        }
      }
      for (int step = a.lanes / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
      if (valid && lane == 0) scores[h * piece_keys + j] = sum * a.scale;
    }
  }
}

/// Scores of a head become exponentials, by one warp.
template <class Sum>
__device__ __forceinline__ void exponentiate(int keys, Sum* scores, Sum* facts) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  Sum top = -Sum{INFINITY}, mass = 0;
  for (int j = lane; j < keys; j += 32) top = max(top, scores[j]);
  for (int step = 16; step > 0; step /= 2) top = max(top, __shfl_xor_sync(0xffffffffu, top, step));
  for (int j = lane; j < keys; j += 32) {
    const Sum e = exp_of(scores[j] - top);
    scores[j] = e, mass += e;
  }
  for (int step = 16; step > 0; step /= 2) mass += __shfl_xor_sync(0xffffffffu, mass, step);
  if (lane == 0) facts[0] = top, facts[1] = mass;
}

template <class T, int W>
__global__ void __launch_bounds__(threads) piece_kernel(const Pass<T> a) {
  using Sum = SumOf<T>;
  const int piece = static_cast<int>(blockIdx.x) % a.pieces, head = static_cast<int>(blockIdx.x) / a.pieces, kv = head % a.nkv,
            group = a.nh / a.nkv;
  const std::int64_t b = head / a.nkv;
  const int first = piece * piece_keys, keys = min(piece_keys, a.length(b) - first);
  if (keys <= 0) return;
  Sum *const q = dynamic_shared<Sum>(), *const scores = q + group * a.hd;
  for (int i = static_cast<int>(threadIdx.x); i < group * a.hd; i += threads)
    q[i] = widen(a.q[b * a.q_batch + (kv * group + i / a.hd) * a.q_head + i % a.hd]);
  __syncthreads();
  score<T, W>(a, b, kv, first, keys, q, scores);
  __syncthreads();
  for (int h = static_cast<int>(threadIdx.x) / 32; h < group; h += warps)
    exponentiate(keys, scores + h * piece_keys, a.part(b, kv * group + h, piece) + a.hd);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < group * a.hd; i += threads) {
    const int h = i / a.hd, d = i % a.hd;
    const T* values = a.v.at(b, first, kv) + d;
    Sum sum = 0;
#pragma unroll 8
    for (int j = 0; j < keys; ++j) sum = fma(scores[h * piece_keys + j], widen(values[j * a.v.row]), sum);
    a.part(b, kv * group + h, piece)[d] = sum;
  }
}

template <class T>
__global__ void __launch_bounds__(threads) join_kernel(const Pass<T> a) {
  using Sum = SumOf<T>;
  const int h = static_cast<int>(blockIdx.x) % a.nh;
  const std::int64_t b = blockIdx.x / a.nh;
  const int pieces = (a.length(b) + piece_keys - 1) / piece_keys;
  Sum top = -Sum{INFINITY}, mass = 0;
  for (int p = 0; p < pieces; ++p) top = max(top, a.part(b, h, p)[a.hd]);
  for (int p = 0; p < pieces; ++p) mass = fma(a.part(b, h, p)[a.hd + 1], exp_of(a.part(b, h, p)[a.hd] - top), mass);
  for (int d = static_cast<int>(threadIdx.x); d < a.hd; d += threads) {
    Sum sum = 0;
    for (int p = 0; p < pieces; ++p) sum = fma(a.part(b, h, p)[d], exp_of(a.part(b, h, p)[a.hd] - top), sum);
    a.o[b * a.o_batch + h * a.o_head + d] = narrow<T>(sum / mass);
  }
}

template <class T>
void decode(Stream& stream, Pass<T> a, std::int64_t B, bool packed) {
  const int elements = packed ? pack_size<T> : 1;
  a.lanes = 1;
  while (a.lanes < 32 && a.lanes * elements < a.hd) a.lanes *= 2;
  const std::size_t shared = sizeof(SumOf<T>) * static_cast<std::size_t>(a.nh / a.nkv) * (a.hd + piece_keys);
  const auto kernel = packed ? piece_kernel<T, pack_size<T>> : piece_kernel<T, 1>;
  launch(kernel, {static_cast<unsigned>(B * a.nkv * a.pieces), threads, shared}, queue_of(stream), a);
  launch(join_kernel<T>, {static_cast<unsigned>(B * a.nh), threads}, queue_of(stream), a);
}

}  // namespace

void attention_decode(Stream& stream, const ConstView& q, const ConstView& k_cache, const ConstView& v_cache, const ConstView& lengths,
                      double scale, const View& o, void* workspace) {
  const std::int64_t B = q.size(0), C = k_cache.size(1), pieces = (C + piece_keys - 1) / piece_keys;
  if (B == 0 || C == 0 || q.size(1) == 0) return;
  with_float_type("attention_decode", q.type(), [&](auto element) {
    using T = decltype(element);
    const Pass<T> a{data_of<T>(q),
                    q.stride(0),
                    q.stride(1),
                    heads_of<T>(k_cache),
                    heads_of<T>(v_cache),
                    data_of<int>(lengths),
                    data_of<T>(o),
                    o.stride(0),
                    o.stride(1),
                    static_cast<SumOf<T>*>(workspace),
                    static_cast<int>(C),
                    static_cast<int>(q.size(1)),
                    static_cast<int>(k_cache.size(2)),
                    static_cast<int>(q.size(2)),
                    static_cast<int>(pieces),
                    1,
                    static_cast<SumOf<T>>(scale)};
    decode(stream, a, B, rows_pack(k_cache));
  });
}

}  // namespace strata::cuda
