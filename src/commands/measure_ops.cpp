// Timing ops one by one.
#include "commands/measure_ops.hpp"

#include <algorithm>

#include "commands/measure_calls.hpp"
#include "strata/base/clock.hpp"
#include "strata/device/gpu.hpp"
#include "strata/device/op_times.hpp"

namespace strata {
namespace {

// What all operands that take turns have: more than third caches hold.
constexpr std::int64_t turn_bytes = std::int64_t{256} << 20;

bool op_is_known(const std::string& op) {
  for (const char* name : {"linear_forward",
                           "linear_backward_input",
                           "linear_backward_weight",
                           "linear_cross_entropy_backward",
                           "attention_forward",
                           "attention_backward",
                           "rms_norm_forward",
                           "rms_norm_backward",
                           "qk_norm_rope_forward",
                           "qk_norm_rope_backward",
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
    for (const char* op : {"rope_forward", "rope_backward", "qk_norm_rope_forward", "qk_norm_rope_backward"})
      add(type, op, {{1024, 32}, {16384, 32}, {1024, 128}, {16384, 128}});
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

double OpRates::amount(const MeasuredOp& op) {
  return planned(op).amount;
}

std::int64_t OpRates::memory_for(const std::vector<MeasuredOp>& ops) {
  std::int64_t most = turn_bytes;
  for (const MeasuredOp& op : ops) most = std::max(most, planned(op).bytes);
  return most;
}

OpRates::OpRates(Stream& stream, std::int64_t bytes)
    : stream_(stream),
      memory_(stream.gpu() ? Arena(*stream.gpu(), bytes) : Arena(bytes)),
      base_(memory_.take("operands", bytes)),
      bytes_(bytes),
      pattern_(std::size_t{1} << 19) {
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
    begin_copy_memory(static_cast<char*>(base_) + at, pattern_.data(), std::min(piece, bytes - at));
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
  stream_.wait();
  const Stopwatch all;
  std::size_t done = 0;
  // A GPU is given more and more at a time, so that it is not waited for after each.
  for (std::size_t some = 1; done < 3 || all.seconds() < seconds; some = stream_.gpu() ? std::min<std::size_t>(2 * some, 256) : 1) {
    for (std::size_t i = 0; i < some; ++i, ++done) calls[done % calls.size()](stream_);
    stream_.wait();
  }
  return work.amount * static_cast<double>(done) / std::max(all.seconds(), 1e-9);
}

}  // namespace strata
