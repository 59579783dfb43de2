// Norm and rotation of queries and keys: a head belongs to a team of up to 32 threads (rows.cuh); a thread has a pack of its lower half and
// the one of the upper half that is turned with it, so that both are loaded once, turned and stored by the same thread. A head of 128 in
// bf16 is eight threads, 32 of them a block. Blocks of queries come first, those of keys after them, in one launch.
#include "ops/cuda/qk_norm_rope.hpp"

#include "device/cuda/launch.cuh"
#include "ops/cuda/column_sums.cuh"
#include "ops/cuda/flat.cuh"
#include "ops/cuda/queue.cuh"
#include "ops/cuda/rms_norm.cuh"
#include "ops/cuda/rope.cuh"
#include "ops/cuda/rows.cuh"
#include "strata/ops/gpu_limits.hpp"

namespace strata::cuda {
namespace {

constexpr int heads_each = 2;  // of a thread in the forward pass, so that four loads are under way

/// Packs of a half that a thread has.
template <class T>
constexpr int packs_each = std::is_same_v<T, double> ? 2 : 1;

template <class T>
struct Tables {
  const SumOf<T>*cos, *sin;
  std::int64_t cos_stride, sin_stride;
  const std::int32_t* positions;
  std::int64_t position_stride, count;

  static Tables of(const Rotary& at) {
    return {data_of<SumOf<T>>(at.cos),
            data_of<SumOf<T>>(at.sin),
            at.cos.stride(0),
            at.sin.stride(0),
            at.positions.as<const std::int32_t>(),
            at.positions.stride(0),
            at.cos.size(0)};
  }
  bool packed(std::int64_t half) const { return packs(cos, cos_stride, half) && packs(sin, sin_stride, half); }
};

template <class T>
struct Turn {
  Group<SumOf<T>, pack_size<T>> cos, sin;
};

/// What pack p of the half of a head of this token is turned by: forward with sign 1, back with -1. Beyond the half: nothing.
template <bool whole, class T>
__device__ __forceinline__ Turn<T> turn_at(const Tables<T>& tables, unsigned token, int p, int half, SumOf<T> sign) {
  using S = SumOf<T>;
  constexpr int W = pack_size<T>;
  const std::int64_t position = tables.positions[token * tables.position_stride];
  const S *cos = tables.cos + position * tables.cos_stride + p * W, *sin = tables.sin + position * tables.sin_stride + p * W;
  Turn<T> turn;
  if (position < 0 || position >= tables.count) {
#pragma unroll
    for (int e = 0; e < W; ++e) turn.cos.of[e] = turn.sin.of[e] = static_cast<S>(__uint_as_float(0x7fc00000u));
    return turn;
  }
  if constexpr (whole) {
    if (p * W < half) {
      turn = {load_group<W>(cos), load_group<W>(sin)};
#pragma unroll
      for (int e = 0; e < W; ++e) turn.sin.of[e] *= sign;
      return turn;
    }
  }
#pragma unroll
  for (int e = 0; e < W; ++e) {
    const bool there = !whole && p * W + e < half;
    turn.cos.of[e] = there ? cos[e] : S{0}, turn.sin.of[e] = there ? sign * sin[e] : S{0};
  }
  return turn;
}

template <class T>
struct Halves {
  Pack<T> low, up;
};
template <bool whole, class T>
__device__ __forceinline__ Halves<T> load_halves(const T* head, int p, int half) {
  return {load_of_row<whole>(head, p, half), load_of_row<whole>(head + half, p, half)};
}
template <bool whole, class T>
__device__ __forceinline__ void store_halves(T* head, int p, int half, const Halves<T>& x) {
  store_of_row<whole>(head, p, half, x.low), store_of_row<whole>(head + half, p, half, x.up);
}
template <class T>
__device__ __forceinline__ Halves<T> turned(const Halves<T>& x, const Turn<T>& by) {
  Halves<T> y;
#pragma unroll
  for (int e = 0; e < pack_size<T>; ++e) turn_pair(x.low.of[e], x.up.of[e], by.cos.of[e], by.sin.of[e], y.low.of[e], y.up.of[e]);
  return y;
}

/// Queries or keys.
template <class T>
struct ForwardSide {
  Rows<const T> x;
  Rows<T> y;
  const T* weight;
  SumOf<T>* rstd;  // or null
  unsigned rows, heads;
};
template <class T>
struct Forward {
  ForwardSide<T> q, k;
  Tables<T> tables;
  SumOf<T> eps;
  unsigned q_blocks;
  int half, team;
};

template <class T, bool whole>
__global__ void __launch_bounds__(head_threads) forward_kernel(Forward<T> a) {
  using S = SumOf<T>;
  constexpr int U = heads_each, K = packs_each<T>, W = pack_size<T>;
  const bool of_k = blockIdx.x >= a.q_blocks;
  const ForwardSide<T> side = of_k ? a.k : a.q;
  const unsigned block = of_k ? blockIdx.x - a.q_blocks : blockIdx.x, groups = static_cast<unsigned>(head_threads / a.team);
  const int member = static_cast<int>(threadIdx.x) % a.team;
  const unsigned first = block * groups * U + threadIdx.x / static_cast<unsigned>(a.team);
  Halves<T> x[U][K];
  S squares[U] = {};
#pragma unroll
  for (int u = 0; u < U; ++u) {
    const unsigned row = first + static_cast<unsigned>(u) * groups;
    const bool there = row < side.rows;
    const T* const head = side.x[place_of(there ? row : 0, side.heads)];
#pragma unroll
    for (int k = 0; k < K; ++k) x[u][k] = load_halves<whole>(head, member + k * a.team, there ? a.half : 0);
  }
#pragma unroll
  for (int u = 0; u < U; ++u)
#pragma unroll
    for (int k = 0; k < K; ++k) {
      S low = 0, up = 0;
#pragma unroll
      for (int e = 0; e < W; ++e) {
        low = fused(widen(x[u][k].low.of[e]), widen(x[u][k].low.of[e]), low);
        up = fused(widen(x[u][k].up.of[e]), widen(x[u][k].up.of[e]), up);
      }
      squares[u] += low + up;
    }
  team_sum(squares, a.team, static_cast<S*>(nullptr));
#pragma unroll
  for (int u = 0; u < U; ++u) {
    const unsigned row = first + static_cast<unsigned>(u) * groups;
    if (row >= side.rows) continue;
    const S rstd = S{1} / root(squares[u] / static_cast<S>(2 * a.half) + a.eps);
    if (side.rstd != nullptr && member == 0) side.rstd[row] = rstd;
    const RowPlace place = place_of(row, side.heads);
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int p = member + k * a.team;
      const Halves<T> weight = load_halves<whole>(side.weight, p, a.half);
      Halves<T> normed;
#pragma unroll
      for (int e = 0; e < W; ++e) {
        normed.low.of[e] = scaled(x[u][k].low.of[e], rstd, weight.low.of[e]);
        normed.up.of[e] = scaled(x[u][k].up.of[e], rstd, weight.up.of[e]);
      }
      store_halves<whole>(side.y[place], p, a.half, turned(normed, turn_at<whole>(a.tables, place.outer, p, a.half, S{1})));
    }
  }
}

template <class T>
struct BackwardSide {
  Rows<const T> dy, x;
  Rows<T> dx;
  const T* weight;
  const SumOf<T>* rstd;
  SumOf<T>* partial;  // [blocks, 2 half]
  unsigned rows, heads;
};
template <class T>
struct Backward {
  BackwardSide<T> q, k;
  Tables<T> tables;
  unsigned q_blocks, block_rows;
  int half, team;
};

/// Adds the teams of a block in order: out[j] for j < half; thread `member` of each has sums[k] of pack member + k team.
template <class S, int K, int W>
__device__ __forceinline__ void store_half_sums(const S (&sums)[K][W], int team, int half, S* out, S* shared) {
#pragma unroll
  for (int k = 0; k < K; ++k) {
    __syncthreads();
#pragma unroll
    for (int e = 0; e < W; ++e) shared[static_cast<int>(threadIdx.x) * W + e] = sums[k][e];
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < team * W; i += head_threads) {
      const int j = k * team * W + i;
      if (j >= half) break;
      S total = 0;
      for (int g = 0; g < head_threads / team; ++g) total += shared[g * team * W + i];
      out[j] = total;
    }
  }
}

