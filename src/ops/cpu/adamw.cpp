// AdamW on the host: one vector loop per block; the fp32 master lives in registers only.
#include "ops/cpu/adamw.hpp"

#include <algorithm>
#include <cmath>

#include "ops/adamw_constants.hpp"
#include "ops/cpu/blocks.hpp"
#include "ops/cpu/element.hpp"
#include "ops/cpu/master.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

/// p after the update; m and v in place.
template <class Sum>
inline Sum updated(Sum p, Sum gradient, Sum& m, Sum& v, const AdamwConstants<Sum>& c) {
  const Sum g = gradient * c.scale;
  m = c.beta1 * m + c.rest1 * g;
  v = c.beta2 * v + c.rest2 * (g * g);
  return p * c.decay - c.rate * m / (std::sqrt(v) * c.root + c.eps);
}

/// work(first, last, constants) for what of each segment falls into each block.
template <class Sum, class Work>
void for_segments(Stream& stream, const AdamwStep& step, std::span<const AdamwSegment> segments, Work&& work) {
  AdamwStep undecayed = step;
  undecayed.weight_decay = 0;
  const AdamwConstants<Sum> decaying(step), other(undecayed);
  for_blocks(stream, segments.empty() ? 0 : segments.back().end, [&](Index first, Index last) {
    Index begin = 0;
    for (const AdamwSegment& segment : segments) {
      const Index from = std::max(first, begin), to = std::min(last, segment.end);
      if (from < to) work(from, to, segment.decays ? decaying : other);
      begin = segment.end;
    }
  });
}

template <class Sum>
void update_whole(Stream& stream, Sum* weight, const Sum* gradient, Sum* m, Sum* v, const AdamwStep& step,
                  std::span<const AdamwSegment> segments) {
  for_segments<Sum>(stream, step, segments, [=](Index first, Index last, const AdamwConstants<Sum>& constants) {
    const AdamwConstants<Sum> c = constants;
#pragma GCC ivdep
    for (Index i = first; i < last; ++i) {
      Sum m_i = m[i], v_i = v[i];
      weight[i] = updated(weight[i], gradient[i], m_i, v_i, c);
      m[i] = m_i, v[i] = v_i;
    }
  });
}

void update_split(Stream& stream, BFloat16* weight, std::int16_t* remainder, const float* gradient, float* m, float* v,
                  const AdamwStep& step, std::span<const AdamwSegment> segments) {
  for_segments<float>(stream, step, segments, [=](Index first, Index last, const AdamwConstants<float>& constants) {
    const AdamwConstants<float> c = constants;
#pragma GCC ivdep
    for (Index i = first; i < last; ++i) {
      float m_i = m[i], v_i = v[i];
      const float p = updated(joined(weight[i], remainder[i]), gradient[i], m_i, v_i, c);
      const BFloat16 rounded(p);
      weight[i].bits = rounded.bits;  // a copy of the whole struct would not vectorise
      remainder[i] = remainder_of(p, rounded);
      m[i] = m_i, v[i] = v_i;
    }
  });
}

}  // namespace

void adamw_update(Stream& stream, const View& weight, const View& remainder, const ConstView& gradient, const View& exp_avg,
                  const View& exp_avg_sq, const AdamwStep& step, std::span<const AdamwSegment> segments) {
  if (weight.type() == DType::f64)
    return update_whole(stream, weight.as<double>(), gradient.as<const double>(), exp_avg.as<double>(), exp_avg_sq.as<double>(), step,
                        segments);
  const auto* g = gradient.as<const float>();
  auto* m = exp_avg.as<float>();
  auto* v = exp_avg_sq.as<float>();
  if (weight.type() == DType::f32) return update_whole(stream, weight.as<float>(), g, m, v, step, segments);
  update_split(stream, weight.as<BFloat16>(), remainder.as<std::int16_t>(), g, m, v, step, segments);
}

}  // namespace strata::cpu
