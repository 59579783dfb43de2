// Attention, forward pass by plain kernels: a tile of queries of one head against tiles of keys, with the softmax carried along.
#include "ops/cuda/attention_cudnn.hpp"
#include "ops/cuda/attention_plain.cuh"

namespace strata::cuda {
namespace {

template <class T>
struct Pass {
  Heads<const T> q, k, v;
  Heads<T> o;
  SumOf<T>* lse;  // or null
  Sight sight;
  DropoutWords words;
  int nh, group, hd, blocks;
  SumOf<T> scale, kept;
};

/// What all rows of the block see together.
template <int warps>
__device__ __forceinline__ KeyRanges block_ranges(KeyRange own) {
  __shared__ KeyRanges parts[warps];
  KeyRanges ranges = KeyRanges::of_nobody();
  ranges.add(own), ranges.add_lanes();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = ranges;
  __syncthreads();
  for (int w = 0; w < warps; ++w) ranges.add(parts[w]);
  return ranges;
}

/// A thread's part of the scores of its row for one tile of keys: exponentials, zero where dropped, into `p`; gives the factor for what was
/// summed before.
template <class T>
__device__ __forceinline__ SumOf<T> exponentiate(const Pass<T>& a, KeyRange range, int key, const SumOf<T>* q, const PlainTile<T>& k,
                                                 SumOf<T>& top, SumOf<T>& mass, SumOf<T>* p) {
  using Sum = SumOf<T>;
  constexpr int count = plain_rows<T> / 8;
  const int c = static_cast<int>(threadIdx.x) % 8;
  Sum s[count];
  Sum most = top;
#pragma unroll
  for (int n = 0; n < count; ++n) {
    const int j = key + c + 8 * n;
    s[n] = j >= range.first && j < range.end ? a.scale * plain_dot(q, k.row(c + 8 * n), a.hd) : -Sum{INFINITY};
    most = max(most, s[n]);
  }
#pragma unroll
  for (int step = 1; step < 8; step *= 2) most = max(most, __shfl_xor_sync(0xffffffffu, most, step));
  const Sum base = most == -Sum{INFINITY} ? Sum{0} : most, shrink = exp_of(top - base);
  Sum sum = 0;
#pragma unroll
  for (int n = 0; n < count; ++n) {
    const Sum e = exp_of(s[n] - base);
    sum += e;
    p[c + 8 * n] = e;
  }
#pragma unroll
  for (int step = 1; step < 8; step *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  top = most, mass = fma(mass, shrink, sum);
  return shrink;
}

template <class T, int columns>
__global__ void __launch_bounds__(plain_threads<T>) forward_kernel(const Pass<T> a) {
  using Sum = SumOf<T>;
  constexpr int rows = plain_rows<T>;
  __shared__ Sum exponentials[rows][rows + 1];
  Sum* const memory = dynamic_shared<Sum>();
  const int stride = a.hd + 1;
  const PlainTile<T> q{memory, stride}, k{memory + rows * stride, stride}, v{memory + 2 * rows * stride, stride};
  const int heads = static_cast<int>(gridDim.x) / a.blocks, head = static_cast<int>(blockIdx.x) % heads, h = head % a.nh, kv = h / a.group;
  const std::int64_t b = head / a.nh;
  const int first = (a.blocks - 1 - static_cast<int>(blockIdx.x) / heads) * rows, r = static_cast<int>(threadIdx.x) / 8,
            c = static_cast<int>(threadIdx.x) % 8, i = first + r;
  const KeyRange range = i < a.sight.S ? a.sight.of(b, i) : KeyRange{0, 0};
  const KeyRanges seen = block_ranges<plain_threads<T> / 32>(range);
  Sum sum[columns], top = -Sum{INFINITY}, mass = 0;
#pragma unroll
  for (int n = 0; n < columns; ++n) sum[n] = 0;
  q.load(a.q.at(b, first, h), a.q.row, a.sight.S - first, a.hd);
  for (int key = min(seen.first, seen.end) / rows * rows; key < seen.end; key += rows) {
    __syncthreads();
    k.load(a.k.at(b, key, kv), a.k.row, a.sight.S - key, a.hd), v.load(a.v.at(b, key, kv), a.v.row, a.sight.S - key, a.hd);
    __syncthreads();
    const Sum shrink = exponentiate(a, range, key, q.row(r), k, top, mass, exponentials[r]);
    if (a.words.samples)
      for (int j = c; j < rows; j += 8)
        if (!a.words.keeps(b, h, i, key + j)) exponentials[r][j] = 0;
    __syncwarp();
    const int keys = min(rows, seen.end - key);
#pragma unroll
    for (int n = 0; n < columns; ++n) {
      const int d = c + 8 * n;
      if (d >= a.hd) break;
      Sum product = 0;
      for (int j = 0; j < keys; ++j) product = fma(exponentials[r][j], v.row(j)[d], product);
      sum[n] = fma(sum[n], shrink, product);
    }
  }
  if (i >= a.sight.S) return;
  const Sum inverse = mass == 0 ? Sum{0} : a.kept / mass;
  T* const to = a.o.at(b, i, h);
#pragma unroll
  for (int n = 0; n < columns; ++n)
    if (c + 8 * n < a.hd) to[c + 8 * n] = narrow<T>(sum[n] * inverse);
  if (a.lse && c == 0) a.lse[(b * a.nh + h) * a.sight.S + i] = mass == 0 ? -Sum{INFINITY} : top + log_of(mass);
}

template <class T>
void forward(Stream& stream, const AttentionForward& pass) {
  const ConstView& q = pass.q;
  constexpr int rows = plain_rows<T>;
  const std::int64_t S = q.size(1), nh = q.size(2), heads = q.size(0) * nh, blocks = (S + rows - 1) / rows;
  const Pass<T> a{heads_of<T>(q),
                  heads_of<T>(pass.k),
                  heads_of<T>(pass.v),
                  heads_of<T>(pass.o),
                  pass.lse.given() ? data_of<SumOf<T>>(pass.lse) : nullptr,
                  sight_of(pass.mask, S),
                  words_of(pass.mask.what),
                  static_cast<int>(nh),
                  static_cast<int>(nh / pass.k.size(2)),
                  static_cast<int>(q.size(3)),
                  static_cast<int>(blocks),
                  static_cast<SumOf<T>>(pass.scale),
                  static_cast<SumOf<T>>(kept_factor(pass.mask.what))};
  if (heads * blocks == 0) return;
  with_plain_columns<T>("attention_forward", q.size(3), [&](auto columns) {
    launch(forward_kernel<T, decltype(columns)::value>,
           {static_cast<unsigned>(heads * blocks), plain_threads<T>, 3 * PlainTile<T>::bytes(a.hd)}, queue_of(stream), a);
  });
}

}  // namespace

void attention_forward_plain(Stream& stream, const AttentionForward& pass) {
  with_float_type("attention_forward", pass.q.type(), [&](auto element) { forward<decltype(element)>(stream, pass); });
}

void attention_forward(Stream& stream, const AttentionForward& pass, void* workspace) {
  if (fused_attention_takes(stream, pass.q, pass.mask) && fused_attention_reads(pass))
    return fused_attention_forward(stream, pass, workspace);
  on_tensor_cores(pass.q) ? attention_forward_tensor(stream, pass) : attention_forward_plain(stream, pass);
}

}  // namespace strata::cuda
