// Layer normalisation: rows in registers of a team of threads, read once (teams.hpp), with the residual addition and dropout before it
// (backward: after it). A thread's columns are the same for all rows of its block, so that the parameters' gradients are summed in
// registers.
#include "ops/cuda/layer_norm.hpp"

#include "device/cuda/launch.cuh"
#include "ops/cuda/column_sums.cuh"
#include "ops/cuda/dropout_factors.cuh"
#include "ops/cuda/exact.cuh"
#include "ops/cuda/queue.cuh"
#include "ops/cuda/rows.cuh"

namespace strata::cuda {
namespace {

/// What drops of rows, S of them in a sample. Nothing where S is 0.
template <class S>
struct Drops {
  DropoutFactors<S> factors;
  unsigned rows_each = 0;

  static Drops of(const Dropout& what, std::int64_t rows) {
    if (!what.drops()) return {};
    return {DropoutFactors<S>::of(what, 0), static_cast<unsigned>(rows / what.samples.elements())};
  }
  /// The factors of pack p of a row. Lanes share their draws where a warp lies in one row, whose packs are whole; all of the warp call it.
  template <bool whole, int W>
  __device__ __forceinline__ void of_pack(unsigned row, int p, int H, int team, S (&factor)[W]) const {
    const auto sample = static_cast<std::uint32_t>(factors.samples[row / rows_each]);
    const unsigned i = row % rows_each;
    if constexpr (whole) {
      if (team >= 32) {
        const std::uint32_t bits = factors.template kept_bits<W>(sample, i, static_cast<std::uint32_t>(p));
#pragma unroll
        for (int e = 0; e < W; ++e) factor[e] = (bits >> e & 1) != 0 ? factors.kept : S{0};
        return;
      }
    }
#pragma unroll
    for (int e = 0; e < W; ++e) factor[e] = p * W + e < H ? factors.one(sample, i, static_cast<std::uint32_t>(p * W + e)) : S{0};
  }
};

template <class T>
struct Forward {
  const T *x, *residual;  // residual and sum null: no addition
  T* sum;
  const T *weight, *bias;
  T* y;
  SumOf<T>*mean, *rstd;  // or null
  SumOf<T> eps;
  Drops<SumOf<T>> drops;
  unsigned rows;
  int H;
  Teams teams;
};

/// sum = residual + dropout(x) for one pack, rounded once.
template <bool whole, class T>
__device__ __forceinline__ Pack<T> added(const Forward<T>& a, unsigned row, int p, const Pack<T>& x, const Pack<T>& residual) {
  constexpr int W = pack_size<T>;
  SumOf<T> factor[W];
  const bool drops = a.drops.rows_each > 0;
  if (drops) a.drops.template of_pack<whole>(row, p, a.H, a.teams.team, factor);
  Pack<T> total;
#pragma unroll
  for (int e = 0; e < W; ++e) {
    const SumOf<T> r = widen(residual.of[e]), v = widen(x.of[e]);
    total.of[e] = narrow<T>(drops ? fused(v, factor[e], r) : sum(r, v));
  }
  return total;
}

template <class T, bool whole, int K>
__global__ void __launch_bounds__(most_row_threads) forward_kernel(Forward<T> a) {
  using S = SumOf<T>;
  constexpr int U = K == 1 ? forward_rows_each : 1, W = pack_size<T>;
  __shared__ S shared[2][16 * U];
  const int team = a.teams.team, member = static_cast<int>(threadIdx.x) % team;
  const unsigned first = blockIdx.x * static_cast<unsigned>(a.teams.groups * U) + threadIdx.x / static_cast<unsigned>(team);
  const auto row_of = [&](int u) { return first + static_cast<unsigned>(u * a.teams.groups); };
  Pack<T> x[U][K];
#pragma unroll
  for (int u = 0; u < U; ++u)
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const bool there = row_of(u) < a.rows;
      x[u][k] = load_of_row<whole>(a.x + (there ? std::int64_t{row_of(u)} * a.H : 0), member + k * team, there ? a.H : 0);
    }
  if (a.residual != nullptr) {
    Pack<T> residual[U][K];
#pragma unroll
    for (int u = 0; u < U; ++u)
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const bool there = row_of(u) < a.rows;
        residual[u][k] = load_of_row<whole>(a.residual + (there ? std::int64_t{row_of(u)} * a.H : 0), member + k * team, there ? a.H : 0);
      }
#pragma unroll
    for (int u = 0; u < U; ++u)
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const bool there = row_of(u) < a.rows;  // rows beyond the last draw with it: a warp votes as a whole
        x[u][k] = added<whole>(a, there ? row_of(u) : a.rows - 1, member + k * team, x[u][k], residual[u][k]);
        if (there) store_of_row<whole>(a.sum + std::int64_t{row_of(u)} * a.H, member + k * team, a.H, x[u][k]);
      }
  }
  S mean[U] = {}, squares[U] = {};
