// AdamW on the host: one vector loop per block; the fp32 master lives in registers only.
#include "ops/cpu/adamw.hpp"

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

template <class Sum>
void update_whole(Stream& stream, Index n, Sum* weight, const Sum* gradient, Sum* m, Sum* v, const AdamwConstants<Sum>& constants) {
  for_blocks(stream, n, [=](Index first, Index last) {
    const AdamwConstants<Sum> c = constants;
#pragma GCC ivdep
    for (Index i = first; i < last; ++i) {
      Sum m_i = m[i], v_i = v[i];
      weight[i] = updated(weight[i], gradient[i], m_i, v_i, c);
      m[i] = m_i, v[i] = v_i;
    }
  });
}

void update_split(Stream& stream, Index n, BFloat16* weight, std::int16_t* remainder, const float* gradient, float* m, float* v,
                  const AdamwConstants<float>& constants) {
  for_blocks(stream, n, [=](Index first, Index last) {
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
                  const View& exp_avg_sq, const AdamwStep& step) {
  const Index n = weight.elements();
  if (weight.type() == DType::f64)
    return update_whole(stream, n, weight.as<double>(), gradient.as<const double>(), exp_avg.as<double>(), exp_avg_sq.as<double>(),
                        AdamwConstants<double>(step));
  const AdamwConstants<float> constants(step);
  const auto* g = gradient.as<const float>();
  auto* m = exp_avg.as<float>();
  auto* v = exp_avg_sq.as<float>();
  if (weight.type() == DType::f32) return update_whole(stream, n, weight.as<float>(), g, m, v, constants);
  update_split(stream, n, weight.as<BFloat16>(), remainder.as<std::int16_t>(), g, m, v, constants);
}

}  // namespace strata::cpu
