// Attention of one new query per sequence against a cache, on the host: each key and value is read once for all query heads of its group.
#include <array>
#include <limits>

#include "ops/cpu/attention.hpp"
#include "ops/cpu/attention_blocks.hpp"
#include "ops/cpu/lanes.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index key_block = 512;

/// The query heads of one group, and what is known of them so far.
template <class Sum>
struct Group {
  Index heads, hd;
  Sum *q, *sum;       // [heads, hd]: queries; sums of exp(score - top) v
  Sum *top, *mass;    // [heads]
  Sum* scores;        // [heads, key_block]
};

/// Scores of `keys` keys, their softmax carried along, and the values added.
template <class T>
void attend(const Group<SumOf<T>>& group, const Heads<const T>& k, const Heads<const T>& v, Index b, Index kv, Index key, Index keys, SumOf<T> scale) {
  using Sum = SumOf<T>;
  for (Index j = 0; j < keys; ++j) {
    const T* row = k.at(b, key + j, kv);
    for (Index h = 0; h < group.heads; ++h) {
      const Sum* q = group.q + h * group.hd;
      group.scores[h * key_block + j] = lane_sum<Sum>(group.hd, [&](Index d) { return q[d] * static_cast<Sum>(row[d]); });
    }
  }
  for (Index h = 0; h < group.heads; ++h) {
    Sum* s = group.scores + h * key_block;
    const Sum before = group.top[h], top = std::max(before, scale * lane_max(keys, s)), shrink = exp_of(before - top);
    group.mass[h] = group.mass[h] * shrink + exponentials(keys, s, scale, top, s);
    group.top[h] = top;
    Sum* sum = group.sum + h * group.hd;
    for (Index d = 0; d < group.hd; ++d) sum[d] *= shrink;
  }
  for (Index j = 0; j < keys; ++j) {
    const T* row = v.at(b, key + j, kv);
    for (Index h = 0; h < group.heads; ++h) {
      const Sum p = group.scores[h * key_block + j];
      Sum* sum = group.sum + h * group.hd;
#pragma GCC ivdep
      for (Index d = 0; d < group.hd; ++d) sum[d] = std::fma(p, static_cast<Sum>(row[d]), sum[d]);
    }
  }
}

template <class T>
Group<SumOf<T>> begin(Stream& stream, int worker, const ConstView& q, Index b, Index first_head, Index heads) {
  using Sum = SumOf<T>;
  Scratch scratch(stream, worker);
  const Index hd = q.size(2);
  Group<Sum> group{heads, hd, scratch.take<Sum>(heads * hd), scratch.take<Sum>(heads * hd), scratch.take<Sum>(heads), scratch.take<Sum>(heads),
                   scratch.take<Sum>(heads * key_block)};
  for (Index h = 0; h < heads; ++h) {
    const T* from = q.as<const T>() + b * q.stride(0) + (first_head + h) * q.stride(1);
    for (Index d = 0; d < hd; ++d) group.q[h * hd + d] = static_cast<Sum>(from[d]);
  }
  std::fill_n(group.sum, heads * hd, Sum{0});
  std::fill_n(group.top, heads, -std::numeric_limits<Sum>::infinity());
  std::fill_n(group.mass, heads, Sum{0});
  return group;
}

}  // namespace

void attention_decode(Stream& stream, const ConstView& q, const ConstView& k_cache, const ConstView& v_cache, const ConstView& lengths, double scale,
                      const View& o) {
  const Index B = q.size(0), C = k_cache.size(1), nkv = k_cache.size(2), heads = q.size(1) / nkv, hd = q.size(2);
  const auto* length = lengths.as<const std::int32_t>();
  with_float_type("attention_decode", q.type(), [&](auto element) {
    using T = decltype(element);
    using Sum = SumOf<T>;
    const Heads<const T> k(k_cache), v(v_cache);
    stream.pool().run(B * nkv, [&](Index task, int worker) {
      const Index b = task / nkv, kv = task % nkv;
      STRATA_ASSERT(length[b] >= 1 && length[b] <= C, "attention_decode: sequence ", b, " has length ", length[b], ", expected 1 to ", C);
      const auto group = begin<T>(stream, worker, q, b, kv * heads, heads);
      for (Index key = 0; key < length[b]; key += key_block) attend(group, k, v, b, kv, key, std::min<Index>(key_block, length[b] - key), static_cast<Sum>(scale));
      for (Index h = 0; h < heads; ++h) {
        T* to = o.as<T>() + b * o.stride(0) + (kv * heads + h) * o.stride(1);
        const Sum inverse = Sum{1} / group.mass[h];
        for (Index d = 0; d < hd; ++d) to[d] = static_cast<T>(group.sum[h * hd + d] * inverse);
      }
    });
  });
}

}  // namespace strata::cpu
