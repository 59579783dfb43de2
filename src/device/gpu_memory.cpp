#include "device/gpu_memory.hpp"

#include <map>
#include <mutex>
#include <shared_mutex>

namespace strata {
namespace {

struct Stretch {
  const unsigned char* end;
  Gpu* gpu;
};

/// Addresses are the process's own: there is one such table, as there is one address space.
struct Table {
  std::shared_mutex mutex;
  std::map<const unsigned char*, Stretch> stretches;
};

Table& table() {
  static Table one;
  return one;
}

}  // namespace

void register_gpu_memory(Gpu& gpu, const void* memory, std::int64_t bytes) {
  const auto* first = static_cast<const unsigned char*>(memory);
  const std::unique_lock lock(table().mutex);
  table().stretches[first] = {first + bytes, &gpu};
}

void forget_gpu_memory(const void* memory) noexcept {
  const std::unique_lock lock(table().mutex);
  table().stretches.erase(static_cast<const unsigned char*>(memory));
}

Gpu* gpu_of(const void* memory) {
  const auto* address = static_cast<const unsigned char*>(memory);
  const std::shared_lock lock(table().mutex);
  auto after = table().stretches.upper_bound(address);
  if (after == table().stretches.begin()) return nullptr;
  const Stretch& found = (--after)->second;
  return address < found.end ? found.gpu : nullptr;
}

}  // namespace strata
