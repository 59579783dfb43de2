// Norm and rotation of queries and keys on the host: a head at a time, which stays in the nearest cache between the two.
#include "ops/cpu/qk_norm_rope.hpp"

#include <algorithm>

#include "ops/cpu/rms_norm_row.hpp"
#include "ops/cpu/rope_row.hpp"
#include "ops/cpu/row_sum.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

/// A row of the tables.
template <class Sum>
struct Turn {
  const Sum *cos, *sin;
};

template <class Sum>
Turn<Sum> turn_of(const char* op, const Rotary& at, Index row) {
  const std::int32_t position = at.positions.as<const std::int32_t>()[row * at.positions.stride(0)];
  STRATA_ASSERT(position >= 0 && position < at.cos.size(0), op, ": row ", row, " has position ", position, ", the tables end at ",
                at.cos.size(0));
  return {at.cos.as<const Sum>() + position * at.cos.stride(0), at.sin.as<const Sum>() + position * at.sin.stride(0)};
}

// Calls f(first, last) for each block of rows of queries, then f of keys.
template <class Queries, class Keys>
void run_blocks(Stream& stream, Index q_rows, Index k_rows, Queries&& queries, Keys&& keys) {
  const Index q_blocks = norm_row_blocks(q_rows);
  stream.pool().run(q_blocks + norm_row_blocks(k_rows), [&](Index task, int) {
    const bool of_k = task >= q_blocks;
    const Index block = of_k ? task - q_blocks : task;
    of_k ? keys(block) : queries(block);
  });
}

// Block `block` of one of both.
template <class T>
void forward_block(const char* op, Index block, const ConstView& x, const ConstView& weight, double eps, const Rotary& at, const View& y,
                   const View& rstd) {
  using Sum = SumOf<T>;
  const Rows<const T> from(x);
  const Rows<T> to(y);
  const Index rows = x.shape().rows(), heads = x.size(1), hd = x.size(2);
  Sum* kept = rstd.given() ? rstd.as<Sum>() : nullptr;
  for (Index r = block * norm_row_block; r < std::min(rows, (block + 1) * norm_row_block); ++r) {
    const Turn<Sum> turn = turn_of<Sum>(op, at, r / heads);
    T* const head = to[r];
    rms_norm_row(from[r], weight.as<const T>(), hd, static_cast<Sum>(eps), head, kept ? kept + r : nullptr);
    rope_row<T>(head, turn.cos, turn.sin, hd / 2, Sum{1}, head);
  }
}

template <class T>
void backward_block(const char* op, Index block, const ConstView& dy, const ConstView& x, const ConstView& weight, const ConstView& rstd,
                    const Rotary& at, const View& dx, SumOf<T>* partial) {
  using Sum = SumOf<T>;
  const Rows<const T> from_dy(dy), from_x(x);
  const Rows<T> to(dx);
  const Index rows = x.shape().rows(), heads = x.size(1), hd = x.size(2);
  Sum* const sum = partial + block * hd;
  std::fill_n(sum, hd, Sum{0});
  for (Index r = block * norm_row_block; r < std::min(rows, (block + 1) * norm_row_block); ++r) {
    const Turn<Sum> turn = turn_of<Sum>(op, at, r / heads);
    T* const head = to[r];
    rope_row<T>(from_dy[r], turn.cos, turn.sin, hd / 2, Sum{-1}, head);
    rms_norm_row_backward<false>(static_cast<const T*>(head), from_x[r], weight.as<const T>(), hd, rstd.as<const Sum>()[r], head, sum);
  }
}

}  // namespace

std::int64_t qk_norm_rope_workspace(std::int64_t q_rows, std::int64_t k_rows, std::int64_t hd, DType type) {
  return (norm_row_blocks(q_rows) + norm_row_blocks(k_rows)) * hd * static_cast<Index>(size_of(sum_type(type)));
}

void qk_norm_rope_forward(Stream& stream, const ConstQueryKey& x, const ConstQueryKey& weight, double eps, const Rotary& at,
                          const QueryKey& y, const QueryKey& rstd) {
  constexpr const char* op = "qk_norm_rope_forward";
  with_float_type(op, x.q.type(), [&](auto element) {
    using T = decltype(element);
    run_blocks(
        stream, x.q.shape().rows(), x.k.shape().rows(),
        [&](Index block) { forward_block<T>(op, block, x.q, weight.q, eps, at, y.q, rstd.q); },
        [&](Index block) { forward_block<T>(op, block, x.k, weight.k, eps, at, y.k, rstd.k); });
  });
}

void qk_norm_rope_backward(Stream& stream, const ConstQueryKey& dy, const ConstQueryKey& x, const ConstQueryKey& weight,
                           const ConstQueryKey& rstd, const Rotary& at, const QueryKey& dx, const QueryKey& dweight, Write write,
                           void* workspace) {
  constexpr const char* op = "qk_norm_rope_backward";
  const Index q_rows = x.q.shape().rows(), k_rows = x.k.shape().rows(), hd = x.q.size(2);
  with_float_type(op, x.q.type(), [&](auto element) {
    using T = decltype(element);
    auto* const q_partial = static_cast<SumOf<T>*>(workspace);
    auto* const k_partial = q_partial + norm_row_blocks(q_rows) * hd;
    run_blocks(
        stream, q_rows, k_rows, [&](Index block) { backward_block<T>(op, block, dy.q, x.q, weight.q, rstd.q, at, dx.q, q_partial); },
        [&](Index block) { backward_block<T>(op, block, dy.k, x.k, weight.k, rstd.k, at, dx.k, k_partial); });
    sum_rows(stream, q_partial, hd, norm_row_blocks(q_rows), hd, dweight.q.as<SumOf<T>>(), write);
    sum_rows(stream, k_partial, hd, norm_row_blocks(k_rows), hd, dweight.k.as<SumOf<T>>(), write);
  });
}

}  // namespace strata::cpu
