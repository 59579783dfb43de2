// RMS normalisation: rows in registers of a team of threads, read once (teams.hpp). A hidden size of 1024 in bf16 is four warps, two such
// teams a block; a head of 128 is half a warp. A thread's columns are the same for all rows of its block, so that dweight is
// summed in registers.
#include "ops/cuda/rms_norm.hpp"

#include "device/cuda/launch.cuh"
#include "ops/cuda/column_sums.cuh"
#include "ops/cuda/exact.cuh"
#include "ops/cuda/queue.cuh"
#include "ops/cuda/rms_norm.cuh"
#include "ops/cuda/rows.cuh"

namespace strata::cuda {
namespace {

template <class T>
struct Forward {
  Rows<const T> x;
  Rows<T> y;
  const T* weight;
  SumOf<T>* rstd;  // or null
  SumOf<T> eps;
  unsigned rows, inner;
  int H;
  Teams teams;
};

template <class T, bool whole, int K>
__global__ void __launch_bounds__(most_row_threads) forward_kernel(Forward<T> a) {
  using S = SumOf<T>;
  constexpr int U = K == 1 ? forward_rows_each : 1, W = pack_size<T>;
  __shared__ S shared[16 * U];
  const int team = a.teams.team, member = static_cast<int>(threadIdx.x) % team;
  const unsigned first = blockIdx.x * static_cast<unsigned>(a.teams.groups * U) + threadIdx.x / static_cast<unsigned>(team);
  const auto row_of = [&](int u) { return first + static_cast<unsigned>(u * a.teams.groups); };
  Pack<T> x[U][K];
  S squares[U] = {};
#pragma unroll
  for (int u = 0; u < U; ++u) {
    const bool there = row_of(u) < a.rows;
    const T* row = a.x[place_of(there ? row_of(u) : 0, a.inner)];
#pragma unroll
    for (int k = 0; k < K; ++k) x[u][k] = load_of_row<whole>(row, member + k * team, there ? a.H : 0);
  }
#pragma unroll
  for (int u = 0; u < U; ++u)
#pragma unroll
    for (int k = 0; k < K; ++k)
#pragma unroll
      for (int e = 0; e < W; ++e) squares[u] = fused(widen(x[u][k].of[e]), widen(x[u][k].of[e]), squares[u]);
  team_sum(squares, team, shared);
#pragma unroll
  for (int k = 0; k < K; ++k) {
    const int p = member + k * team;
    const Pack<T> weight = load_of_row<whole>(a.weight, p, a.H);
#pragma unroll
    for (int u = 0; u < U; ++u) {
      if (row_of(u) >= a.rows) continue;
      const S rstd = S{1} / root(squares[u] / static_cast<S>(a.H) + a.eps);
      if (a.rstd != nullptr && member == 0 && k == 0) a.rstd[row_of(u)] = rstd;
      Pack<T> y;
#pragma unroll
      for (int e = 0; e < W; ++e) y.of[e] = scaled(x[u][k].of[e], rstd, weight.of[e]);
      store_of_row<whole>(a.y[place_of(row_of(u), a.inner)], p, a.H, y);
    }
  }
}

template <class T>
struct Backward {
  Rows<const T> dy, x;
  Rows<T> dx;
  const T* weight;
  const SumOf<T>* rstd;
  SumOf<T>* partial;  // [blocks, H]
  unsigned rows, inner, block_rows;
  int H;
  Teams teams;
  bool add;
};

template <class T, bool whole, int K>
__global__ void __launch_bounds__(most_row_threads) backward_kernel(Backward<T> a) {
  using S = SumOf<T>;
  constexpr int U = K == 1 ? backward_rows_each : 1, W = pack_size<T>;
  __shared__ S shared[2][16 * U];
  __shared__ S team_sums[team_sums_shared<K, W>];
  const int team = a.teams.team, member = static_cast<int>(threadIdx.x) % team;
  const unsigned begin = blockIdx.x * a.block_rows, end = min(a.rows, begin + a.block_rows);
  Pack<T> weight[K];
#pragma unroll
  for (int k = 0; k < K; ++k) weight[k] = load_of_row<whole>(a.weight, member + k * team, a.H);
  S dweight[K][W] = {};
  int turn = 0;
  for (unsigned base = begin; base < end; base += static_cast<unsigned>(a.teams.groups * U), turn ^= 1) {
    const unsigned first = base + threadIdx.x / static_cast<unsigned>(team);
    const auto row_of = [&](int u) { return first + static_cast<unsigned>(u * a.teams.groups); };
    Pack<T> dy[U][K], x[U][K], old[U][K];
    S rstd[U], mean[U] = {};
#pragma unroll
    for (int u = 0; u < U; ++u) {
      const bool there = row_of(u) < end;
      const int H = there ? a.H : 0;
      const RowPlace place = place_of(there ? row_of(u) : begin, a.inner);
      rstd[u] = a.rstd[there ? row_of(u) : begin];
#pragma unroll
      for (int k = 0; k < K; ++k) {
        dy[u][k] = load_of_row<whole>(a.dy[place], member + k * team, H);
        x[u][k] = load_of_row<whole>(a.x[place], member + k * team, H);
        if (a.add) old[u][k] = load_of_row<whole>(static_cast<const T*>(a.dx[place]), member + k * team, H);
      }
    }
#pragma unroll
    for (int u = 0; u < U; ++u)
#pragma unroll
      for (int k = 0; k < K; ++k)
#pragma unroll
        for (int e = 0; e < W; ++e) mean[u] = fused(product(widen(dy[u][k].of[e]), widen(weight[k].of[e])), widen(x[u][k].of[e]), mean[u]);
    team_sum(mean, team, shared[turn]);
#pragma unroll
    for (int u = 0; u < U; ++u) {
      if (row_of(u) >= end) continue;
      const S mean_g_hat = product(mean[u], rstd[u]) / static_cast<S>(a.H);
      T* const to = a.dx[place_of(row_of(u), a.inner)];
#pragma unroll
      for (int k = 0; k < K; ++k)
        store_of_row<whole>(to, member + k * team, a.H,
                            backward_pack(dy[u][k], x[u][k], weight[k], old[u][k], rstd[u], mean_g_hat, a.add, dweight[k]));
    }
  }
  store_team_sums(dweight, a.teams, a.H, a.partial + std::int64_t{blockIdx.x} * a.H, team_sums);
}

template <class T>
void forward(Stream& stream, const ConstView& x, const ConstView& weight, double eps, const View& y, const View& rstd) {
  using S = SumOf<T>;
  const std::int64_t H = x.shape().back();
  const Forward<T> pass{Rows<const T>::of(x),  Rows<T>::of(y), data_of<T>(weight), rstd.given() ? data_of<S>(rstd) : nullptr,
                        static_cast<S>(eps),   rows_of(x),     inner_of(x),        static_cast<int>(H),
                        teams_for(H, x.type())};
  if (pass.rows == 0 || H == 0) return;
  const auto at_once = static_cast<unsigned>(pass.teams.groups * (pass.teams.packs == 1 ? forward_rows_each : 1));
  const LaunchShape shape{(pass.rows + at_once - 1) / at_once, static_cast<unsigned>(pass.teams.threads())};
  with_row_form<T>(pass.x.packed() && pass.y.packed() && packs(pass.weight, 0, H), pass.teams, [&](auto whole, auto count) {
    launch(forward_kernel<T, decltype(whole)::value, decltype(count)::value>, shape, queue_of(stream), pass);
  });
}

template <class T>
void backward(Stream& stream, const Backward<T>& pass, const View& dweight, Write write) {
  const std::int64_t blocks = row_blocks(pass.rows, pass.teams);
  if (pass.H == 0) return;
  const LaunchShape shape{static_cast<unsigned>(blocks), static_cast<unsigned>(pass.teams.threads())};
  const bool aligned = pass.dy.packed() && pass.x.packed() && pass.dx.packed() && packs(pass.weight, 0, pass.H);
  if (blocks > 0)
    with_row_form<T>(aligned, pass.teams, [&](auto whole, auto count) {
      launch(backward_kernel<T, decltype(whole)::value, decltype(count)::value>, shape, queue_of(stream), pass);
    });
  fold_partials<SumOf<T>>(stream, pass.partial, blocks, pass.H, data_of<SumOf<T>>(dweight), write);
}

}  // namespace

void rms_norm_forward(Stream& stream, const ConstView& x, const ConstView& weight, double eps, const View& y, const View& rstd) {
  with_float_type("rms_norm_forward", x.type(), [&](auto element) { forward<decltype(element)>(stream, x, weight, eps, y, rstd); });
}

void rms_norm_backward(Stream& stream, const ConstView& dy, const ConstView& x, const ConstView& weight, const ConstView& rstd,
                       const View& dx, Write write_dx, const View& dweight, Write write_dweight, void* workspace) {
  const unsigned rows = rows_of(x);
  const std::int64_t H = x.shape().back();
  const Teams teams = teams_for(H, x.type());
  with_float_type("rms_norm_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    const Backward<T> pass{Rows<const T>::of(dy),
                           Rows<const T>::of(x),
                           Rows<T>::of(dx),
                           data_of<T>(weight),
                           data_of<SumOf<T>>(rstd),
                           static_cast<SumOf<T>*>(workspace),
                           rows,
                           inner_of(x),
                           static_cast<unsigned>(row_block(rows, teams)),
                           static_cast<int>(H),
                           teams,
                           write_dx == Write::add};
    backward(stream, pass, dweight, write_dweight);
  });
}

}  // namespace strata::cuda
