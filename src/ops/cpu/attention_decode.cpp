// Attention of one new query per sequence against a cache, on the host: each key and value is read once for all query heads of its group.
#include <algorithm>
#include <array>
#include <limits>

#include "ops/cpu/attention.hpp"
#include "ops/cpu/attention_blocks.hpp"
#include "ops/cpu/lanes.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index key_block = 512;
constexpr Index ahead = 16;  // rows between a prefetch and its use

/// The query heads of one group, and what is known of them so far.
template <class Sum>
struct Group {
  Index heads, hd;
  Sum *q, *sum;     // [heads, hd]: queries; sums of exp(score - top) v
  Sum *top, *mass;  // [heads]
  Sum* scores;      // [heads, key_block]
};

/// Asks for a row well before it is read: rows of one head lie too far apart for the processor to foresee them.
template <class T>
void prefetch_row(const T* row, Index hd) {
  for (Index byte = 0; byte < hd * static_cast<Index>(sizeof(T)); byte += 64) __builtin_prefetch(reinterpret_cast<const char*>(row) + byte);
}

/// sum += p_j v_j for `count` keys in order; several at once read and write the sums once.
template <int count, class T, class Sum>
void add_values(const Sum* p, const T* v, Index stride, Index hd, Sum* sum) {
#pragma GCC ivdep
  for (Index d = 0; d < hd; ++d) {
    Sum total = sum[d];
    for (int j = 0; j < count; ++j) total = std::fma(p[j], static_cast<Sum>(v[j * stride + d]), total);
    sum[d] = total;
  }
}

/// Scores of `keys` keys, their softmax carried along, and the values added.
template <class T>
void attend(const Group<SumOf<T>>& group, const Heads<const T>& k, const Heads<const T>& v, Index b, Index kv, Index key, Index keys,
            SumOf<T> scale) {
  using Sum = SumOf<T>;
  for (Index j = 0; j < keys; ++j) {
    const T* row = k.at(b, key + j, kv);
    prefetch_row(k.at(b, key + std::min(j + ahead, keys - 1), kv), group.hd);
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
  Index j = 0;
  for (; j + 4 <= keys; j += 4) {
    for (Index next = 0; next < 4; ++next) prefetch_row(v.at(b, key + std::min(j + next + ahead, keys - 1), kv), group.hd);
    for (Index h = 0; h < group.heads; ++h)
      add_values<4>(group.scores + h * key_block + j, v.at(b, key + j, kv), v.row, group.hd, group.sum + h * group.hd);
  }
  for (; j < keys; ++j)
    for (Index h = 0; h < group.heads; ++h)
      add_values<1>(group.scores + h * key_block + j, v.at(b, key + j, kv), v.row, group.hd, group.sum + h * group.hd);
}

template <class T>
Group<SumOf<T>> begin(Stream& stream, int worker, const ConstView& q, Index b, Index first_head, Index heads) {
  using Sum = SumOf<T>;
  Scratch scratch(stream, worker);
  const Index hd = q.size(2);
  Group<Sum> group{heads,
                   hd,
                   scratch.take<Sum>(heads * hd),
                   scratch.take<Sum>(heads * hd),
                   scratch.take<Sum>(heads),
                   scratch.take<Sum>(heads),
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

void attention_decode(Stream& stream, const ConstView& q, const ConstView& k_cache, const ConstView& v_cache, const ConstView& lengths,
                      double scale, const View& o) {
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
      for (Index key = 0; key < length[b]; key += key_block)
        attend(group, k, v, b, kv, key, std::min<Index>(key_block, length[b] - key), static_cast<Sum>(scale));
      for (Index h = 0; h < heads; ++h) {
        T* to = o.as<T>() + b * o.stride(0) + (kv * heads + h) * o.stride(1);
        const Sum inverse = Sum{1} / group.mass[h];
        for (Index d = 0; d < hd; ++d) to[d] = static_cast<T>(group.sum[h * hd + d] * inverse);
      }
    });
  });
}

}  // namespace strata::cpu
