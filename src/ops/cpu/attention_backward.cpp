// Attention, backward pass on the host: pairs (block of keys, block of queries) along diagonals of the score matrix.
//
// In phase p all pairs (c, c + p) run: no two of one head share a block of keys or of queries, so their additions into dk, dv and dq need
// neither atomics nor copies, and each block collects its terms in the order of the phases. Every score is recomputed once (five products a
// pair). Where there are several heads for each thread, a thread takes a whole head, so that it stays in the cache, and goes through its
// pairs with c falling and p rising: each block of dq, dk and dv still collects its terms in the order of the phases, so the bits are the
// same.
//
// Where queries see keys on both sides, the diagonals wrap around: phase p runs the pairs (c, (c + p) mod blocks), one for every block of
// keys.
#include "ops/cpu/attention.hpp"

#include <algorithm>

#include "ops/cpu/attention_blocks.hpp"
#include "ops/cpu/dropout_factors.hpp"
#include "ops/cpu/lanes.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index block_rows = 128;
constexpr Index dot_rows = 64;

template <class T>
struct Pass {
  using Sum = SumOf<T>;
  Index B, S, nh, nkv, hd;
  Sum scale;
  Heads<const T> q, k, v, o, dout;
  Sight sight;
  Dropout what;
  const Sum* lse;
  Sum* dots;                       // D [B,nh,S]
  Heads<Sum> sum_q, sum_k, sum_v;  // where dq, dk, dv are summed: the outputs, or f32 workspace for bf16
  Heads<T> dq, dk, dv;

  Pass(const AttentionBackward& a, void* workspace)
      : B(a.q.size(0)),
        S(a.q.size(1)),
        nh(a.q.size(2)),
        nkv(a.k.size(2)),
        hd(a.q.size(3)),
        scale(static_cast<Sum>(a.scale)),
        q(a.q),
        k(a.k),
        v(a.v),
        o(a.o),
        dout(a.dout),
        sight(a.mask.causal, S, a.mask.keys),
        what(a.mask.what),
        lse(a.lse.as<const Sum>()),
        dots(static_cast<Sum*>(workspace)),
        dq(a.dq),
        dk(a.dk),
        dv(a.dv) {
    if constexpr (std::is_same_v<T, Sum>) {
      sum_q = dq, sum_k = dk, sum_v = dv;
    } else {
      Sum* next = dots + B * nh * S;
      sum_q = Heads<Sum>(next, S, nh, hd), next += B * S * nh * hd;
      sum_k = Heads<Sum>(next, S, nkv, hd), next += B * S * nkv * hd;
      sum_v = Heads<Sum>(next, S, nkv, hd);
    }
  }
};

/// D_i = dout_i o_i
template <class T>
void compute_dots(Stream& stream, const Pass<T>& a) {
  const Index blocks = (a.S + dot_rows - 1) / dot_rows;
  stream.pool().run(a.B * blocks, [&](Index task, int) {
    const Index b = task / blocks, first = task % blocks * dot_rows;
    for (Index i = first; i < std::min(a.S, first + dot_rows); ++i)
      for (Index h = 0; h < a.nh; ++h) {
        const T *dout = a.dout.at(b, i, h), *o = a.o.at(b, i, h);
        a.dots[(b * a.nh + h) * a.S + i] =
            lane_sum<SumOf<T>>(a.hd, [&](Index d) { return static_cast<SumOf<T>>(dout[d]) * static_cast<SumOf<T>>(o[d]); });
      }
  });
}

/// A worker's scratch while it works on one key/value head: packed blocks of keys and values, of queries and dout, and what a pair needs.
template <class T>
struct Work {
  using Sum = SumOf<T>;
  static constexpr DType type = dtype_of<T>::value;
  using Side = BlockOperand::Side;
  Index hd, S, group;
  Scratch scratch;
  Sum *scores, *dscores;               // [rows, keys] each with stride block_rows: S then P; dP then dS
  T *p, *ds;                           // P and dS as operands: the same memory where T is Sum
  Range *keys_of_rows, *rows_of_keys;  // what of a block each row sees, and the rows that may see each key
  unsigned char* packed_scores;        // P or dS as the left operand
  Slots keys, queries;

