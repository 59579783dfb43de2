// Each op as training calls it, on operands of its own.
#include "commands/measure_calls.hpp"

#include "strata/ops/adamw.hpp"
#include "strata/ops/attention.hpp"
#include "strata/ops/cross_entropy.hpp"
#include "strata/ops/elementwise.hpp"
#include "strata/ops/embedding.hpp"
#include "strata/ops/gelu.hpp"
#include "strata/ops/layer_norm.hpp"
#include "strata/ops/linear.hpp"
#include "strata/ops/qk_norm_rope.hpp"
#include "strata/ops/rms_norm.hpp"
#include "strata/ops/rope.hpp"
#include "strata/ops/span_head.hpp"
#include "strata/ops/swiglu.hpp"
#include "strata/tensor/values.hpp"

namespace strata {
namespace {

DType wide(DType type) {
  return type == DType::f64 ? DType::f64 : DType::f32;
}

/// One call of an op with operands of its own, taken from an arena.
class OpCall {
 public:
  OpCall(Arena& arena, DType type) : arena_(arena), type_(type) {}
  View data(Shape shape) { return take(arena_, "operand", type_, shape); }
  View sums(Shape shape) { return take(arena_, "operand", wide(type_), shape); }
  View of(DType type, Shape shape) { return take(arena_, "operand", type, shape); }
  /// Small whole numbers, which are no bits of others.
  View ids(std::int64_t count, std::int64_t below) { return ids(Shape{count}, below); }
  View ids(Shape shape, std::int64_t below) {
    const View view = of(DType::i32, shape);
    if (!view.data()) return view;
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(view.elements()));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) * 7919 % below);
    set_values(view, numbers);
    return view;
  }

 private:
  Arena& arena_;
  DType type_;
};

OpRun linear_call(OpCall& c, const std::string& op, std::int64_t m, std::int64_t n, std::int64_t k) {
  if (op == "linear_forward") {
    const View x = c.data(Shape{m, k}), w = c.data(Shape{n, k}), y = c.data(Shape{m, n});
    return [=](Stream& s) { linear_forward(s, x, w, View(), View(), y); };
  }
  if (op == "linear_backward_input") {  // dx[m,n] = dy[m,k] W[k,n]
    const View dy = c.data(Shape{m, k}), w = c.data(Shape{k, n}), dx = c.data(Shape{m, n});
    return [=](Stream& s) { linear_backward_input(s, dy, w, dx); };
  }
  const View dy = c.data(Shape{k, m}), x = c.data(Shape{k, n}), dw = c.sums(Shape{m, n});  // dW[m,n] = dy[k,m]^T x[k,n]
  return [=](Stream& s) { linear_backward_weight(s, dy, x, dw, View(), Write::set); };
}

OpRun attention_call(OpCall& c, const std::string& op, std::int64_t heads, std::int64_t S, std::int64_t hd) {
  // As layers do it: queries, keys and values of a token lie side by side, two query heads to a key/value head.
  const std::int64_t nh = heads % 8 == 0 ? 8 : heads, nkv = std::max<std::int64_t>(1, nh / 2), B = heads / nh;
  struct Heads {
    View q, k, v;
  };
  const auto fused = [&] {
    const View all = c.data(Shape{B * S, (nh + 2 * nkv) * hd});
    const auto part = [&](std::int64_t first, std::int64_t count) {
      return all.columns(first * hd, count * hd).split_last(count, hd).split_first(B, S);
    };
    return Heads{part(0, nh), part(nh, nkv), part(nh + nkv, nkv)};
  };
  const Heads in = fused();
  const View o = c.data(Shape{B, S, nh, hd}), lse = c.sums(Shape{B, nh, S});
  const double scale = 0.1;
  if (op == "attention_forward") return [=](Stream& s) { attention_forward(s, in.q, in.k, in.v, View(), scale, o, lse); };
  const View dout = c.data(Shape{B, S, nh, hd});
  const Heads d = fused();
  return [=](Stream& s) { attention_backward(s, dout, in.q, in.k, in.v, o, lse, View(), scale, d.q, d.k, d.v); };
}

