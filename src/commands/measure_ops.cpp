// Timing ops one by one.
#include "commands/measure_ops.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "strata/base/clock.hpp"
#include "strata/device/op_times.hpp"
#include "strata/ops/adamw.hpp"
#include "strata/ops/attention.hpp"
#include "strata/ops/cross_entropy.hpp"
#include "strata/ops/elementwise.hpp"
#include "strata/ops/embedding.hpp"
#include "strata/ops/gelu.hpp"
#include "strata/ops/layer_norm.hpp"
#include "strata/ops/linear.hpp"
#include "strata/ops/rms_norm.hpp"
#include "strata/ops/rope.hpp"
#include "strata/ops/span_head.hpp"
#include "strata/ops/swiglu.hpp"

namespace strata {
namespace {

// What all operands that take turns have: more than third caches hold.
constexpr std::int64_t turn_bytes = std::int64_t{256} << 20;

using OpRun = std::function<void(Stream&)>;

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
  View ids(std::int64_t count, std::int64_t below) {
    const View view = of(DType::i32, Shape{count});
    for (std::int64_t i = 0; view.data() && i < count; ++i) view.as<std::int32_t>()[i] = static_cast<std::int32_t>(i * 7919 % below);
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
  const View dx = what.drops() ? c.data(Shape{R, H}) : View();
  return [=](Stream& s) { add_layer_norm_backward(s, y, x, what, w, mean, rstd, y, dx, dw, db); };
}

OpRun gelu_call(OpCall& c, const std::string& op, std::int64_t R, std::int64_t F) {
  const View x = c.data(Shape{R, F}), y = c.data(Shape{R, F});
  if (op == "gelu_forward") return [=](Stream& s) { gelu_forward(s, x, Gelu::erf, y); };
  return [=](Stream& s) { gelu_backward(s, y, x, Gelu::erf, y); };
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
  const View labels = c.of(DType::i32, Shape{a, 2});
  for (std::int64_t i = 0; labels.data() && i < 2 * a; ++i) labels.as<std::int32_t>()[i] = static_cast<std::int32_t>(i * 7919 % b);
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
  const View remainder = type == DType::bf16 ? c.of(DType::i16, Shape{n}) : View(), m = c.sums(Shape{n}), v = c.sums(Shape{n});
  return [=](Stream& s) { adamw_update(s, y, remainder, x, m, v, AdamwStep{1e-3, 0.9, 0.999, 1e-8, 0.1, 2, 0.5}); };
}

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
  if (begins("rope_")) return rope_call(c, op, a, b);
  if (begins("swiglu_")) return swiglu_call(c, op, a, b);
  if (begins("embedding_")) return embedding_call(c, op, a, b, d);
  return flat_call(c, op, measured.sizes.type, a);
}

bool op_is_known(const std::string& op) {
  for (const char* name : {"linear_forward",
                           "linear_backward_input",
                           "linear_backward_weight",
                           "linear_cross_entropy_backward",
                           "attention_forward",
                           "attention_backward",
                           "rms_norm_forward",
                           "rms_norm_backward",
                           "rope_forward",
                           "rope_backward",
                           "swiglu_forward",
                           "swiglu_backward",
                           "embedding_forward",
                           "embedding_backward",
                           "adamw_update",
                           "add_into",
                           "sum_of_squares",
                           "cast",
                           "fill",
                           "bidirectional_attention_forward",
                           "bidirectional_attention_forward_dropout",
                           "bidirectional_attention_backward",
                           "bidirectional_attention_backward_dropout",
                           "layer_norm_forward",
                           "layer_norm_backward",
                           "add_layer_norm_forward",
                           "add_layer_norm_forward_dropout",
                           "add_layer_norm_backward",
                           "add_layer_norm_backward_dropout",
                           "gelu_forward",
                           "gelu_backward",
                           "dropout",
                           "embedding_sum_forward",
                           "span_logits_forward",
                           "span_logits_backward",
                           "span_cross_entropy_backward"})
    if (op == name) return true;
  return false;
}

struct Planned {
  std::int64_t bytes = 0;  // of the operands
  double flops = 0, amount = 0;
};

Planned planned(const MeasuredOp& op) {
  Arena counting;
  Stream stream = Stream::plan();
  prepared(op, counting)(stream);
  const OpCost& cost = stream.costs().begin()->second;
  return {counting.used(), cost.flops, counts_flops(op.op) ? cost.flops : cost.bytes};
}

}  // namespace

