#pragma once
// All tensors of one attention, and the comparison with its formulas: what the tests of causal and bidirectional attention share.
#include "ops/plain_attention.hpp"
#include "ops/tolerance.hpp"

namespace strata::test {

/// q, k and v (and their gradients) lie in one fused product [B,S,(nh + 2 nkv) hd] as in the model.
struct AttentionTensors {
  AttentionSize size;
  DType type;
  double scale;
  TestTensor fused, dout, o, lse, dfused;

  AttentionTensors(DType element, AttentionSize s, double spread = 1.0)
      : size(s),
        type(element),
        scale(1 / std::sqrt(static_cast<double>(s.hd))),
        fused(element, fused_shape(), random_values(fused_shape().elements(), 1, spread)),
        dout(element, Shape{s.B, s.S, s.nh, s.hd}, random_values(s.B * s.S * s.nh * s.hd, 2), 2),
        o(element, Shape{s.B, s.S, s.nh, s.hd}, 3),
        lse(sum_type(element), Shape{s.B, s.nh, s.S}),
        dfused(element, fused_shape()) {}

  Shape fused_shape() const { return Shape{size.B, size.S, (size.nh + 2 * size.nkv) * size.hd}; }
  template <class T>
  auto heads(T&& tensor, std::int64_t first_head, std::int64_t heads) const {
    return tensor.view().columns(first_head * size.hd, heads * size.hd).split_last(heads, size.hd);
  }
  ConstView q() const { return heads(fused, 0, size.nh); }
  ConstView k() const { return heads(fused, size.nh, size.nkv); }
  ConstView v() const { return heads(fused, size.nh + size.nkv, size.nkv); }
  View dq() { return heads(dfused, 0, size.nh); }
  View dk() { return heads(dfused, size.nh, size.nkv); }
  View dv() { return heads(dfused, size.nh + size.nkv, size.nkv); }
  /// The formulas on these tensors, causal and without a mask.
  PlainAttention unmasked() const { return {size, doubles_of(q()), doubles_of(k()), doubles_of(v()), {}, scale, {}, {}, {}, {}, {}}; }
};

/// `c` is an AttentionTensors with forward(), backward() and plain().
template <class Case>
void expect_plain_result(Case& c, const std::string& where) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  PlainAttention plain = c.plain();
  plain.forward(), plain.backward(c.dout.values());

  c.forward(stream), c.backward(stream);

  const double forward = tolerance("attention_forward", c.type), backward = tolerance("attention_backward", c.type);
  EXPECT_LT(relative_difference(c.o.values(), plain.o), forward) << where;
  EXPECT_LT(relative_difference(c.lse.values(), plain.lse), tolerance("attention_forward", c.type, true)) << where;
  EXPECT_LT(relative_difference(doubles_of(c.dv()), plain.dv), backward) << where;
  if (c.size.S == 1) return;  // one key: p = 1 and ds = 0 up to rounding
  EXPECT_LT(relative_difference(doubles_of(c.dq()), plain.dq), backward) << where;
  EXPECT_LT(relative_difference(doubles_of(c.dk()), plain.dk), backward) << where;
}

inline std::string name_of_case(const AttentionTensors& c) {
  return text(name_of(c.type), " B ", c.size.B, " S ", c.size.S, " nh ", c.size.nh, " nkv ", c.size.nkv, " hd ", c.size.hd);
}

}  // namespace strata::test
