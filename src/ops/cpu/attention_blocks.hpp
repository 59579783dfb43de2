#pragma once
// What the passes of attention share: heads in memory, scratch, and the keys that a row of a block of scores may see.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "ops/cpu/element.hpp"
#include "ops/cpu/vector_math.hpp"
#include "strata/device/block_product.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

/// Key/value heads for each thread from which on whole heads are the tasks; below, threads would wait for the last one.
constexpr std::int64_t heads_per_thread = 4;

/// A tensor [B,S,heads,hd]: where the row of a batch entry, position and head begins.
template <class T>
struct Heads {
  T* data = nullptr;
  std::int64_t batch = 0, row = 0, head = 0;  // strides [elements]

  Heads() = default;
  /// Workspace, head by head ([B,heads,S,hd] in memory), so that a block of one head is one piece.
  Heads(T* memory, std::int64_t S, std::int64_t heads, std::int64_t hd) : data(memory), batch(S * heads * hd), row(hd), head(S * hd) {}
  template <class AnyView>
  explicit Heads(const AnyView& view) : data(view.template as<T>()), batch(view.stride(0)), row(view.stride(1)), head(view.stride(2)) {}
  T* at(std::int64_t b, std::int64_t i, std::int64_t h) const { return data + b * batch + i * row + h * head; }
  /// Positions from i on of one head as a matrix [.., hd].
  MatrixRef matrix(std::int64_t b, std::int64_t i, std::int64_t h) const { return {at(b, i, h), row, false}; }
  MatrixRef transposed(std::int64_t b, std::int64_t i, std::int64_t h) const { return {at(b, i, h), row, true}; }
};

/// Hands out pieces of a worker's scratch, 64-byte aligned; what is left goes to the products.
class Scratch {
 public:
  Scratch(Stream& stream, int worker)
      : next_(static_cast<unsigned char*>(stream.worker_scratch(worker))), left_(Stream::worker_scratch_bytes) {}
  template <class T>
  T* take(std::int64_t elements) {
    const std::int64_t bytes = (elements * static_cast<std::int64_t>(sizeof(T)) + 63) / 64 * 64;
    STRATA_ASSERT(bytes <= left_, "attention: a head size beyond what the scratch of a thread holds");
    T* piece = reinterpret_cast<T*>(next_);
    next_ += bytes, left_ -= bytes;
    return piece;
  }
  /// For what products can do without.
  unsigned char* take_or_null(std::int64_t bytes) { return bytes > 0 && bytes <= left_ ? take<unsigned char>(bytes) : nullptr; }
  void* rest() const { return next_; }
  std::int64_t rest_bytes() const { return left_; }

 private:
  unsigned char* next_;
  std::int64_t left_;
};

/// Blocks of a sequence, packed as operands of products: the first ones stay as long as the scratch has room for them, the others share
/// one slot.
class Slots {
 public:
  /// For `all` blocks of `bytes` each, of which at most `most` bytes are kept; nothing is kept yet.
  Slots(Scratch& scratch, std::int64_t all, std::int64_t bytes, std::int64_t most)
      : count_(std::clamp<std::int64_t>(bytes == 0 ? 1 : most / bytes, 1, std::max<std::int64_t>(1, all))),
        bytes_(bytes),
        tags_(scratch.take<std::int64_t>(count_)),
        memory_(bytes * count_ <= most ? scratch.take_or_null(bytes * count_) : nullptr) {
    clear();
  }
  void clear() { std::fill_n(tags_, count_, std::int64_t{-1}); }
  /// The memory of block `number`, null where there is none, and whether something else lies there until now.
  std::pair<unsigned char*, bool> of(std::int64_t number) {
    const std::int64_t slot = std::min(number, count_ - 1);
    return {memory_ ? memory_ + slot * bytes_ : nullptr, std::exchange(tags_[slot], number) != number};
  }

 private:
  std::int64_t count_, bytes_;
  std::int64_t* tags_;
  unsigned char* memory_;
};