template <class T, bool whole>
__global__ void __launch_bounds__(head_threads) backward_kernel(Backward<T> a) {
  using S = SumOf<T>;
  constexpr int K = packs_each<T>, W = pack_size<T>;
  __shared__ S shared[head_threads * W];
  const bool of_k = blockIdx.x >= a.q_blocks;
  const BackwardSide<T> side = of_k ? a.k : a.q;
  const unsigned block = of_k ? blockIdx.x - a.q_blocks : blockIdx.x, groups = static_cast<unsigned>(head_threads / a.team);
  const unsigned begin = block * a.block_rows, end = min(side.rows, begin + a.block_rows);
  const int member = static_cast<int>(threadIdx.x) % a.team;
  Halves<T> weight[K];
#pragma unroll
  for (int k = 0; k < K; ++k) weight[k] = load_halves<whole>(side.weight, member + k * a.team, a.half);
  S dweight_low[K][W] = {}, dweight_up[K][W] = {};
  for (unsigned base = begin; base < end; base += groups) {
    const unsigned row = base + threadIdx.x / static_cast<unsigned>(a.team);
    const bool there = row < end;
    const RowPlace place = place_of(there ? row : begin, side.heads);
    const S rstd = side.rstd[there ? row : begin];
    Halves<T> d[K], x[K];
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int p = member + k * a.team, half = there ? a.half : 0;
      const Halves<T> dy = load_halves<whole>(side.dy[place], p, half);
      x[k] = load_halves<whole>(side.x[place], p, half);
      d[k] = turned(dy, turn_at<whole>(a.tables, place.outer, p, half, S{-1}));
    }
    S mean[1] = {};
#pragma unroll
    for (int k = 0; k < K; ++k) {
      S low = 0, up = 0;
#pragma unroll
      for (int e = 0; e < W; ++e) {
        low = fused(product(widen(d[k].low.of[e]), widen(weight[k].low.of[e])), widen(x[k].low.of[e]), low);
        up = fused(product(widen(d[k].up.of[e]), widen(weight[k].up.of[e])), widen(x[k].up.of[e]), up);
      }
      mean[0] += low + up;
    }
    team_sum(mean, a.team, static_cast<S*>(nullptr));
    if (!there) continue;
    const S mean_g_hat = product(mean[0], rstd) / static_cast<S>(2 * a.half);
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const Pack<T> none{};
      store_halves<whole>(side.dx[place], member + k * a.team, a.half,
                          {backward_pack(d[k].low, x[k].low, weight[k].low, none, rstd, mean_g_hat, false, dweight_low[k]),
                           backward_pack(d[k].up, x[k].up, weight[k].up, none, rstd, mean_g_hat, false, dweight_up[k])});
    }
  }
  S* const out = side.partial + std::int64_t{block} * 2 * a.half;
  store_half_sums(dweight_low, a.team, a.half, out, shared);
  store_half_sums(dweight_up, a.team, a.half, out + a.half, shared);
}