bool ends(const std::string& op, const char* with) {
  const std::string end = with;
  return op.size() >= end.size() && op.compare(op.size() - end.size(), end.size(), end) == 0;
}

// A tenth dropped, where the op's name says so.
Dropout dropout_of(OpCall& c, const std::string& op, std::int64_t sequences) {
  Dropout what;
  if (ends(op, "dropout")) what.p = 0.1, what.seed = 1, what.step = 1, what.samples = c.ids(sequences, 1 << 20);
  return what;
}

// Of so many rows: up to 8.
std::int64_t sequences_of(std::int64_t rows) {
  std::int64_t sequences = 8;
  while (rows % sequences != 0) sequences /= 2;
  return sequences;
}

OpRun bidirectional_call(OpCall& c, const std::string& op, std::int64_t heads, std::int64_t S, std::int64_t hd) {
  // Queries, keys and values of a token lie side by side; as many heads as encoders with 64 elements a head or fewer mostly have.
  const std::int64_t nh = heads % 12 == 0 ? 12 : heads % 16 == 0 ? 16 : heads % 8 == 0 ? 8 : heads, B = heads / nh;
  const auto part = [=](const View& all, std::int64_t i) { return all.columns(i * nh * hd, nh * hd).split_last(nh, hd).split_first(B, S); };
  const View in = c.data(Shape{B * S, 3 * nh * hd}), o = c.data(Shape{B, S, nh, hd}), lse = c.sums(Shape{B, nh, S});
  const double scale = 0.1;
  const Dropout what = dropout_of(c, op, B);
  if (op.rfind("bidirectional_attention_forward", 0) == 0)
    return [=](Stream& s) { bidirectional_attention_forward(s, part(in, 0), part(in, 1), part(in, 2), ConstView(), what, scale, o, lse); };
  const View dout = c.data(Shape{B, S, nh, hd}), d = c.data(Shape{B * S, 3 * nh * hd});
  return [=](Stream& s) {
    bidirectional_attention_backward(s, dout, part(in, 0), part(in, 1), part(in, 2), o, lse, ConstView(), what, scale, part(d, 0),
                                     part(d, 1), part(d, 2));
  };
}

OpRun layer_norm_call(OpCall& c, const std::string& op, std::int64_t R, std::int64_t H) {
  const bool adds = op.rfind("add_", 0) == 0, forward = op.find("_forward") != std::string::npos;
  const View x = c.data(Shape{R, H}), y = c.data(Shape{R, H}), w = c.data(Shape{H}), b = c.data(Shape{H});
  const View mean = c.sums(Shape{R}), rstd = c.sums(Shape{R});
  const Dropout what = dropout_of(c, op, sequences_of(R));
  if (forward && !adds) return [=](Stream& s) { layer_norm_forward(s, x, w, b, 1e-12, y, mean, rstd); };
  if (forward) {
    const View residual = c.data(Shape{R, H});
    return [=](Stream& s) { add_layer_norm_forward(s, x, residual, what, w, b, 1e-12, x, y, mean, rstd); };
  }
  const View dw = c.sums(Shape{H}), db = c.sums(Shape{H});  // dy, y here, becomes the gradient of the sum
  if (!adds) return [=](Stream& s) { layer_norm_backward(s, y, x, w, mean, rstd, y, dw, db); };
  const View dx = what.drops() ? c.data(Shape{R, H}) : View(), sums = c.sums(Shape{H});
  return [=](Stream& s) { add_layer_norm_backward(s, y, x, what, w, mean, rstd, y, dx, dw, db, sums); };
}

OpRun gelu_call(OpCall& c, const std::string& op, std::int64_t R, std::int64_t F) {
  const View x = c.data(Shape{R, F}), y = c.data(Shape{R, F});
  if (op == "gelu_forward") return [=](Stream& s) { gelu_forward(s, x, Gelu::erf, y); };
  const View db = c.sums(Shape{F});
  return [=](Stream& s) { gelu_backward(s, y, x, Gelu::erf, y, db); };
}

OpRun dropout_call(OpCall& c, const std::string& op, std::int64_t R, std::int64_t H) {
  const View x = c.data(Shape{R, H});
  const Dropout what = dropout_of(c, op, sequences_of(R));
  return [=](Stream& s) { dropout(s, x, what, x); };
}

