// AdamW: one pass, the fp32 master lives in registers only. Four elements a thread: 8-byte words of weight and remainder and 16-byte words
// of the rest are then both whole lines for a warp, and 64 bytes of each thread are under way at once. Every operation is rounded by
// itself, as on the host, so that both devices give the same bits.
#include "ops/cuda/adamw.hpp"

#include <algorithm>

#include "ops/adamw_constants.hpp"
#include "ops/cuda/exact.cuh"
#include "ops/cuda/flat.cuh"
#include "ops/cuda/master.cuh"

namespace strata::cuda {
namespace {

constexpr int width = 4;

/// Segments of a launch by value: arguments of a kernel lie in the constant cache, so that it needs no table of its own in memory.
constexpr int most_segments = 32;

template <class S>
struct Update {
  AdamwConstants<S> constants;
  std::uint32_t decays = 0;  // a bit for each segment
  std::int64_t end[most_segments] = {};

  /// By what elements i, i + 1, .. are multiplied for their decay. The last segment ends where the stretch does.
  template <int N>
  __device__ __forceinline__ Group<S, N> factors(std::int64_t i) const {
    int k = 0;
    Group<S, N> of;
#pragma unroll
    for (int e = 0; e < N; ++e) {
      while (i + e >= end[k]) ++k;
      of.of[e] = (decays >> k & 1u) != 0 ? constants.decay : S(1);
    }
    return of;
  }
};

/// p after the update; m and v in place.
template <class S>
__device__ __forceinline__ S updated(S p, S decay, S gradient, S& m, S& v, const AdamwConstants<S>& c) {
  const S g = product(gradient, c.scale);
  m = sum(product(c.beta1, m), product(c.rest1, g));
  v = sum(product(c.beta2, v), product(c.rest2, product(g, g)));
  return difference(product(p, decay), product(c.rate, m) / sum(product(root(v), c.root), c.eps));
}

template <class S>
struct State {
  const S* gradient;
  S *m, *v;

  bool aligned() const { return aligned_for<width>(gradient) && aligned_for<width>(m) && aligned_for<width>(v); }
};
template <class S, int N>
struct StateGroup {
  Group<S, N> gradient, m, v;
};
template <int N, class S>
__device__ __forceinline__ StateGroup<S, N> load_state(const State<S>& state, std::int64_t i) {
  return {load_group<N>(state.gradient + i), load_group<N>(static_cast<const S*>(state.m + i)),
          load_group<N>(static_cast<const S*>(state.v + i))};
}
template <int N, class S>
__device__ __forceinline__ void store_state(const State<S>& state, std::int64_t i, const StateGroup<S, N>& group) {
  store_group<N>(state.m + i, group.m), store_group<N>(state.v + i, group.v);
}

template <class S>
struct Whole {
  static constexpr int at_once = 1;
  S* weight;
  State<S> state;
  Update<S> update;

  template <int N>
  struct Loaded {
    Group<S, N> weight;
    StateGroup<S, N> state;
  };
  template <int N>
  __device__ Loaded<N> load(std::int64_t i) const {
    return {load_group<N>(static_cast<const S*>(weight + i)), load_state<N>(state, i)};
  }
  /// What it has written.
  template <int N>
  __device__ Group<S, N> store(std::int64_t i, Loaded<N> a) const {
    const Group<S, N> decay = update.template factors<N>(i);
#pragma unroll
    for (int e = 0; e < N; ++e)
      a.weight.of[e] = updated(a.weight.of[e], decay.of[e], a.state.gradient.of[e], a.state.m.of[e], a.state.v.of[e], update.constants);
    store_group<N>(weight + i, a.weight), store_state<N>(state, i, a.state);
    return a.weight;
  }
};

struct InHalves {
  static constexpr int at_once = 1;
  BFloat16* weight;
  std::int16_t* remainder;
  State<float> state;
  Update<float> update;