void expect_small_heads(const char* op, std::int64_t hd) {
  if (hd > largest_gpu_head) throw InternalError(text(op, ": heads of ", hd, " elements, on a GPU they have at most ", largest_gpu_head));
}

unsigned blocks_of(std::int64_t rows, std::int64_t at_once) {
  return static_cast<unsigned>((rows + at_once - 1) / at_once);
}

/// Calls f(whole). f64 is for tests: element by element.
template <class T, class F>
void with_form(bool whole, F&& f) {
  if constexpr (!std::is_same_v<T, double>) {
    if (whole) return f(std::true_type{});
  }
  f(std::false_type{});
}

template <class T>
void forward(Stream& stream, const ConstQueryKey& x, const ConstQueryKey& weight, double eps, const Rotary& at, const QueryKey& y,
             const QueryKey& rstd) {
  using S = SumOf<T>;
  const std::int64_t hd = x.q.size(2), half = hd / 2;
  const auto side = [](const ConstView& from, const ConstView& w, const View& to, const View& kept) {
    return ForwardSide<T>{Rows<const T>::of(from), Rows<T>::of(to), data_of<T>(w), kept.given() ? data_of<S>(kept) : nullptr,
                          rows_of(from),           inner_of(from)};
  };
  Forward<T> pass{side(x.q, weight.q, y.q, rstd.q), side(x.k, weight.k, y.k, rstd.k), Tables<T>::of(at), static_cast<S>(eps), 0,
                  static_cast<int>(half),           head_team(hd, x.q.type())};
  const std::int64_t at_once = head_threads / pass.team * heads_each;
  pass.q_blocks = blocks_of(pass.q.rows, at_once);
  const unsigned blocks = pass.q_blocks + blocks_of(pass.k.rows, at_once);
  if (blocks == 0 || half == 0) return;
  const auto packed = [&](const ForwardSide<T>& s) { return s.x.packed() && s.y.packed() && packs(s.weight, 0, half); };
  with_form<T>(packed(pass.q) && packed(pass.k) && pass.tables.packed(half), [&](auto whole) {
    launch(forward_kernel<T, decltype(whole)::value>, {blocks, head_threads}, queue_of(stream), pass);
  });
}