OpRun embedding_sum_call(OpCall& c, std::int64_t R, std::int64_t H, std::int64_t V) {
  const View ids = c.ids(R, V), types = c.ids(R, 2), words = c.data(Shape{V, H}), two = c.data(Shape{2, H}), y = c.data(Shape{R, H});
  std::int64_t S = R;
  while (S > 512 && S % 2 == 0) S /= 2;
  const View positions = c.data(Shape{S, H});
  return [=](Stream& s) { embedding_sum_forward(s, ids, types, words, two, positions, S, y); };
}

OpRun span_call(OpCall& c, const std::string& op, std::int64_t a, std::int64_t b) {
  if (op.rfind("span_logits_", 0) == 0) {  // tokens, width
    const View x = c.data(Shape{a, b}), w = c.data(Shape{2, b}), logits = c.sums(Shape{1, 2, a});
    if (op == "span_logits_forward") {
      const View bias = c.data(Shape{2});
      return [=](Stream& s) { span_logits_forward(s, x, w, bias, logits); };
    }
    const View dx = c.data(Shape{a, b}), dw = c.sums(Shape{2, b}), db = c.sums(Shape{2});
    return [=](Stream& s) { span_logits_backward(s, logits, x, w, dx, dw, db); };
  }
  const View logits = c.sums(Shape{a, 2, b}), loss = c.of(DType::f64, Shape{a, 2});  // sequences, length
  const View labels = c.ids(Shape{a, 2}, b);
  return [=](Stream& s) { span_cross_entropy_backward(s, logits, labels, 1e-3, loss, logits); };
}

OpRun cross_entropy_call(OpCall& c, std::int64_t R, std::int64_t H, std::int64_t V) {
  const View x = c.data(Shape{R, H}), w = c.data(Shape{V, H}), dx = c.data(Shape{R, H}), dw = c.sums(Shape{V, H});
  const View labels = c.ids(R, V), loss = c.of(DType::f64, Shape{R});
  return [=](Stream& s) { linear_cross_entropy_backward(s, x, w, labels, 0.01, loss, dx, dw, Write::set); };
}

OpRun rms_norm_call(OpCall& c, const std::string& op, std::int64_t R, std::int64_t W) {
  const View x = c.data(Shape{R, W}), w = c.data(Shape{W}), y = c.data(Shape{R, W}), rstd = c.sums(Shape{R});
  if (op == "rms_norm_forward") return [=](Stream& s) { rms_norm_forward(s, x, w, 1e-6, y, rstd); };
  const View dx = c.data(Shape{R, W}), dw = c.sums(Shape{W});
  return [=](Stream& s) { rms_norm_backward(s, y, x, w, rstd, dx, Write::add, dw, Write::set); };
}

OpRun rope_call(OpCall& c, const std::string& op, std::int64_t rows, std::int64_t hd) {
  const std::int64_t heads = 8, tokens = std::max<std::int64_t>(1, rows / heads);
  const View x = c.data(Shape{tokens, heads, hd}), cos = c.sums(Shape{tokens, hd / 2}), sin = c.sums(Shape{tokens, hd / 2});
  const View positions = c.ids(tokens, tokens);
  if (op == "rope_forward") return [=](Stream& s) { rope_forward(s, x, cos, sin, positions, x); };
  return [=](Stream& s) { rope_backward(s, x, cos, sin, positions, x); };
}

OpRun qk_norm_rope_call(OpCall& c, const std::string& op, std::int64_t rows, std::int64_t hd) {
  // Two query heads to a key head, side by side, as layers have them.
  const std::int64_t nh = 8, nkv = 4, tokens = std::max<std::int64_t>(1, rows / (nh + nkv));
  const auto heads = [=](const View& all) {
    return QueryKey{all.columns(0, nh * hd).split_last(nh, hd), all.columns(nh * hd, nkv * hd).split_last(nkv, hd)};
  };
  const QueryKey x = heads(c.data(Shape{tokens, (nh + nkv) * hd})), y = heads(c.data(Shape{tokens, (nh + nkv) * hd}));
  const QueryKey w = {c.data(Shape{hd}), c.data(Shape{hd})}, rstd = {c.sums(Shape{tokens, nh}), c.sums(Shape{tokens, nkv})};
  const Rotary at = {c.sums(Shape{tokens, hd / 2}), c.sums(Shape{tokens, hd / 2}), c.ids(tokens, tokens)};
  if (op == "qk_norm_rope_forward") return [=](Stream& s) { qk_norm_rope_forward(s, x, w, 1e-6, at, y, rstd); };
  const QueryKey dw = {c.sums(Shape{hd}), c.sums(Shape{hd})};
  return [=](Stream& s) { qk_norm_rope_backward(s, y, x, w, rstd, at, y, dw); };
}