  Work(Stream& stream, int worker, const Pass<T>& a)
      : hd(a.hd),
        S(a.S),
        group(a.nh / a.nkv),
        scratch(stream, worker),
        scores(scratch.take<Sum>(block_rows * block_rows)),
        dscores(scratch.take<Sum>(block_rows * block_rows)),
        p(std::is_same_v<T, Sum> ? reinterpret_cast<T*>(scores) : scratch.take<T>(block_rows * block_rows)),
        ds(std::is_same_v<T, Sum> ? reinterpret_cast<T*>(dscores) : scratch.take<T>(block_rows * block_rows)),
        keys_of_rows(scratch.take<Range>(block_rows)),
        rows_of_keys(scratch.take<Range>(block_rows)),
        packed_scores(scratch.take_or_null(left(block_rows, block_rows))),
        // Where causal, one block of keys after the other meets all its queries.
        keys(scratch, a.sight.causal ? 1 : blocks(), 2 * across() + along(), room() / 3),
        queries(scratch, blocks() * group, 2 * left(block_rows, hd) + 2 * along(), room()) {}

  Index blocks() const { return (S + block_rows - 1) / block_rows; }
  static Index left(Index outers, Index depth) { return BlockOperand::bytes(Side::left, type, outers, depth); }
  Index across() const { return BlockOperand::bytes(Side::right, type, block_rows, hd); }  // rows of a block are columns of B
  Index along() const { return BlockOperand::bytes(Side::right, type, hd, block_rows); }   // rows of a block are its depth
  /// For packed blocks, beside the sums of a product where nothing is packed.
  Index room() const { return scratch.rest_bytes() - block_rows * std::max(hd, block_rows) * static_cast<Index>(sizeof(Sum)) - 4096; }
};

/// A block of keys and values, packed.
template <class T>
struct Keys {
  Index b, kv, first, count;
  BlockOperand k_across, v_across, k_along;

  Keys(Work<T>& work, const Pass<T>& a, Index batch, Index head, Index block)
      : b(batch), kv(head), first(block * block_rows), count(std::min(block_rows, a.S - first)) {
    constexpr auto right = BlockOperand::Side::right;
    const auto [memory, fresh] = work.keys.of(block);
    const Index bytes = memory ? work.across() : 0;
    k_across = BlockOperand(right, work.type, a.k.transposed(b, first, kv), count, a.hd, memory);
    v_across = BlockOperand(right, work.type, a.v.transposed(b, first, kv), count, a.hd, memory + bytes);
    k_along = BlockOperand(right, work.type, a.k.matrix(b, first, kv), a.hd, count, memory + 2 * bytes);
    if (fresh) k_across.pack(), v_across.pack(), k_along.pack();
  }
};

/// A block of queries and dout of a query head, packed.
template <class T>
struct Queries {
  Index first, rows;
  BlockOperand q, dout, q_along, dout_along;

  Queries(Work<T>& work, const Pass<T>& a, Index b, Index h, Index block)
      : first(block * block_rows), rows(std::min(block_rows, a.S - first)) {
    constexpr auto left = BlockOperand::Side::left, right = BlockOperand::Side::right;
    // The last blocks, which meet most keys where causal, are those that stay.
    const auto [memory, fresh] = work.queries.of((work.blocks() - 1 - block) * work.group + h % work.group);
    const Index left_bytes = memory ? work.left(block_rows, a.hd) : 0, right_bytes = memory ? work.along() : 0;
    q = BlockOperand(left, work.type, a.q.matrix(b, first, h), rows, a.hd, memory);
    dout = BlockOperand(left, work.type, a.dout.matrix(b, first, h), rows, a.hd, memory + left_bytes);
    q_along = BlockOperand(right, work.type, a.q.matrix(b, first, h), a.hd, rows, memory + 2 * left_bytes);
    dout_along = BlockOperand(right, work.type, a.dout.matrix(b, first, h), a.hd, rows, memory + 2 * left_bytes + right_bytes);
    if (fresh) q.pack(), dout.pack(), q_along.pack(), dout_along.pack();
  }
};

/// A pair of blocks for one key/value head.
struct Pair {
  Index b, kv, key, keys, query, rows;
};

/// p = exp(scale s - lse), ds = p (dp - D) on the keys that row i sees, zero elsewhere. With `drops`, dp and the p that multiplies dout
/// have the factors of the row, ds = p (factor dp - D).
template <bool drops, class T>
void row_gradient(const Pass<T>& a, const Work<T>& work, const Pair& pair, Index h, Index r, const DropoutFactors<SumOf<T>>& factors) {
  using Sum = SumOf<T>;
  const Index i = pair.query + r, at = (pair.b * a.nh + h) * a.S + i;
  const Range range = work.keys_of_rows[r];
  const Sum lse = a.lse[at], dot = a.dots[at], scale = a.scale;
  const Sum *s = work.scores + r * block_rows, *dp = work.dscores + r * block_rows;
  T *p = work.p + r * block_rows, *ds = work.ds + r * block_rows;
  Sum factor[drops ? block_rows : 1];
  if constexpr (drops) factors.row(i, pair.key, pair.keys, factor);
#pragma GCC ivdep
  for (Index j = range.first; j < range.last; ++j) {
    const Sum e = exp_of(std::fma(scale, s[j], -lse)), d = dp[j];
    if constexpr (drops) {
      p[j] = static_cast<T>(e * factor[j]);
      ds[j] = static_cast<T>(e * (d * factor[j] - dot));
    } else {
      p[j] = static_cast<T>(e);
      ds[j] = static_cast<T>(e * (d - dot));
    }
  }
  std::fill_n(p, range.first, T{}), std::fill_n(ds, range.first, T{});
  std::fill_n(p + range.last, pair.keys - range.last, T{}), std::fill_n(ds + range.last, pair.keys - range.last, T{});
}

