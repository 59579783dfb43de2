// Which cache a thread uses for which tokenizer.
#include "tokenizer/word_cache.hpp"

#include <atomic>
#include <utility>

namespace strata {
namespace {
struct Slot {
  std::uint64_t owner = 0;
  std::unique_ptr<WordCache> cache;
};
}  // namespace

std::uint64_t WordCache::new_owner() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

WordCache& WordCache::of_thread(std::uint64_t owner) {
  static thread_local Slot slots[2];  // the one used last comes first
  if (slots[0].owner == owner) return *slots[0].cache;
  std::swap(slots[0], slots[1]);
  if (slots[0].owner != owner) {
    slots[0].cache = std::make_unique<WordCache>();
    slots[0].owner = owner;
  }
  return *slots[0].cache;
}

}  // namespace strata
