#pragma once
// Remembers the ids of short words. One per thread and tokenizer, of fixed size; a miss only costs time.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "strata/tokenizer/tokenizer.hpp"

namespace strata {

/// Two-way: a word lies in one of two neighbouring places; a new one pushes the older of the two out.
class WordCache {
 public:
  static constexpr std::size_t longest_word = 24;  // [bytes]
  static constexpr std::size_t most_ids = 9;

  struct Key {
    std::uint64_t words[3];
    std::size_t bytes;
    bool operator==(const Key&) const = default;
  };
  struct Entry {
    std::uint64_t words[3];
    std::uint8_t bytes;  // 0: empty
    std::uint8_t count;
    TokenId ids[most_ids];
  };
  static_assert(sizeof(Entry) == 64);

  /// The cache of this thread for the tokenizer with this number (from new_owner()). A thread keeps the last two.
  static WordCache& of_thread(std::uint64_t owner);
  /// A number no other tokenizer of this process has.
  static std::uint64_t new_owner();

  /// `bytes` from 1 to longest_word.
  static Key key_of(const char* word, std::size_t bytes) {
    Key key{{0, 0, 0}, bytes};
    std::size_t i = 0;
    for (; bytes >= 8; bytes -= 8, word += 8, ++i) std::memcpy(&key.words[i], word, 8);
    if (bytes > 0) key.words[i] = partial(word, bytes);
    return key;
  }

  const Entry* find(const Key& key) const {
    const Entry* pair = place(key);
    if (same(pair[0], key)) return &pair[0];
    return same(pair[1], key) ? &pair[1] : nullptr;
  }

  void put(const Key& key, std::span<const TokenId> ids) {
    if (ids.size() > most_ids) return;
    Entry* pair = place(key);
    pair[1] = pair[0];
    std::memcpy(pair[0].words, key.words, sizeof key.words);
    pair[0].bytes = static_cast<std::uint8_t>(key.bytes);
    pair[0].count = static_cast<std::uint8_t>(ids.size());
    std::copy(ids.begin(), ids.end(), pair[0].ids);
  }

 private:
  static constexpr int log2_pairs = 15;  // 2 * 2^15 entries of 64 bytes: 4 MiB, of which the system gives what is touched

  static std::uint64_t partial(const char* at, std::size_t bytes) {  // 1 to 7 bytes, zeros behind
    std::uint64_t low = 0, high = 0;
    if (bytes >= 4) {
      std::uint32_t a, b;
      std::memcpy(&a, at, 4);
      std::memcpy(&b, at + bytes - 4, 4);
      low = a;
      high = b;
      return low | high << (8 * (bytes - 4));
    }
    low = static_cast<unsigned char>(at[0]);
    low |= std::uint64_t{static_cast<unsigned char>(at[bytes / 2])} << (8 * (bytes / 2));
    return low | std::uint64_t{static_cast<unsigned char>(at[bytes - 1])} << (8 * (bytes - 1));
  }
  static bool same(const Entry& entry, const Key& key) {
    return entry.bytes == key.bytes && entry.words[0] == key.words[0] && entry.words[1] == key.words[1] && entry.words[2] == key.words[2];
  }
  Entry* place(const Key& key) const {
    std::uint64_t hash = (key.words[0] ^ key.bytes) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ (hash >> 32) ^ key.words[1]) * 0xd6e8feb86659fd93u;
    hash = (hash ^ (hash >> 32) ^ key.words[2]) * 0x9e3779b97f4a7c15u;
    return entries_.get() + 2 * (hash >> (64 - log2_pairs));
  }

  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  static Entry* allocate() {
    void* memory = std::calloc(std::size_t{2} << log2_pairs, sizeof(Entry));
    if (!memory) throw std::bad_alloc();
    return static_cast<Entry*>(memory);
  }
  std::unique_ptr<Entry, Free> entries_{allocate()};
};

}  // namespace strata
