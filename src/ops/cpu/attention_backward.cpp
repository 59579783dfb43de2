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

/// A pair of blocks for one key/value head, with its scratch.
template <class T>
struct Pair {
  using Sum = SumOf<T>;
  Index b, kv, key, keys, query, rows;
  Scratch scratch;
  Sum *scores, *dscores;  // [rows, keys] each with stride block_rows: S then P; dP then dS
  T *p, *ds;              // P and dS as operands: the same memory where T is Sum
  Sum* product;           // [block_rows, hd]

  Pair(Stream& stream, int worker, const Pass<T>& a, Index batch, Index kv_head, Index key_block, Index query_block)
      : b(batch),
        kv(kv_head),
        key(key_block * block_rows),
        keys(std::min(block_rows, a.S - key)),
        query(query_block * block_rows),
        rows(std::min(block_rows, a.S - query)),
        scratch(stream, worker) {
    scores = scratch.take<Sum>(block_rows * block_rows), dscores = scratch.take<Sum>(block_rows * block_rows);
    product = scratch.take<Sum>(block_rows * a.hd);
    if constexpr (std::is_same_v<T, Sum>)
      p = scores, ds = dscores;
    else
      p = scratch.take<T>(block_rows * block_rows), ds = scratch.take<T>(block_rows * block_rows);
  }
};