  template <int N>
  struct Loaded {
    Group<BFloat16, N> upper;
    Group<std::int16_t, N> lower;
    StateGroup<float, N> state;
  };
  template <int N>
  __device__ Loaded<N> load(std::int64_t i) const {
    return {load_group<N>(static_cast<const BFloat16*>(weight + i)), load_group<N>(static_cast<const std::int16_t*>(remainder + i)),
            load_state<N>(state, i)};
  }
  template <int N>
  __device__ void store(std::int64_t i, Loaded<N> a) const {
    const Group<float, N> decay = update.factors<N>(i);
#pragma unroll
    for (int e = 0; e < N; ++e) {
      const float p = updated(joined(a.upper.of[e], a.lower.of[e]), decay.of[e], a.state.gradient.of[e], a.state.m.of[e], a.state.v.of[e],
                              update.constants);
      a.upper.of[e] = rounded(p);
      a.lower.of[e] = remainder_of(p, a.upper.of[e]);
    }
    store_group<N>(weight + i, a.upper), store_group<N>(remainder + i, a.lower), store_state<N>(state, i, a.state);
  }
};

/// The fp32 master is a tensor of its own: fp16 is no half of its bits.
struct WithMaster {
  static constexpr int at_once = 1;
  f16* weight;
  Whole<float> master;

  template <int N>
  __device__ auto load(std::int64_t i) const {
    return master.load<N>(i);
  }
  template <int N, class Loaded>
  __device__ void store(std::int64_t i, const Loaded& a) const {
    const Group<float, N> exact = master.store<N>(i, a);
    Group<f16, N> rounded_to;
#pragma unroll
    for (int e = 0; e < N; ++e) rounded_to.of[e] = narrow<f16>(exact.of[e]);
    store_group<N>(weight + i, rounded_to);
  }
};

template <class S>
State<S> state_of(const ConstView& gradient, const View& exp_avg, const View& exp_avg_sq) {
  return {gradient.as<const S>(), exp_avg.as<S>(), exp_avg_sq.as<S>()};
}

template <class S>
void update_whole(Stream& stream, const View& weight, const State<S>& state, const Update<S>& update) {
  S* const p = weight.as<S>();
  run_flat<width>(stream, weight.elements(), aligned_for<width>(p) && state.aligned(), Whole<S>{p, state, update});
}

/// The segments that one launch takes, counted from its own first element `begin`.
template <class S>
Update<S> update_of(const AdamwStep& step, std::span<const AdamwSegment> segments, std::int64_t begin) {
  Update<S> update{AdamwConstants<S>(step)};
  for (std::size_t k = 0; k < segments.size(); ++k) {
    update.end[k] = segments[k].end - begin;
    update.decays |= static_cast<std::uint32_t>(segments[k].decays) << k;
  }
  return update;
}

void launch_update(Stream& stream, const View& weight, const View& rest, const ConstView& gradient, const View& exp_avg,
                   const View& exp_avg_sq, const AdamwStep& step, std::span<const AdamwSegment> segments, std::int64_t begin) {
  if (weight.type() == DType::f64)
    return update_whole(stream, weight, state_of<double>(gradient, exp_avg, exp_avg_sq), update_of<double>(step, segments, begin));
  const State<float> state = state_of<float>(gradient, exp_avg, exp_avg_sq);
  const Update<float> update = update_of<float>(step, segments, begin);
  if (weight.type() == DType::f32) return update_whole(stream, weight, state, update);
  if (weight.type() == DType::f16) {
    const WithMaster work{data_of<f16>(weight), {rest.as<float>(), state, update}};
    return run_flat<width>(stream, weight.elements(),
                           aligned_for<width>(work.weight) && aligned_for<width>(work.master.weight) && state.aligned(), work);
  }
  const InHalves work{weight.as<BFloat16>(), rest.as<std::int16_t>(), state, update};
  run_flat<width>(stream, weight.elements(), aligned_for<width>(work.weight) && aligned_for<width>(work.remainder) && state.aligned(),
                  work);
}

}  // namespace

void adamw_update(Stream& stream, const View& weight, const View& rest, const ConstView& gradient, const View& exp_avg,
                  const View& exp_avg_sq, const AdamwStep& step, std::span<const AdamwSegment> segments) {
  std::int64_t begin = 0;
  while (!segments.empty()) {
    const auto now = segments.first(std::min<std::size_t>(segments.size(), most_segments));
    const std::int64_t count = now.back().end - begin;
    launch_update(stream, weight.rows(begin, count), rest.given() ? rest.rows(begin, count) : rest, gradient.rows(begin, count),
                  exp_avg.rows(begin, count), exp_avg_sq.rows(begin, count), step, now, begin);
    begin += count, segments = segments.subspan(now.size());
  }
}

}  // namespace strata::cuda
