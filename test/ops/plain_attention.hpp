#pragma once
// Attention written as its formulas, in fp64: the truth that the blocked op is held to.
#include "ops/gradient_check.hpp"

namespace strata::test {

struct AttentionSize {
  std::int64_t B, S, nh, nkv, hd;
};

struct PlainAttention {
  AttentionSize size;
  Doubles q, k, v;                  // [B,S,heads,hd]
  std::vector<std::int32_t> first;  // [B,S]
  double scale;
  Doubles o, lse, dq, dk, dv;  // results
  bool causal = true;
  std::vector<std::int32_t> lengths{};                                                        // [B], where not causal
  std::function<double(std::int64_t, std::int64_t, std::int64_t, std::int64_t)> factor_of{};  // of b, h, i, j; none: 1

  std::size_t at_q(std::int64_t b, std::int64_t i, std::int64_t h) const {
    return static_cast<std::size_t>(((b * size.S + i) * size.nh + h) * size.hd);
  }
  std::size_t at_k(std::int64_t b, std::int64_t j, std::int64_t h) const {
    return static_cast<std::size_t>(((b * size.S + j) * size.nkv + h / (size.nh / size.nkv)) * size.hd);
  }
  std::size_t at_row(std::int64_t b, std::int64_t i, std::int64_t h) const {
    return static_cast<std::size_t>((b * size.nh + h) * size.S + i);
  }
  double product(const Doubles& a, std::size_t i, const Doubles& b, std::size_t j) const {
    double sum = 0;
    for (std::size_t d = 0; d < static_cast<std::size_t>(size.hd); ++d) sum += a[i + d] * b[j + d];
    return sum;
  }
  std::int64_t first_key(std::int64_t b, std::int64_t i) const {
    return first.empty() ? 0 : first[static_cast<std::size_t>(b * size.S + i)];
  }

  std::int64_t end_key(std::int64_t b, std::int64_t i) const {
    return causal ? i + 1 : lengths.empty() ? size.S : lengths[static_cast<std::size_t>(b)];
  }
  double factor(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const { return factor_of ? factor_of(b, h, i, j) : 1.0; }

  /// Calls f(b, h, i, j, p_ij) for every visible pair of every row; forward() must have run.
  template <class F>
  void for_pairs(F&& f) const {
    for (std::int64_t b = 0; b < size.B; ++b)
      for (std::int64_t h = 0; h < size.nh; ++h)
        for (std::int64_t i = 0; i < size.S; ++i)
          for (std::int64_t j = first_key(b, i); j < end_key(b, i); ++j)
            f(b, h, i, j, std::exp(scale * product(q, at_q(b, i, h), k, at_k(b, j, h)) - lse[at_row(b, i, h)]));
  }

  void forward() {
    o.assign(q.size(), 0.0), lse.assign(static_cast<std::size_t>(size.B * size.nh * size.S), -INFINITY);
    for (std::int64_t b = 0; b < size.B; ++b)
      for (std::int64_t h = 0; h < size.nh; ++h)
        for (std::int64_t i = 0; i < size.S; ++i) {
          double mass = 0;
          for (std::int64_t j = first_key(b, i); j < end_key(b, i); ++j)
            mass += std::exp(scale * product(q, at_q(b, i, h), k, at_k(b, j, h)));
          lse[at_row(b, i, h)] = std::log(mass);
        }
    for_pairs([&](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j, double p) {
      for (std::size_t d = 0; d < static_cast<std::size_t>(size.hd); ++d)
        o[at_q(b, i, h) + d] += factor(b, h, i, j) * p * v[at_k(b, j, h) + d];
    });
  }

  void backward(const Doubles& dout) {
    dq.assign(q.size(), 0.0), dk.assign(k.size(), 0.0), dv.assign(v.size(), 0.0);
    for_pairs([&](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j, double p) {
      const std::size_t query = at_q(b, i, h), key = at_k(b, j, h);
      const double f = factor(b, h, i, j), ds = p * (f * product(dout, query, v, key) - product(dout, query, o, query));
      for (std::size_t d = 0; d < static_cast<std::size_t>(size.hd); ++d) {
        dq[query + d] += scale * ds * k[key + d];
        dk[key + d] += scale * ds * q[query + d];
        dv[key + d] += f * p * dout[query + d];
      }
    });
  }
};

}  // namespace strata::test