OpRun swiglu_call(OpCall& c, const std::string& op, std::int64_t R, std::int64_t F) {
  const View gate_up = c.data(Shape{R, 2 * F}), y = c.data(Shape{R, F});
  if (op == "swiglu_forward") return [=](Stream& s) { swiglu_forward(s, gate_up, y); };
  return [=](Stream& s) { swiglu_backward(s, y, gate_up, gate_up); };
}

OpRun embedding_call(OpCall& c, const std::string& op, std::int64_t R, std::int64_t H, std::int64_t V) {
  const View ids = c.ids(R, V), y = c.data(Shape{R, H});
  if (op == "embedding_forward") {
    const View w = c.data(Shape{V, H});
    return [=](Stream& s) { embedding_forward(s, ids, w, y); };
  }
  const View dw = c.sums(Shape{V, H});
  return [=](Stream& s) { embedding_backward(s, y, ids, dw, Write::set); };
}

OpRun flat_call(OpCall& c, const std::string& op, DType type, std::int64_t n) {
  const View y = c.data(Shape{n});
  if (op == "fill") return [=](Stream& s) { fill(s, y, 0.5); };
  if (op == "sum_of_squares") {
    const View partials = c.of(DType::f64, Shape{(n + 4095) / 4096});
    return [=](Stream& s) { sum_of_squares(s, y, partials); };
  }
  const View x = c.sums(Shape{n});
  if (op == "add_into") return [=](Stream& s) { add_into(s, y, x); };
  if (op == "cast") return [=](Stream& s) { cast(s, x, y); };
  const View remainder = type == DType::bf16 ? c.of(DType::i16, Shape{n}) : type == DType::f16 ? c.of(DType::f32, Shape{n}) : View();
  const View m = c.sums(Shape{n}), v = c.sums(Shape{n});
  return [=](Stream& s) { adamw_update(s, y, remainder, x, m, v, AdamwStep{1e-3, 0.9, 0.999, 1e-8, 0.1, 2, 0.5}); };
}

}  // namespace

OpRun prepared(const MeasuredOp& measured, Arena& arena) {
  OpCall c(arena, measured.sizes.type);
  const std::string& op = measured.op;
  const auto [a, b, d] = measured.sizes.sizes;
  const auto begins = [&](const char* with) { return op.rfind(with, 0) == 0; };
  if (begins("linear_cross")) return cross_entropy_call(c, a, b, d);
  if (begins("linear_")) return linear_call(c, op, a, b, d);
  if (begins("attention_")) return attention_call(c, op, a, b, d);
  if (begins("bidirectional_")) return bidirectional_call(c, op, a, b, d);
  if (begins("layer_norm_") || begins("add_layer_norm_")) return layer_norm_call(c, op, a, b);
  if (begins("gelu_")) return gelu_call(c, op, a, b);
  if (begins("dropout")) return dropout_call(c, op, a, b);
  if (begins("embedding_sum_")) return embedding_sum_call(c, a, b, d);
  if (begins("span_")) return span_call(c, op, a, b);
  if (begins("rms_norm_")) return rms_norm_call(c, op, a, b);
  if (begins("qk_norm_rope_")) return qk_norm_rope_call(c, op, a, b);
  if (begins("rope_")) return rope_call(c, op, a, b);
  if (begins("swiglu_")) return swiglu_call(c, op, a, b);
  if (begins("embedding_")) return embedding_call(c, op, a, b, d);
  return flat_call(c, op, measured.sizes.type, a);
}

}  // namespace strata