#pragma unroll
  for (int u = 0; u < U; ++u)
#pragma unroll
    for (int k = 0; k < K; ++k)
#pragma unroll
      for (int e = 0; e < W; ++e) mean[u] += widen(x[u][k].of[e]);
  team_sum(mean, team, shared[0]);
#pragma unroll
  for (int u = 0; u < U; ++u) {
    mean[u] /= static_cast<S>(a.H);
#pragma unroll
    for (int k = 0; k < K; ++k)
#pragma unroll
      for (int e = 0; e < W; ++e) {
        const S d = (member + k * team) * W + e < a.H ? difference(widen(x[u][k].of[e]), mean[u]) : S{0};
        squares[u] = fused(d, d, squares[u]);
      }
  }
  team_sum(squares, team, shared[1]);
#pragma unroll
  for (int k = 0; k < K; ++k) {
    const int p = member + k * team;
    const Pack<T> weight = load_of_row<whole>(a.weight, p, a.H), bias = load_of_row<whole>(a.bias, p, a.H);
#pragma unroll
    for (int u = 0; u < U; ++u) {
      if (row_of(u) >= a.rows) continue;
      const S rstd = S{1} / root(squares[u] / static_cast<S>(a.H) + a.eps);
      if (a.mean != nullptr && member == 0 && k == 0) a.mean[row_of(u)] = mean[u], a.rstd[row_of(u)] = rstd;
      Pack<T> y;
#pragma unroll
      for (int e = 0; e < W; ++e)
        y.of[e] = narrow<T>(fused(product(difference(widen(x[u][k].of[e]), mean[u]), rstd), widen(weight.of[e]), widen(bias.of[e])));
      store_of_row<whole>(a.y + std::int64_t{row_of(u)} * a.H, p, a.H, y);
    }
  }
}

template <class T>
struct Backward {
  const T *dy, *x, *weight;
  const SumOf<T>*mean, *rstd;
  T *dsum, *dx;       // dx null where nothing drops
  SumOf<T>* partial;  // [blocks, 2 H]: dweight, dbias; [blocks, 3 H] with the sums of dx
  bool dx_sums;
  Drops<SumOf<T>> drops;
  unsigned rows, block_rows;
  int H;
  Teams teams;
};

/// One pack of one row: its gradient, and what it adds to those of the parameters. `means` are those of g and g xhat.
template <class T>
__device__ __forceinline__ Pack<T> backward_pack(const Pack<T>& dy, const Pack<T>& x, const Pack<T>& weight, SumOf<T> mean, SumOf<T> rstd,
                                                 SumOf<T> mean_g, SumOf<T> mean_g_hat, SumOf<T> (&dweight)[pack_size<T>],
                                                 SumOf<T> (&dbias)[pack_size<T>]) {
  using S = SumOf<T>;
  Pack<T> dsum;
#pragma unroll
  for (int e = 0; e < pack_size<T>; ++e) {
    const S d = widen(dy.of[e]), hat = product(difference(widen(x.of[e]), mean), rstd), g = product(d, widen(weight.of[e]));
    dweight[e] = fused(d, hat, dweight[e]), dbias[e] = sum(dbias[e], d);
    dsum.of[e] = narrow<T>(product(rstd, fused(-hat, mean_g_hat, difference(g, mean_g))));
  }
  return dsum;
}