/// What each row of a pair sees, and which rows may see each key.
template <class T>
void find_ranges(const Pass<T>& a, const Work<T>& work, const Pair& pair) {
  for (Index r = 0; r < pair.rows; ++r) work.keys_of_rows[r] = a.sight.visible(pair.b, pair.query + r, pair.key, pair.keys);
  const Index end = a.sight.last(pair.b, pair.query + pair.rows) - pair.key;  // of the keys that any row sees
  for (Index j = 0; j < pair.keys; ++j) {
    const Index first = a.sight.causal ? std::clamp<Index>(pair.key + j - pair.query, 0, pair.rows) : 0;
    work.rows_of_keys[j] = j < end ? Range{first, pair.rows} : Range{0, 0};
  }
}

/// The five products of a pair for query head h.
template <class T>
void pair_gradients(const Pass<T>& a, Work<T>& work, const Pair& pair, const Keys<T>& keys, Index h, bool first_phase, bool first_head) {
  using Sum = SumOf<T>;
  constexpr auto left = BlockOperand::Side::left;
  const Queries<T> queries(work, a, pair.b, h, pair.query / block_rows);
  const auto multiply = [&](const BlockOperand& a_side, const BlockOperand& b_side, const BlockWork& what, Sum* to, Index stride) {
    multiply_blocks(a_side, b_side, what, to, stride, work.scratch.rest(), work.scratch.rest_bytes());
  };
  // S = Q K^T, dP = dO V^T
  const BlockWork seen{.n = pair.keys, .columns = work.keys_of_rows};
  multiply(queries.q, keys.k_across, seen, work.scores, block_rows);
  multiply(queries.dout, keys.v_across, seen, work.dscores, block_rows);
  static_assert(block_rows % DropoutFactors<Sum>::group == 0);
  const auto factors = a.what.drops() ? DropoutFactors<Sum>(a.what, pair.b, h) : DropoutFactors<Sum>();
  for (Index r = 0; r < pair.rows; ++r)
    a.what.drops() ? row_gradient<true>(a, work, pair, h, r, factors) : row_gradient<false>(a, work, pair, h, r, factors);
  const auto packed = [&](const T* scores, bool transposed) {
    const Index outers = transposed ? pair.keys : pair.rows, depth = transposed ? pair.rows : pair.keys;
    const BlockOperand operand(left, work.type, {scores, block_rows, transposed}, outers, depth, work.packed_scores);
    operand.pack();
    return operand;
  };
  // dV += P^T dO, dK += scale dS^T Q
  const Write key_write = first_phase && first_head ? Write::set : Write::add;
  multiply(packed(work.p, true), queries.dout_along, {.n = a.hd, .depths = work.rows_of_keys, .factor = 1, .write = key_write},
           a.sum_v.at(pair.b, pair.key, pair.kv), a.sum_v.row);
  multiply(packed(work.ds, true), queries.q_along, {.n = a.hd, .depths = work.rows_of_keys, .factor = a.scale, .write = key_write},
           a.sum_k.at(pair.b, pair.key, pair.kv), a.sum_k.row);
  // dQ += scale dS K
  const Write query_write = first_phase ? Write::set : Write::add;
  multiply(packed(work.ds, false), keys.k_along, {.n = a.hd, .depths = work.keys_of_rows, .factor = a.scale, .write = query_write},
           a.sum_q.at(pair.b, pair.query, h), a.sum_q.row);
}

/// Rounds finished sums of one head to the output's type.
template <class T>
void round_rows(const Heads<SumOf<T>>& sum, const Heads<T>& to, Index b, Index first, Index rows, Index h, Index hd) {
  for (Index i = first; i < first + rows; ++i) {
    const auto* from = sum.at(b, i, h);
    T* out = to.at(b, i, h);
#pragma GCC ivdep
    for (Index d = 0; d < hd; ++d) out[d] = static_cast<T>(from[d]);
  }
}

