// Attention, causal and bidirectional: checks, cost and dispatch.
#include "strata/ops/attention.hpp"

#include <algorithm>

#include "ops/check.hpp"
#include "ops/cpu/attention.hpp"
#include "ops/cuda/table.hpp"
#include "ops/dropout_check.hpp"

namespace strata {
namespace {

/// Pairs of query and key below and on the diagonal, over all heads. A mask may leave fewer; the cost is that of the whole triangle.
double causal_pairs(const ConstView& q) {
  return count_of(q.size(0) * q.size(2)) * count_of(q.size(1)) * count_of(q.size(1) + 1) / 2;
}

/// All pairs: padding does not count as less.
double all_pairs(const ConstView& q) {
  return count_of(q.size(0) * q.size(2)) * count_of(q.size(1)) * count_of(q.size(1));
}

void check(const char* op, const ConstView& q, const ConstView& k, const ConstView& v, const AttentionMask& mask, double scale) {
  expect_float(op, "q", q), expect_rank(op, "q", q, 4), expect_rank(op, "k", k, 4);
  const std::int64_t B = q.size(0), S = q.size(1), nkv = k.size(2);
  expect_shape(op, "k", k, Shape{B, S, nkv, q.size(3)}), expect_type(op, "k", k, q.type());
  expect_shape(op, "v", v, k.shape()), expect_type(op, "v", v, q.type());
  STRATA_ASSERT(nkv > 0 && q.size(2) % nkv == 0, op, ": ", q.size(2), " query heads do not divide into ", nkv, " groups");
  STRATA_ASSERT(scale > 0, op, ": scale is ", scale, ", expected a positive number");
  const char* keys = mask.causal ? "first_key" : "lengths";
  if (mask.keys.given())
    expect_shape(op, keys, mask.keys, mask.causal ? Shape{B, S} : Shape{B}), expect_type(op, keys, mask.keys, DType::i32);
  expect_dropout(op, mask.what, B * S, S, q.size(2));
}

void check_lse(const char* op, const ConstView& lse, const ConstView& q) {
  expect_shape(op, "lse", lse, Shape{q.size(0), q.size(2), q.size(1)}), expect_type(op, "lse", lse, cpu::sum_type(q.type()));
  expect_contiguous(op, "lse", lse);
}

// Heads of all sequences, length, head size.
OpSizes sizes_of(const ConstView& q) {
  return {q.type(), {q.size(0) * q.size(2), q.size(1), q.size(3)}};
}

// Drawing factors takes time of its own: the op is recorded under another name, `op` "_dropout".
void forward(Stream& stream, const char* op, const char* recorded, const AttentionForward& p) {
  const ConstView& q = p.q;
  check(op, q, p.k, p.v, p.mask, p.scale);
  expect_shape(op, "o", p.o, q.shape()), expect_type(op, "o", p.o, q.type());
  if (p.lse.given()) check_lse(op, p.lse, q);
  // Per pair: two products over hd, then scale, subtract, exponential (counted as one) and sum; and a factor where something drops.
  const double pairs = p.mask.causal ? causal_pairs(q) : all_pairs(q), each = 4 * count_of(q.size(3)) + 4 + (p.mask.what.drops() ? 1 : 0);
  const auto timed =
      stream.record(recorded, pairs * each,
                    count_of(q.bytes() + p.k.bytes() + p.v.bytes() + p.o.bytes() + (p.lse.given() ? p.lse.bytes() : 0)), sizes_of(q));
  void* workspace = cuda::fused_attention_takes(stream, q, p.mask) ? stream.workspace(cuda::fused_forward_workspace(q)) : nullptr;
  if (stream.planning()) return;
  if (stream.on_gpu())
    cuda::ops().attention_forward(stream, p, workspace);
  else
    cpu::attention_forward(stream, p);
}

std::int64_t backward_workspace(const Stream& stream, const AttentionBackward& p) {
  if (stream.target() != DeviceKind::cuda) return cpu::attention_backward_workspace(p.q, p.k);
  const std::int64_t own = cuda::attention_backward_workspace(p.q);
  return cuda::fused_attention_takes(stream, p.q, p.mask) ? std::max(own, cuda::fused_backward_workspace(p.q, p.k)) : own;
}

void backward(Stream& stream, const char* op, const char* recorded, const AttentionBackward& p) {
  const ConstView &q = p.q, &k = p.k;
  check(op, q, k, p.v, p.mask, p.scale), check_lse(op, p.lse, q);
  expect_shape(op, "dout", p.dout, q.shape()), expect_type(op, "dout", p.dout, q.type());
  expect_shape(op, "o", p.o, q.shape()), expect_type(op, "o", p.o, q.type());
  expect_shape(op, "dq", p.dq, q.shape()), expect_type(op, "dq", p.dq, q.type());
  expect_shape(op, "dk", p.dk, k.shape()), expect_type(op, "dk", p.dk, q.type());
  expect_shape(op, "dv", p.dv, k.shape()), expect_type(op, "dv", p.dv, q.type());
  // Per pair: five products over hd, then scale, subtract, exponential (counted as one), subtract and multiply, two factors where something
  // drops; and D.
  const double pairs = p.mask.causal ? causal_pairs(q) : all_pairs(q), each = 10 * count_of(q.size(3)) + 5 + (p.mask.what.drops() ? 2 : 0);
  const auto timed =
      stream.record(recorded, pairs * each + 2 * count_of(q.elements()),
                    count_of(2 * q.bytes() + 2 * k.bytes() + 2 * p.v.bytes() + p.dout.bytes() + p.o.bytes() + p.lse.bytes()), sizes_of(q));
  void* workspace = stream.workspace(backward_workspace(stream, p));
  if (!stream.planning()) run_op(stream, cpu::attention_backward, &cuda::OpTable::attention_backward, p, workspace);
}

}  // namespace

void attention_forward(Stream& stream, ConstView q, ConstView k, ConstView v, ConstView first_key, double scale, View o, View lse) {
  constexpr const char* op = "attention_forward";
  forward(stream, op, op, {q, k, v, {true, first_key, {}}, scale, o, lse});
}

void attention_backward(Stream& stream, ConstView dout, ConstView q, ConstView k, ConstView v, ConstView o, ConstView lse,
                        ConstView first_key, double scale, View dq, View dk, View dv) {
  constexpr const char* op = "attention_backward";
  backward(stream, op, op, {dout, q, k, v, o, lse, {true, first_key, {}}, scale, dq, dk, dv});
}

void bidirectional_attention_forward(Stream& stream, ConstView q, ConstView k, ConstView v, ConstView lengths, const Dropout& what,
                                     double scale, View o, View lse) {
  constexpr const char* op = "bidirectional_attention_forward";
  forward(stream, op, what.drops() ? "bidirectional_attention_forward_dropout" : op, {q, k, v, {false, lengths, what}, scale, o, lse});
}

void bidirectional_attention_backward(Stream& stream, ConstView dout, ConstView q, ConstView k, ConstView v, ConstView o, ConstView lse,
                                      ConstView lengths, const Dropout& what, double scale, View dq, View dk, View dv) {
  constexpr const char* op = "bidirectional_attention_backward";
  backward(stream, op, what.drops() ? "bidirectional_attention_backward_dropout" : op,
           {dout, q, k, v, o, lse, {false, lengths, what}, scale, dq, dk, dv});
}

void attention_decode(Stream& stream, ConstView q, ConstView k_cache, ConstView v_cache, ConstView lengths, double scale, View o) {
  constexpr const char* op = "attention_decode";
  expect_float(op, "q", q), expect_rank(op, "q", q, 3), expect_rank(op, "k_cache", k_cache, 4);
  const std::int64_t B = q.size(0), nkv = k_cache.size(2);
  expect_shape(op, "k_cache", k_cache, Shape{B, k_cache.size(1), nkv, q.size(2)}), expect_type(op, "k_cache", k_cache, q.type());
  expect_shape(op, "v_cache", v_cache, k_cache.shape()), expect_type(op, "v_cache", v_cache, q.type());
  expect_shape(op, "lengths", lengths, Shape{B}), expect_type(op, "lengths", lengths, DType::i32);
  expect_shape(op, "o", o, q.shape()), expect_type(op, "o", o, q.type());
  STRATA_ASSERT(nkv > 0 && q.size(1) % nkv == 0, op, ": ", q.size(1), " query heads do not divide into ", nkv, " groups");
  STRATA_ASSERT(scale > 0, op, ": scale is ", scale, ", expected a positive number");
  // The cost of a full cache: what is planned is what is recorded, whatever the lengths.
  const auto timed =
      stream.record(op, count_of(B * q.size(1) * k_cache.size(1)) * (4 * count_of(q.size(2)) + 4),
                    count_of(2 * q.bytes() + k_cache.bytes() + v_cache.bytes()), {q.type(), {B * q.size(1), k_cache.size(1), q.size(2)}});
  void* workspace = stream.target() == DeviceKind::cuda ? stream.workspace(cuda::attention_decode_workspace(q, k_cache)) : nullptr;
  if (stream.planning()) return;
  if (stream.on_gpu())
    cuda::ops().attention_decode(stream, q, k_cache, v_cache, lengths, scale, o, workspace);
  else
    cpu::attention_decode(stream, q, k_cache, v_cache, lengths, scale, o);
}

std::string cudnn_attention_refusal(Gpu* gpu, const AttentionRun* run) {
  return cuda::ops().fused_attention_refusal(gpu, run);
}

std::string cudnn_attention_version() {
  return cuda::ops().fused_attention_version();
}

}  // namespace strata
