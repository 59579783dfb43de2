// Merging: a scan for the lowest rank in short words, a heap in long ones. Both take the same pair each time.
#include "tokenizer/bpe.hpp"

#include <algorithm>
#include <functional>
#include <queue>

#include "strata/base/error.hpp"
#include "tokenizer/word_cache.hpp"

namespace strata {
namespace {
constexpr std::size_t short_word = 48;  // [bytes]
}

Bpe::Bpe(const std::array<TokenId, 256>& byte_ids, const std::vector<Merge>& merges, std::unordered_map<std::string, TokenId> whole_words)
    : byte_ids_(byte_ids), merges_(merges), whole_words_(std::move(whole_words)) {}

void Bpe::append(std::string_view word, WordCache& cache, std::vector<TokenId>& out) const {
  if (word.size() == 1 && whole_words_.empty()) return out.push_back(byte_ids_[static_cast<unsigned char>(word[0])]);
  if (word.size() > WordCache::longest_word) return append_uncached(word, out);
  const auto key = WordCache::key_of(word.data(), word.size());
  if (const auto* known = cache.find(key)) {
    out.insert(out.end(), known->ids, known->ids + known->count);
    return;
  }
  const std::size_t before = out.size();
  append_uncached(word, out);
  cache.put(key, std::span<const TokenId>(out).subspan(before));
}

void Bpe::append_uncached(std::string_view word, std::vector<TokenId>& out) const {
  if (!whole_words_.empty())
    if (const auto found = whole_words_.find(std::string(word)); found != whole_words_.end()) return out.push_back(found->second);
  if (word.size() <= short_word) return append_short(word, out);
  append_long(word, out);
}

void Bpe::append_short(std::string_view word, std::vector<TokenId>& out) const {
  TokenId ids[short_word];
  const MergeTable::Entry* pairs[short_word];  // pairs[i]: ids[i] with ids[i + 1]
  std::size_t count = word.size();
  for (std::size_t i = 0; i < count; ++i) ids[i] = byte_ids_[static_cast<unsigned char>(word[i])];
  for (std::size_t i = 0; i + 1 < count; ++i) pairs[i] = &merges_.find(ids[i], ids[i + 1]);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i)
      if (pairs[i]->rank < pairs[best]->rank) best = i;
    if (pairs[best]->rank == MergeTable::no_rank) break;
    ids[best] = pairs[best]->whole;
    std::copy(ids + best + 2, ids + count, ids + best + 1);
    --count;
    if (best + 1 < count) {
      std::copy(pairs + best + 2, pairs + count, pairs + best + 1);
      pairs[best] = &merges_.find(ids[best], ids[best + 1]);
    }
    if (best > 0) pairs[best - 1] = &merges_.find(ids[best - 1], ids[best]);
  }
  out.insert(out.end(), ids, ids + count);
}

void Bpe::append_long(std::string_view word, std::vector<TokenId>& out) const {
  constexpr std::uint32_t none = 0xffffffffu;
  if (word.size() >= std::size_t{1} << 31)
    throw DataError(
        text("a text holds a word of ", word.size(), " bytes without a break; the tokenizer takes words below 2147483648 bytes"));
  const auto count = static_cast<std::uint32_t>(word.size());
  struct Symbol {
    TokenId id;
    std::uint32_t before, after;  // neighbours, or none
    bool joined;                  // into the one before it
  };
  std::vector<Symbol> symbols(count);
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> heap;  // rank, position: lowest rank first, then leftmost
  const auto entry = [&](std::uint32_t at) -> const MergeTable::Entry& {
    return merges_.find(symbols[at].id, symbols[symbols[at].after].id);
  };
  const auto push = [&](std::uint32_t at) {
    if (at == none || symbols[at].after == none) return;
    if (const auto& found = entry(at); found.rank != MergeTable::no_rank) heap.push(std::uint64_t{found.rank} << 32 | at);
  };
  for (std::uint32_t i = 0; i < count; ++i)
    symbols[i] = {byte_ids_[static_cast<unsigned char>(word[i])], i == 0 ? none : i - 1, i + 1 == count ? none : i + 1, false};
  for (std::uint32_t i = 0; i < count; ++i) push(i);
  while (!heap.empty()) {
    const auto rank = static_cast<std::uint32_t>(heap.top() >> 32), at = static_cast<std::uint32_t>(heap.top());
    heap.pop();
    if (symbols[at].joined || symbols[at].after == none) continue;
    const auto& found = entry(at);
    if (found.rank != rank) continue;  // out of date: one of the two has been joined with another neighbour since
    const std::uint32_t next = symbols[at].after;
    symbols[at].id = found.whole;
    symbols[at].after = symbols[next].after;
    symbols[next].joined = true;
    if (symbols[at].after != none) symbols[symbols[at].after].before = at;
    push(symbols[at].before);
    push(at);
  }
  for (std::uint32_t at = 0; at != none; at = symbols[at].after) out.push_back(symbols[at].id);
}

}  // namespace strata
