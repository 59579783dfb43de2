// Attention, backward pass by plain kernels: dk and dv of a tile of keys over all queries and heads in order, dq of a tile of queries over
// its keys. Both are one kernel: rows that a block owns (two tiles: keys and values, or queries and gradients) against tiles of the others.
#include "ops/cuda/attention_cudnn.hpp"
#include "ops/cuda/attention_plain.cuh"

namespace strata::cuda {
namespace {

enum class Owns { keys, queries };

/// P and dS of a thread's row against one tile of the others, and lse and D of the queries.
template <class T>
struct Slopes {
  SumOf<T> p[plain_rows<T>][plain_rows<T> + 1], ds[plain_rows<T>][plain_rows<T> + 1];
};

template <class T, Owns owns>
__device__ __forceinline__ void differentiate(const GradientPass<T>& a, std::int64_t b, int h, int own, int other,
                                              const PlainTile<T>* tiles, Slopes<T>& slopes) {
  using Sum = SumOf<T>;
  const int r = static_cast<int>(threadIdx.x) / 8, c = static_cast<int>(threadIdx.x) % 8;
  for (int n = c; n < plain_rows<T>; n += 8) {
    const int i = owns == Owns::keys ? other + n : own + r, j = owns == Owns::keys ? own + r : other + n;
    Sum p = 0, ds = 0;
    const KeyRange range = i < a.sight.S ? a.sight.of(b, i) : KeyRange{0, 0};
    if (j >= range.first && j < range.end) {
      const std::int64_t at = a.at(b, h, i);
      const Sum e = exp_of(fma(a.scale, plain_dot(tiles[0].row(r), tiles[2].row(n), a.hd), -a.lse[at])),
                slope = plain_dot(tiles[1].row(r), tiles[3].row(n), a.hd),
                factor = !a.words.samples            ? Sum{1}
                         : a.words.keeps(b, h, i, j) ? a.kept
                                                     : Sum{0};
      p = e * factor, ds = e * fma(slope, factor, -a.dots[at]);
    }
    slopes.p[r][n] = p, slopes.ds[r][n] = ds;
  }
}

/// first += dS other_0; with keys, second += P other_1.
template <class T, int columns, Owns owns>
__device__ __forceinline__ void add_products(int hd, const PlainTile<T>* tiles, const Slopes<T>& slopes, SumOf<T>* first,
                                             SumOf<T>* second) {
  const int r = static_cast<int>(threadIdx.x) / 8, c = static_cast<int>(threadIdx.x) % 8;
#pragma unroll
  for (int n = 0; n < columns; ++n) {
    const int d = c + 8 * n;
    if (d >= hd) break;
    SumOf<T> x = first[n], y = second[n];
    for (int j = 0; j < plain_rows<T>; ++j) {
      x = fma(slopes.ds[r][j], tiles[2].row(j)[d], x);
      if (owns == Owns::keys) y = fma(slopes.p[r][j], tiles[3].row(j)[d], y);
    }
    first[n] = x, second[n] = y;
  }
}

template <class T, int columns, Owns owns>
__global__ void __launch_bounds__(plain_threads<T>) gradient_kernel(const GradientPass<T> a, int blocks) {
  using Sum = SumOf<T>;
  constexpr int rows = plain_rows<T>;
  constexpr bool keys = owns == Owns::keys;
  __shared__ Slopes<T> slopes;
  Sum* const memory = dynamic_shared<Sum>();
  const int stride = a.hd + 1;
  const PlainTile<T> tiles[4] = {
      {memory, stride}, {memory + rows * stride, stride}, {memory + 2 * rows * stride, stride}, {memory + 3 * rows * stride, stride}};
  const int heads = static_cast<int>(gridDim.x) / blocks, head = static_cast<int>(blockIdx.x) % heads, owned = keys ? a.nkv : a.nh,
            own = static_cast<int>(blockIdx.x) / heads * rows, first_head = keys ? head % owned * a.group() : head % owned,
            last_head = first_head + (keys ? a.group() : 1);
  const std::int64_t b = head / owned;
  Sum first[columns], second[columns];
#pragma unroll
  for (int n = 0; n < columns; ++n) first[n] = second[n] = 0;
  const auto load = [&](int number, const Heads<const T>& from, int at, int of_head) {
    tiles[number].load(from.at(b, at, of_head), from.row, a.sight.S - at, a.hd);
  };
  load(0, keys ? a.k : a.q, own, keys ? head % owned : first_head), load(1, keys ? a.v : a.dout, own, keys ? head % owned : first_head);
  for (int h = first_head; h < last_head; ++h)
    for (int other = 0; other < a.sight.S; other += rows) {
      const int query = keys ? other : own, key = keys ? own : other;
      if (!a.ranges[b * a.ranges_per_sequence + query / attention_range_rows].any(key, rows)) continue;
      if (a.sight.causal && key >= query + rows) continue;
      __syncthreads();
      load(2, keys ? a.q : a.k, other, keys ? h : h / a.group()), load(3, keys ? a.dout : a.v, other, keys ? h : h / a.group());
      __syncthreads();
      differentiate<T, owns>(a, b, h, own, other, tiles, slopes);
      __syncwarp();
      add_products<T, columns, owns>(a.hd, tiles, slopes, first, second);
    }
  const int r = static_cast<int>(threadIdx.x) / 8, c = static_cast<int>(threadIdx.x) % 8;
  if (own + r >= a.sight.S) return;
  for (int n = 0; n < columns; ++n) {
    const int d = c + 8 * n;
    if (d >= a.hd) break;
    (keys ? a.dk : a.dq).at(b, own + r, keys ? head % owned : first_head)[d] = narrow<T>(first[n] * a.scale);
    if (keys) a.dv.at(b, own + r, head % owned)[d] = narrow<T>(second[n]);
  }
}

template <class T>
void backward(Stream& stream, const AttentionBackward& p, void* workspace) {
  const GradientPass<T> pass = gradient_pass<T>(p, workspace);
  const cudaStream_t queue = queue_of(stream);
  const std::int64_t B = p.q.size(0);
  const int blocks = (pass.sight.S + plain_rows<T> - 1) / plain_rows<T>;
  if (B * blocks * pass.nh == 0) return;
  with_plain_columns<T>("attention_backward", pass.hd, [&](auto columns) {
    constexpr int width = decltype(columns)::value;
    const std::size_t shared = 4 * PlainTile<T>::bytes(pass.hd);
    prepare_gradients(queue, pass, B);
    launch(gradient_kernel<T, width, Owns::keys>, {static_cast<unsigned>(B * pass.nkv * blocks), plain_threads<T>, shared}, queue, pass,
           blocks);
    launch(gradient_kernel<T, width, Owns::queries>, {static_cast<unsigned>(B * pass.nh * blocks), plain_threads<T>, shared}, queue, pass,
           blocks);
  });
}

}  // namespace

void attention_backward_plain(Stream& stream, const AttentionBackward& pass, void* workspace) {
  with_float_type("attention_backward", pass.q.type(), [&](auto element) { backward<decltype(element)>(stream, pass, workspace); });
}

void attention_backward(Stream& stream, const AttentionBackward& pass, void* workspace) {
  if (fused_attention_takes(stream, pass.q, pass.mask) && fused_attention_reads(pass))
    return fused_attention_backward(stream, pass, workspace);
  on_tensor_cores(pass.q) ? attention_backward_tensor(stream, pass, workspace) : attention_backward_plain(stream, pass, workspace);
}

}  // namespace strata::cuda