template <class T>
void backward(Stream& stream, const ConstQueryKey& dy, const ConstQueryKey& x, const ConstQueryKey& weight, const ConstQueryKey& rstd,
              const Rotary& at, const QueryKey& dx, const QueryKey& dweight, Write write, void* workspace) {
  using S = SumOf<T>;
  const std::int64_t hd = x.q.size(2), half = hd / 2;
  if (half == 0) return;
  const auto side = [](const ConstView& gradient, const ConstView& from, const ConstView& w, const ConstView& kept, const View& to) {
    return BackwardSide<T>{Rows<const T>::of(gradient),
                           Rows<const T>::of(from),
                           Rows<T>::of(to),
                           data_of<T>(w),
                           data_of<S>(kept),
                           nullptr,
                           rows_of(from),
                           inner_of(from)};
  };
  Backward<T> pass{side(dy.q, x.q, weight.q, rstd.q, dx.q),
                   side(dy.k, x.k, weight.k, rstd.k, dx.k),
                   Tables<T>::of(at),
                   0,
                   static_cast<unsigned>(head_block(x.q.shape().rows() + x.k.shape().rows(), hd, x.q.type())),
                   static_cast<int>(half),
                   head_team(hd, x.q.type())};
  pass.q_blocks = blocks_of(pass.q.rows, pass.block_rows);
  const unsigned k_blocks = blocks_of(pass.k.rows, pass.block_rows);
  pass.q.partial = static_cast<S*>(workspace), pass.k.partial = pass.q.partial + std::int64_t{pass.q_blocks} * hd;
  const auto packed = [&](const BackwardSide<T>& s) { return s.dy.packed() && s.x.packed() && s.dx.packed() && packs(s.weight, 0, half); };
  if (pass.q_blocks + k_blocks > 0)
    with_form<T>(packed(pass.q) && packed(pass.k) && pass.tables.packed(half), [&](auto whole) {
      launch(backward_kernel<T, decltype(whole)::value>, {pass.q_blocks + k_blocks, head_threads}, queue_of(stream), pass);
    });
  fold_partials<S>(stream, pass.q.partial, pass.q_blocks, hd, data_of<S>(dweight.q), write);
  fold_partials<S>(stream, pass.k.partial, k_blocks, hd, data_of<S>(dweight.k), write);
}

}  // namespace

void qk_norm_rope_forward(Stream& stream, const ConstQueryKey& x, const ConstQueryKey& weight, double eps, const Rotary& at,
                          const QueryKey& y, const QueryKey& rstd) {
  constexpr const char* op = "qk_norm_rope_forward";
  expect_small_heads(op, x.q.size(2));
  with_float_type(op, x.q.type(), [&](auto element) { forward<decltype(element)>(stream, x, weight, eps, at, y, rstd); });
}

void qk_norm_rope_backward(Stream& stream, const ConstQueryKey& dy, const ConstQueryKey& x, const ConstQueryKey& weight,
                           const ConstQueryKey& rstd, const Rotary& at, const QueryKey& dx, const QueryKey& dweight, Write write,
                           void* workspace) {
  constexpr const char* op = "qk_norm_rope_backward";
  expect_small_heads(op, x.q.size(2));
  with_float_type(op, x.q.type(),
                  [&](auto element) { backward<decltype(element)>(stream, dy, x, weight, rstd, at, dx, dweight, write, workspace); });
}

}  // namespace strata::cuda