/// Zeros where a pair that nobody sees would have set its terms: in the first phase only, for it sets.
template <class T>
void set_zero(const Pass<T>& a, const Pair& pair, Index h, bool first_head) {
  using Sum = SumOf<T>;
  const auto clear = [&](Sum* sum, Index rows, Index stride) {
    for (Index r = 0; r < rows; ++r) std::fill_n(sum + r * stride, a.hd, Sum{0});
  };
  clear(a.sum_q.at(pair.b, pair.query, h), pair.rows, a.sum_q.row);
  if (!first_head) return;
  clear(a.sum_k.at(pair.b, pair.key, pair.kv), pair.keys, a.sum_k.row);
  clear(a.sum_v.at(pair.b, pair.key, pair.kv), pair.keys, a.sum_v.row);
}

/// All query heads of a pair's key/value head; then what has collected its last term is rounded. Key block `c`, query block
/// `c + phase`, wrapped around.
template <class T>
void run_pair(const Pass<T>& a, Work<T>& work, Index b, Index kv, Index c, Index phase) {
  const Index blocks = work.blocks(), key = c * block_rows, query = (c + phase) % blocks * block_rows;
  const Pair pair{b, kv, key, std::min(block_rows, a.S - key), query, std::min(block_rows, a.S - query)};
  const bool masked =
      a.sight.smallest(b, pair.query, pair.rows) >= pair.key + pair.keys || a.sight.last(b, pair.query + pair.rows) <= pair.key;
  const Index head = kv * work.group, end = head + work.group;
  if (!masked) {
    const Keys<T> keys(work, a, b, kv, c);
    find_ranges(a, work, pair);
    for (Index h = head; h < end; ++h) pair_gradients(a, work, pair, keys, h, phase == 0, h == head);
  } else if (phase == 0) {
    for (Index h = head; h < end; ++h) set_zero(a, pair, h, h == head);
  }
  if constexpr (!std::is_same_v<T, SumOf<T>>) {
    const bool last_of_query = a.sight.causal ? c == 0 : phase == blocks - 1;
    const bool last_of_key = a.sight.causal ? c + phase == blocks - 1 : phase == blocks - 1;
    if (last_of_query)
      for (Index h = head; h < end; ++h) round_rows(a.sum_q, a.dq, b, pair.query, pair.rows, h, a.hd);
    if (last_of_key) {
      round_rows(a.sum_k, a.dk, b, pair.key, pair.keys, kv, a.hd);
      round_rows(a.sum_v, a.dv, b, pair.key, pair.keys, kv, a.hd);
    }
  }
}

/// All pairs of a head, on one thread.
template <class Run>
void run_head(bool causal, Index blocks, Run&& run) {
  if (causal) {
    for (Index c = blocks - 1; c >= 0; --c)
      for (Index phase = 0; phase < blocks - c; ++phase) run(c, phase);
  } else {
    for (Index phase = 0; phase < blocks; ++phase)
      for (Index c = 0; c < blocks; ++c) run(c, phase);
  }
}

}  // namespace

std::int64_t attention_backward_workspace(const ConstView& q, const ConstView& k) {
  const Index dots = q.size(0) * q.size(1) * q.size(2), element = static_cast<Index>(size_of(sum_type(q.type())));
  return (dots + (q.type() == DType::bf16 ? q.elements() + 2 * k.elements() : 0)) * element;
}

void attention_backward(Stream& stream, const AttentionBackward& arguments, void* workspace) {
  with_float_type("attention_backward", arguments.q.type(), [&](auto element) {
    using T = decltype(element);
    const Pass<T> pass(arguments, workspace);
    compute_dots(stream, pass);
    const Index blocks = (pass.S + block_rows - 1) / block_rows;
    const Index heads = pass.B * pass.nkv;
    const auto run = [&](Work<T>& work, Index head, Index c, Index phase) {
      run_pair(pass, work, head / pass.nkv, head % pass.nkv, c, phase);
    };
    if (heads >= heads_per_thread * stream.pool().threads()) {
      stream.pool().run(heads, [&](Index head, int worker) {
        Work<T> work(stream, worker, pass);
        run_head(pass.sight.causal, blocks, [&](Index c, Index phase) { run(work, head, c, phase); });
      });
      return;
    }
    for (Index phase = 0; phase < blocks; ++phase) {
      const Index pairs = pass.sight.causal ? blocks - phase : blocks;
      stream.pool().run(heads * pairs, [&](Index task, int worker) {
        Work<T> work(stream, worker, pass);
        run(work, task / pairs, task % pairs, phase);
      });
    }
  });
}

}  // namespace strata::cpu