std::vector<MeasuredOp> ops_to_measure(double seconds) {
  std::vector<MeasuredOp> all;
  using Sizes = std::array<std::int64_t, 3>;
  const auto add = [&](DType type, const char* op, const std::vector<Sizes>& sizes) {
    for (const Sizes& s : sizes) all.push_back({op, {type, s}});
  };
  for (const DType type : {DType::f32, DType::bf16}) {
    // Rows x out x in: rows of a micro-batch, and widths of small and large models.
    for (const std::int64_t rows : {128, 512, 2048})
      for (const std::int64_t out : {256, 1024, 4096})
        for (const std::int64_t in : {256, 1024, 4096})
          add(type, "linear_forward", {{rows, out, in}}), add(type, "linear_backward_input", {{rows, out, in}}),
              add(type, "linear_backward_weight", {{out, in, rows}});
    for (const std::int64_t rows : {128, 512})
      for (const std::int64_t width : {256, 1024})
        for (const std::int64_t vocabulary : {4096, 32768}) add(type, "linear_cross_entropy_backward", {{rows, width, vocabulary}});
    for (const char* op : {"attention_forward", "attention_backward"})
      for (const std::int64_t length : {128, 512, 2048}) add(type, op, {{16, length, 32}, {16, length, 128}});
    for (const char* op : {"rms_norm_forward", "rms_norm_backward"})
      add(type, op, {{2048, 32}, {32768, 32}, {2048, 128}, {32768, 128}, {256, 1024}, {2048, 1024}, {256, 4096}});
    for (const char* op : {"rope_forward", "rope_backward"}) add(type, op, {{1024, 32}, {16384, 32}, {1024, 128}, {16384, 128}});
    for (const char* op : {"swiglu_forward", "swiglu_backward"}) add(type, op, {{128, 512}, {2048, 512}, {128, 4096}, {2048, 4096}});
    add(type, "embedding_forward", {{512, 1024, 4096}});
    add(type, "embedding_backward", {{512, 256, 4096}, {512, 1024, 16384}});
    // BERT: heads, length, head size; rows and widths of small and base models.
    for (const char* op : {"bidirectional_attention_forward", "bidirectional_attention_forward_dropout", "bidirectional_attention_backward",
                           "bidirectional_attention_backward_dropout"})
      for (const std::int64_t length : {128, 512}) add(type, op, {{24, length, 32}, {24, length, 64}});
    for (const char* op :
         {"add_layer_norm_forward", "add_layer_norm_forward_dropout", "add_layer_norm_backward", "add_layer_norm_backward_dropout"})
      add(type, op, {{512, 256}, {2048, 1024}});
    for (const char* op : {"layer_norm_forward", "layer_norm_backward", "dropout"}) add(type, op, {{2048, 768, 0}});
    for (const char* op : {"gelu_forward", "gelu_backward"}) add(type, op, {{512, 1024}, {2048, 4096}});
    for (const char* op : {"span_logits_forward", "span_logits_backward"}) add(type, op, {{2048, 768, 0}});
    add(type, "embedding_sum_forward", {{2048, 768, 16384}});
    add(type, "adamw_update", {{1 << 14, 0, 0}, {1 << 17, 0, 0}, {1 << 20, 0, 0}, {1 << 23, 0, 0}});
  }
  add(DType::f32, "span_cross_entropy_backward", {{8, 512, 0}});
  for (const char* op : {"add_into", "sum_of_squares", "cast", "fill"})
    add(DType::f32, op, {{1 << 14, 0, 0}, {1 << 17, 0, 0}, {1 << 20, 0, 0}, {1 << 23, 0, 0}});
  const auto takes_long = [&](const MeasuredOp& op) {
    const Planned work = planned(op);
    return work.flops > seconds * 1.5e9 || static_cast<double>(work.bytes) > seconds * (1 << 25);
  };
  all.erase(std::remove_if(all.begin(), all.end(), takes_long), all.end());
  return all;
}

std::vector<MeasuredOp> ops_of(const TrainPlan& plan) {
  std::vector<MeasuredOp> all;
  for (const PlannedOps* ops : {&plan.leaf_ops, &plan.ops})
    for (const auto& [op, cost] : *ops) {
      const auto known = [&](const MeasuredOp& m) { return m.op == op.first && m.sizes == op.second; };
      const bool measurable = op_is_known(op.first) && cost.calls > 0 && std::none_of(all.begin(), all.end(), known);
      if (measurable) all.push_back({op.first, op.second});
    }
  return all;
}

std::int64_t OpRates::memory_for(const std::vector<MeasuredOp>& ops) {
  std::int64_t most = turn_bytes;
  for (const MeasuredOp& op : ops) most = std::max(most, planned(op).bytes);
  return most;
}

OpRates::OpRates(Stream& stream, std::int64_t bytes)
    : stream_(stream), memory_(bytes), base_(memory_.take("operands", bytes)), bytes_(bytes), pattern_(std::size_t{1} << 19) {
  // Halves that are numbers from 2^-5 to 2^-4 in bf16, and so in fp32: exponentials of their products do not vanish.
  std::uint32_t state = 1;
  for (std::uint16_t& half : pattern_) {
    state = state * 1664525u + 1013904223u;
    half = static_cast<std::uint16_t>(0x3D00u + (state >> 16) % 0x0080u);
  }
}

// What ops before have left in the memory (whole numbers, sums that vanish) may be numbers on which arithmetic is many times slower.
void OpRates::refill(std::int64_t bytes) {
  const auto piece = static_cast<std::int64_t>(pattern_.size() * sizeof(std::uint16_t));
  for (std::int64_t at = 0; at < bytes; at += piece)
    std::memcpy(static_cast<char*>(base_) + at, pattern_.data(), static_cast<std::size_t>(std::min(piece, bytes - at)));
}

double OpRates::rate(const MeasuredOp& op, double seconds) {
  const Planned work = planned(op);
  if (work.bytes > bytes_) return 0;
  const std::int64_t sets = std::clamp<std::int64_t>(std::min(bytes_, turn_bytes) / work.bytes, 1, 64);
  refill(sets * work.bytes);
  Arena operands(base_, bytes_);
  std::vector<OpRun> calls;
  for (std::int64_t i = 0; i < sets; ++i) calls.push_back(prepared(op, operands));
  for (std::size_t i = 0; i < std::min<std::size_t>(2, calls.size()); ++i) calls[i](stream_);
  // The mean rather than the median: a step is a sum, and what disturbs a machine in use disturbs it too.
  const Stopwatch all;
  std::size_t done = 0;
  for (; done < 3 || all.seconds() < seconds; ++done) calls[done % calls.size()](stream_);
  return work.amount * static_cast<double>(done) / std::max(all.seconds(), 1e-9);
}

}  // namespace strata
