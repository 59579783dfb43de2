// Attention, forward pass on the host: a block of queries against blocks of keys, with the softmax carried along (online softmax).
#include <algorithm>
#include <limits>

#include "ops/cpu/attention.hpp"
#include "ops/cpu/attention_blocks.hpp"
#include "ops/cpu/dropout_factors.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index query_block = 128, key_block = 256;
constexpr Index sums_of_products = 256 << 10;  // [bytes] of scratch that products find beside what is packed

template <class T>
struct Inputs {
  Heads<const T> q, k, v;
  Sight sight;
  SumOf<T> scale;
  Dropout what;
};

/// A worker's scratch: one query head's block of queries with what is known of its rows so far, and packed keys and values of a head.
template <class T>
struct Work {
  using Sum = SumOf<T>;
  static constexpr DType type = dtype_of<T>::value;
  using Side = BlockOperand::Side;
  Index hd;
  Scratch scratch;
  Sum *top, *mass, *shrink;  // [query_block]: largest score, sum of exponentials, factor for what was summed before
  Sum* sum;                  // [query_block, hd]: sum of exp(score - top) v
  Sum* product;              // [query_block, hd]
  Sum* scores;               // [query_block, key_block]
  T* p;                      // [query_block, key_block]; the scores' own memory where T is Sum
  Range* visible;            // [query_block]: of the block of keys, what the queries see
  unsigned char *packed_q, *packed_p;
  Slots slots;

  Work(Stream& stream, int worker, Index S, Index size)
      : hd(size),
        scratch(stream, worker),
        top(scratch.take<Sum>(query_block)),
        mass(scratch.take<Sum>(query_block)),
        shrink(scratch.take<Sum>(query_block)),
        sum(scratch.take<Sum>(query_block * hd)),
        product(scratch.take<Sum>(query_block * hd)),
        scores(scratch.take<Sum>(query_block * key_block)),
        p(std::is_same_v<T, Sum> ? reinterpret_cast<T*>(scores) : scratch.take<T>(query_block * key_block)),
        visible(scratch.take<Range>(query_block)),
        packed_q(scratch.take_or_null(BlockOperand::bytes(Side::left, type, query_block, hd))),
        packed_p(scratch.take_or_null(BlockOperand::bytes(Side::left, type, query_block, key_block))),
        slots(scratch, (S + key_block - 1) / key_block, keys_bytes(hd) + values_bytes(hd), scratch.rest_bytes() - sums_of_products) {}
  static Index keys_bytes(Index hd) { return BlockOperand::bytes(Side::right, type, key_block, hd); }
  static Index values_bytes(Index hd) { return BlockOperand::bytes(Side::right, type, hd, key_block); }
};

/// A block of queries of one query head.
template <class T>
struct QueryBlock {
  using Sum = SumOf<T>;
  Work<T>& work;
  Index b, h, first, rows;
  BlockOperand q;

  QueryBlock(Work<T>& scratch, const Inputs<T>& in, Index batch, Index head, Index query, Index count)
      : work(scratch),
        b(batch),
        h(head),
        first(query),
        rows(count),
        q(BlockOperand::Side::left, work.type, in.q.matrix(b, first, h), rows, work.hd, work.packed_q) {
    q.pack();
    std::fill_n(work.top, rows, -std::numeric_limits<Sum>::infinity());
    std::fill_n(work.mass, rows, Sum{0});
    std::fill_n(work.sum, rows * work.hd, Sum{0});
  }
};

/// Scores of one row become exponentials, zero where masked; top, mass and shrink follow.
template <class T>
void softmax_row(const Work<T>& block, Index r, Range range, Index keys, SumOf<T> scale) {
  using Sum = SumOf<T>;
  const Sum* s = block.scores + r * key_block;
  T* p = block.p + r * key_block;
  const Index n = range.last - range.first;
  block.shrink[r] = Sum{1};
  if (n > 0) {
    const Sum before = block.top[r], top = std::max(before, scale * lane_max(n, s + range.first));
    const Sum mass = exponentials(n, s + range.first, scale, top, p + range.first);
    block.shrink[r] = exp_of(before - top);
    block.mass[r] = block.mass[r] * block.shrink[r] + mass;
    block.top[r] = top;
  }
  std::fill_n(p, range.first, T{});
  std::fill_n(p + range.last, keys - range.last, T{});
}

/// sum = sum * shrink + product
template <class T>
void add_product(const Work<T>& block, Index rows) {
  for (Index r = 0; r < rows; ++r) {
    auto* sum = block.sum + r * block.hd;
    const auto* product = block.product + r * block.hd;
    const auto shrink = block.shrink[r];
#pragma GCC ivdep
    for (Index d = 0; d < block.hd; ++d) sum[d] = std::fma(sum[d], shrink, product[d]);
  }
}