/// Which keys a query sees: causal, those from first_key (0 where not given) up to itself; else those below its sequence's length (all
/// where not given).
struct Sight {
  bool causal = true;
  std::int64_t S = 0;
  const std::int32_t *first_key = nullptr, *lengths = nullptr;
  std::int64_t batch = 0;  // between sequences of first_key [elements]

  Sight(bool is_causal, std::int64_t positions, const ConstView& mask) : causal(is_causal), S(positions) {
    if (!mask.given()) return;
    (causal ? first_key : lengths) = mask.as<const std::int32_t>();
    batch = mask.stride(0);
  }
  std::int64_t first(std::int64_t b, std::int64_t i) const {
    return first_key != nullptr ? std::max<std::int64_t>(0, first_key[b * batch + i]) : 0;
  }
  /// The smallest first key of `count` queries.
  std::int64_t smallest(std::int64_t b, std::int64_t i, std::int64_t count) const {
    if (first_key == nullptr || count == 0) return 0;
    return std::max<std::int64_t>(0, *std::min_element(first_key + b * batch + i, first_key + b * batch + i + count));
  }
  /// The end of the keys that any query of sequence b before `end` sees.
  std::int64_t last(std::int64_t b, std::int64_t end) const {
    if (causal) return end;
    return lengths != nullptr ? std::clamp<std::int64_t>(lengths[b * batch], 0, S) : S;
  }
  /// Of a block of `keys` keys from `key` on, what query i sees: first = last where nothing.
  Range visible(std::int64_t b, std::int64_t i, std::int64_t key, std::int64_t keys) const {
    const std::int64_t end = std::clamp<std::int64_t>(last(b, i + 1) - key, 0, keys);
    return {std::clamp<std::int64_t>(first(b, i) - key, 0, end), end};
  }
};

/// Runs work(head, parts, worker) so that every part of every key/value head is in one Range. A head whole is one task where there are
/// several for each thread, because its keys and values then stay in the cache; else each part is one. The parts of a head are
/// independent, so this choice changes no bit.
template <class Work>
void run_heads(Stream& stream, std::int64_t heads, std::int64_t parts, Work&& work) {
  if (heads >= heads_per_thread * stream.pool().threads())
    stream.pool().run(heads, [&](std::int64_t head, int worker) { work(head, Range{0, parts}, worker); });
  else
    stream.pool().run(heads * parts, [&](std::int64_t task, int worker) {
      work(task / parts, Range{task % parts, task % parts + 1}, worker);
    });
}

/// Largest of n >= 1 values, NaN passed over (it comes back in the sum of exponentials).
template <class Sum>
inline Sum lane_max(std::int64_t n, const Sum* values) {
  constexpr int lanes = 32;
  Sum most[lanes];
  for (int l = 0; l < lanes; ++l) most[l] = values[0];
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int l = 0; l < lanes; ++l) most[l] = values[i + l] > most[l] ? values[i + l] : most[l];
  for (int l = 0; i + l < n; ++l) most[l] = values[i + l] > most[l] ? values[i + l] : most[l];
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) most[l] = most[l + width] > most[l] ? most[l + width] : most[l];
  return most[0];
}

/// p = exp(scale s - top); returns the sum of the exponentials before they are rounded to T. p may be s.
template <class T, class Sum>
inline Sum exponentials(std::int64_t n, const Sum* s, Sum scale, Sum top, T* p) {
  constexpr int lanes = 32;
  Sum sum[lanes] = {};
  const auto step = [&](std::int64_t first, int count) {
#pragma GCC ivdep
    for (int l = 0; l < count; ++l) {
      const Sum e = exp_of(std::fma(scale, s[first + l], -top));
      p[first + l] = static_cast<T>(e);
      sum[l] += e;
    }
  };
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) step(i, lanes);
  step(i, static_cast<int>(n - i));
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) sum[l] += sum[l + width];
  return sum[0];
}

}  // namespace strata::cpu