/// p = exp(scale s - lse), ds = p (dp - D) on the keys that row i sees, zero elsewhere. With `drops`, dp and the p that multiplies dout
/// have the factors of the row, ds = p (factor dp - D).
template <bool drops, class T>
void row_gradient(const Pass<T>& a, const Pair<T>& pair, Index h, Index r, const DropoutFactors<SumOf<T>>& factors) {
  using Sum = SumOf<T>;
  const Index i = pair.query + r, at = (pair.b * a.nh + h) * a.S + i;
  const Range range = a.sight.visible(pair.b, i, pair.key, pair.keys);
  const Sum lse = a.lse[at], dot = a.dots[at], scale = a.scale;
  const Sum *s = pair.scores + r * block_rows, *dp = pair.dscores + r * block_rows;
  T *p = pair.p + r * block_rows, *ds = pair.ds + r * block_rows;
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

/// sum (=|+=) factor * product, `rows` rows of hd elements.
template <class Sum>
void add_rows(const Sum* product, Index rows, Index hd, Sum factor, Write write, Sum* sum, Index stride) {
  for (Index r = 0; r < rows; ++r) {
    const Sum* from = product + r * hd;
    Sum* to = sum + r * stride;
    if (write == Write::set) {
#pragma GCC ivdep
      for (Index d = 0; d < hd; ++d) to[d] = factor * from[d];
    } else {
#pragma GCC ivdep
      for (Index d = 0; d < hd; ++d) to[d] = std::fma(factor, from[d], to[d]);
    }
  }
}

/// The five products of a pair for query head h.
template <class T>
void pair_gradients(const Pass<T>& a, const Pair<T>& pair, Index h, bool first_phase, bool first_head) {
  using Sum = SumOf<T>;
  constexpr DType type = dtype_of<T>::value, sums = dtype_of<Sum>::value;
  const auto multiply = [&](Index m, Index n, Index k, MatrixRef left, MatrixRef right, Sum* to, Index stride) {
    gemm_tile(m, n, k, 1.0F, type, left, right, sums, to, stride, pair.scratch.rest(), pair.scratch.rest_bytes());
  };
  const MatrixRef q = a.q.matrix(pair.b, pair.query, h), dout = a.dout.matrix(pair.b, pair.query, h);
  // S = Q K^T, dP = dO V^T
  multiply(pair.rows, pair.keys, a.hd, q, a.k.transposed(pair.b, pair.key, pair.kv), pair.scores, block_rows);
  multiply(pair.rows, pair.keys, a.hd, dout, a.v.transposed(pair.b, pair.key, pair.kv), pair.dscores, block_rows);
  static_assert(block_rows % DropoutFactors<Sum>::group == 0);
  const auto factors = a.what.drops() ? DropoutFactors<Sum>(a.what, pair.b, h) : DropoutFactors<Sum>();
  for (Index r = 0; r < pair.rows; ++r)
    a.what.drops() ? row_gradient<true>(a, pair, h, r, factors) : row_gradient<false>(a, pair, h, r, factors);
  // dV += P^T dO
  const Write key_write = first_phase && first_head ? Write::set : Write::add;
  multiply(pair.keys, a.hd, pair.rows, {pair.p, block_rows, true}, dout, pair.product, a.hd);
  add_rows(pair.product, pair.keys, a.hd, Sum{1}, key_write, a.sum_v.at(pair.b, pair.key, pair.kv), a.sum_v.row);
  // dK += scale dS^T Q
  multiply(pair.keys, a.hd, pair.rows, {pair.ds, block_rows, true}, q, pair.product, a.hd);
  add_rows(pair.product, pair.keys, a.hd, a.scale, key_write, a.sum_k.at(pair.b, pair.key, pair.kv), a.sum_k.row);
  // dQ += scale dS K
  multiply(pair.rows, a.hd, pair.keys, {pair.ds, block_rows, false}, a.k.matrix(pair.b, pair.key, pair.kv), pair.product, a.hd);
  add_rows(pair.product, pair.rows, a.hd, a.scale, first_phase ? Write::set : Write::add, a.sum_q.at(pair.b, pair.query, h), a.sum_q.row);
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
void set_zero(const Pass<T>& a, const Pair<T>& pair, Index h, bool first_head) {
  using Sum = SumOf<T>;
  const auto clear = [&](Sum* sum, Index rows, Index stride) {
    for (Index r = 0; r < rows; ++r) std::fill_n(sum + r * stride, a.hd, Sum{0});
  };
  clear(a.sum_q.at(pair.b, pair.query, h), pair.rows, a.sum_q.row);
  if (!first_head) return;
  clear(a.sum_k.at(pair.b, pair.key, pair.kv), pair.keys, a.sum_k.row);
  clear(a.sum_v.at(pair.b, pair.key, pair.kv), pair.keys, a.sum_v.row);
}

/// All query heads of a pair's key/value head; then what has collected its last term is rounded. Key block `c`, query block `c + phase` of
/// `blocks`, wrapped around.
template <class T>
void run_pair(Stream& stream, const Pass<T>& a, int worker, Index b, Index kv, Index c, Index phase, Index blocks) {
  const Index group = a.nh / a.nkv;
  const Pair<T> pair(stream, worker, a, b, kv, c, (c + phase) % blocks);
  const bool masked =
      a.sight.smallest(b, pair.query, pair.rows) >= pair.key + pair.keys || a.sight.last(b, pair.query + pair.rows) <= pair.key;
  for (Index h = kv * group; h < (kv + 1) * group; ++h) {
    if (!masked)
      pair_gradients(a, pair, h, phase == 0, h == kv * group);
    else if (phase == 0)
      set_zero(a, pair, h, h == kv * group);
  }
  if constexpr (!std::is_same_v<T, SumOf<T>>) {
    const bool last_of_query = a.sight.causal ? c == 0 : phase == blocks - 1;
    const bool last_of_key = a.sight.causal ? c + phase == blocks - 1 : phase == blocks - 1;
    if (last_of_query)
      for (Index h = kv * group; h < (kv + 1) * group; ++h) round_rows(a.sum_q, a.dq, b, pair.query, pair.rows, h, a.hd);
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
    const auto run = [&](int worker, Index head, Index c, Index phase) {
      run_pair(stream, pass, worker, head / pass.nkv, head % pass.nkv, c, phase, blocks);
    };
    if (heads >= heads_per_thread * stream.pool().threads()) {
      stream.pool().run(heads, [&](Index head, int worker) {
        run_head(pass.sight.causal, blocks, [&](Index c, Index phase) { run(worker, head, c, phase); });
      });
      return;
    }
    for (Index phase = 0; phase < blocks; ++phase) {
      const Index pairs = pass.sight.causal ? blocks - phase : blocks;
      stream.pool().run(heads * pairs, [&](Index task, int worker) { run(worker, task / pairs, task % pairs, phase); });
    }
  });
}

}  // namespace strata::cpu