template <class T, bool whole, int K>
__global__ void __launch_bounds__(most_row_threads) backward_kernel(Backward<T> a) {
  using S = SumOf<T>;
  constexpr int U = K == 1 ? backward_rows_each : 1, W = pack_size<T>;
  __shared__ S shared[2][16 * 2 * U];
  __shared__ S team_sums[3][team_sums_shared<K, W>];
  const int team = a.teams.team, member = static_cast<int>(threadIdx.x) % team;
  const unsigned begin = blockIdx.x * a.block_rows, end = min(a.rows, begin + a.block_rows);
  Pack<T> weight[K];
#pragma unroll
  for (int k = 0; k < K; ++k) weight[k] = load_of_row<whole>(a.weight, member + k * team, a.H);
  S dweight[K][W] = {}, dbias[K][W] = {}, dx_sums[K][W] = {};
  int turn = 0;
  for (unsigned base = begin; base < end; base += static_cast<unsigned>(a.teams.groups * U), turn ^= 1) {
    const unsigned first = base + threadIdx.x / static_cast<unsigned>(team);
    const auto row_of = [&](int u) { return first + static_cast<unsigned>(u * a.teams.groups); };
    Pack<T> dy[U][K], x[U][K];
    S mean[U], rstd[U], sums[2 * U] = {};  // of g, of g xhat
#pragma unroll
    for (int u = 0; u < U; ++u) {
      const bool there = row_of(u) < end;
      const unsigned row = there ? row_of(u) : begin;
      const int H = there ? a.H : 0;
      mean[u] = a.mean[row], rstd[u] = a.rstd[row];
#pragma unroll
      for (int k = 0; k < K; ++k) {
        dy[u][k] = load_of_row<whole>(a.dy + std::int64_t{row} * a.H, member + k * team, H);
        x[u][k] = load_of_row<whole>(a.x + std::int64_t{row} * a.H, member + k * team, H);
      }
    }
#pragma unroll
    for (int u = 0; u < U; ++u)
#pragma unroll
      for (int k = 0; k < K; ++k)
#pragma unroll
        for (int e = 0; e < W; ++e) {
          const S g = product(widen(dy[u][k].of[e]), widen(weight[k].of[e]));
          sums[2 * u] = sum(sums[2 * u], g);
          sums[2 * u + 1] = fused(g, product(difference(widen(x[u][k].of[e]), mean[u]), rstd[u]), sums[2 * u + 1]);
        }
    team_sum(sums, team, shared[turn]);
#pragma unroll
    for (int u = 0; u < U; ++u) {
      const bool there = row_of(u) < end;
      const unsigned row = there ? row_of(u) : begin;
      const S mean_g = sums[2 * u] / static_cast<S>(a.H), mean_g_hat = sums[2 * u + 1] / static_cast<S>(a.H);
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const int p = member + k * team;
        Pack<T> to = backward_pack(dy[u][k], x[u][k], weight[k], mean[u], rstd[u], mean_g, mean_g_hat, dweight[k], dbias[k]);
        if (there) store_of_row<whole>(a.dsum + std::int64_t{row} * a.H, p, a.H, to);
        if (a.dx != nullptr) {
          S factor[W];
          a.drops.template of_pack<whole>(row, p, a.H, team, factor);
#pragma unroll
          for (int e = 0; e < W; ++e) to.of[e] = narrow<T>(product(widen(to.of[e]), factor[e]));
          if (there) store_of_row<whole>(a.dx + std::int64_t{row} * a.H, p, a.H, to);
        }
        if (!there) continue;
#pragma unroll
        for (int e = 0; e < W; ++e) dx_sums[k][e] += widen(to.of[e]);
      }
    }
  }
  S* const out = a.partial + std::int64_t{blockIdx.x} * (a.dx_sums ? 3 : 2) * a.H;
  store_team_sums(dweight, a.teams, a.H, out, team_sums[0]);
  store_team_sums(dbias, a.teams, a.H, out + a.H, team_sums[1]);
  if (a.dx_sums) store_team_sums(dx_sums, a.teams, a.H, out + 2 * a.H, team_sums[2]);
}