/// Zeros in place of the probabilities that are dropped; the sum of exponentials keeps them, and what stays grows in finish().
template <class T>
void drop(const Inputs<T>& in, const QueryBlock<T>& block, Index key, Index keys) {
  static_assert(key_block % DropoutFactors<SumOf<T>>::group == 0);
  const DropoutFactors<SumOf<T>> factors(in.what, block.b, block.h);
  SumOf<T> factor[key_block];
  for (Index r = 0; r < block.rows; ++r) {
    factors.row(block.first + r, key, keys, factor);
    T* p = block.work.p + r * key_block;
#pragma GCC ivdep
    for (Index j = 0; j < keys; ++j) p[j] = factor[j] == SumOf<T>{0} ? T{} : p[j];
  }
}

/// S = Q K^T, P = exp(scale S - top), sum = sum shrink + dropped P V for keys [key, key + keys), where a block of keys begins.
template <class T>
void attend(const Inputs<T>& in, const QueryBlock<T>& block, Index kv, Index key, Index keys) {
  using Side = BlockOperand::Side;
  Work<T>& work = block.work;
  const Index whole = std::min(key_block, in.sight.S - key);
  const auto [memory, fresh] = work.slots.of(key / key_block);
  const BlockOperand k(Side::right, work.type, in.k.transposed(block.b, key, kv), whole, work.hd, memory);
  const BlockOperand v(Side::right, work.type, in.v.matrix(block.b, key, kv), work.hd, whole,
                       memory ? memory + work.keys_bytes(work.hd) : nullptr);
  if (fresh) k.pack(), v.pack();
  for (Index r = 0; r < block.rows; ++r) work.visible[r] = in.sight.visible(block.b, block.first + r, key, keys);
  void* rest = work.scratch.rest();
  const Index rest_bytes = work.scratch.rest_bytes();
  multiply_blocks(block.q, k, {.n = keys, .columns = work.visible}, work.scores, key_block, rest, rest_bytes);
  for (Index r = 0; r < block.rows; ++r) softmax_row(work, r, work.visible[r], keys, in.scale);
  if (in.what.drops()) drop(in, block, key, keys);
  const BlockOperand p(Side::left, work.type, {work.p, key_block, false}, block.rows, keys, work.packed_p);
  p.pack();
  multiply_blocks(p, v, {.n = work.hd, .depths = work.visible}, work.product, work.hd, rest, rest_bytes);
  add_product(work, block.rows);
}

/// o = kept sum / mass, `kept` the factor of what is not dropped; lse = top + log(mass); a row that sees no key gives o = 0, lse = -inf.
template <class T>
void finish(const QueryBlock<T>& block, SumOf<T> kept, const Heads<T>& o, SumOf<T>* lse) {
  using Sum = SumOf<T>;
  const Work<T>& work = block.work;
  for (Index r = 0; r < block.rows; ++r) {
    const Sum mass = work.mass[r], inverse = mass == Sum{0} ? Sum{0} : kept / mass;
    const Sum* sum = work.sum + r * work.hd;
    T* to = o.at(block.b, block.first + r, block.h);
#pragma GCC ivdep
    for (Index d = 0; d < work.hd; ++d) to[d] = static_cast<T>(sum[d] * inverse);
    if (lse != nullptr) lse[r] = work.top[r] + std::log(mass);
  }
}

}  // namespace

void attention_forward(Stream& stream, const AttentionForward& pass) {
  const ConstView &q = pass.q, &k = pass.k;
  const Index B = q.size(0), S = q.size(1), nh = q.size(2), hd = q.size(3), group = nh / k.size(2),
              blocks = (S + query_block - 1) / query_block;
  with_float_type("attention_forward", q.type(), [&](auto element) {
    using T = decltype(element);
    const Inputs<T> in{Heads<const T>(q),
                       Heads<const T>(k),
                       Heads<const T>(pass.v),
                       Sight(pass.mask.causal, S, pass.mask.keys),
                       static_cast<SumOf<T>>(pass.scale),
                       pass.mask.what};
    const SumOf<T> grown = in.what.drops() ? DropoutFactors<SumOf<T>>(in.what, 0, 0).kept() : SumOf<T>{1};
    const Heads<T> to(pass.o);
    SumOf<T>* kept = pass.lse.given() ? pass.lse.as<SumOf<T>>() : nullptr;
    const auto run_block = [&](Work<T>& work, Index b, Index h, Index number) {
      const Index first = number * query_block, rows = std::min(query_block, S - first), last = in.sight.last(b, first + rows);
      const QueryBlock<T> block(work, in, b, h, first, rows);
      // Blocks of keys begin at fixed places, so that skipping masked ones changes no bit.
      for (Index key = in.sight.smallest(b, first, rows) / key_block * key_block; key < last; key += key_block)
        attend(in, block, h / group, key, std::min(key_block, last - key));
      finish(block, grown, to, kept != nullptr ? kept + (b * nh + h) * S + first : nullptr);
    };
    run_heads(stream, B * nh / group, group * blocks, [&](Index head, Range parts, int worker) {
      Work<T> work(stream, worker, S, hd);
      for (Index part = parts.first; part < parts.last; ++part)
        run_block(work, head * group / nh, head * group % nh + part % group,
                  blocks - 1 - part / group);  // late queries, which see most keys where causal, first
    });
  });
}

}  // namespace strata::cpu