template <class T>
void forward(Stream& stream, const LayerNormForward& p) {
  using S = SumOf<T>;
  const std::int64_t H = p.x.size(1);
  const bool adds = p.residual.given(), keeps = p.mean.given();
  const Forward<T> a{data_of<T>(p.x),
                     adds ? data_of<T>(p.residual) : nullptr,
                     adds ? data_of<T>(p.sum) : nullptr,
                     data_of<T>(p.weight),
                     data_of<T>(p.bias),
                     data_of<T>(p.y),
                     keeps ? data_of<S>(p.mean) : nullptr,
                     keeps ? data_of<S>(p.rstd) : nullptr,
                     static_cast<S>(p.eps),
                     Drops<S>::of(p.what, p.x.size(0)),
                     rows_of(p.x),
                     static_cast<int>(H),
                     teams_for(H, p.x.type())};
  if (a.rows == 0 || H == 0) return;
  const auto at_once = static_cast<unsigned>(a.teams.groups * (a.teams.packs == 1 ? forward_rows_each : 1));
  const LaunchShape shape{(a.rows + at_once - 1) / at_once, static_cast<unsigned>(a.teams.threads())};
  const bool parameters = packs(a.weight, 0, H) && packs(a.bias, 0, H);
  const bool aligned = parameters && packs(a.x, H, H) && packs(a.residual, H, H) && packs(a.sum, H, H) && packs(a.y, H, H);
  with_row_form<T>(aligned, a.teams, [&](auto whole, auto count) {
    launch(forward_kernel<T, decltype(whole)::value, decltype(count)::value>, shape, queue_of(stream), a);
  });
}

template <class T>
void backward(Stream& stream, const LayerNormBackward& p, void* workspace) {
  using S = SumOf<T>;
  const unsigned rows = rows_of(p.x);
  const std::int64_t H = p.x.size(1);
  const Teams teams = teams_for(H, p.x.type());
  const Backward<T> a{data_of<T>(p.dy),
                      data_of<T>(p.x),
                      data_of<T>(p.weight),
                      data_of<S>(p.mean),
                      data_of<S>(p.rstd),
                      data_of<T>(p.dsum),
                      p.dx.given() ? data_of<T>(p.dx) : nullptr,
                      static_cast<S*>(workspace),
                      p.dx_sums.given(),
                      Drops<S>::of(p.what, rows),
                      rows,
                      static_cast<unsigned>(row_block(rows, teams)),
                      static_cast<int>(H),
                      teams};
  const std::int64_t blocks = row_blocks(rows, teams);
  const LaunchShape shape{static_cast<unsigned>(blocks), static_cast<unsigned>(teams.threads())};
  const bool aligned = packs(a.dy, H, H) && packs(a.x, H, H) && packs(a.weight, 0, H) && packs(a.dsum, H, H) && packs(a.dx, H, H);
  if (blocks > 0 && H > 0)
    with_row_form<T>(aligned, teams, [&](auto whole, auto count) {
      launch(backward_kernel<T, decltype(whole)::value, decltype(count)::value>, shape, queue_of(stream), a);
    });
  fold_parts<S>(stream, a.partial, blocks, H, data_of<S>(p.dweight), data_of<S>(p.dbias),
                p.dx_sums.given() ? data_of<S>(p.dx_sums) : nullptr, p.write);
}

}  // namespace

void layer_norm_forward(Stream& stream, const LayerNormForward& pass) {
  with_float_type("layer_norm_forward", pass.x.type(), [&](auto element) { forward<decltype(element)>(stream, pass); });
}

void layer_norm_backward(Stream& stream, const LayerNormBackward& pass, void* workspace) {
  with_float_type("layer_norm_backward", pass.x.type(), [&](auto element) { backward<decltype(element)>(stream, pass, workspace); });
}

}  // namespace strata::cuda
