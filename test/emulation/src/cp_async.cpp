// cp.async: a copy happens in the wait that covers it; until then its target is poison.
#include <cstdint>
#include <cstring>

#include "block.hpp"
#include "emulation/run.hpp"
#include "shared_memory.hpp"

namespace emulation {
namespace {

constexpr std::size_t bytes = 16;

}  // namespace

void cp_async(void* shared, const void* global, bool valid) {
  if (!in_kernel()) fail("cp.async outside a kernel");
  if (reinterpret_cast<std::uintptr_t>(shared) % bytes != 0 || reinterpret_cast<std::uintptr_t>(global) % bytes != 0) {
    fail("cp.async of 16 bytes: an address is not aligned to 16");
  }
  if (!is_shared(shared, bytes)) fail("cp.async: the target is not in shared memory");
  if (valid && is_shared(global, bytes)) fail("cp.async: the source is in shared memory");
  std::memset(shared, 0xff, bytes);
  PendingCopies& pending = pending_copies();
  pending.copies.push_back({shared, global, valid, pending.committed});
}

void cp_async_commit() {
  ++pending_copies().committed;
}

void cp_async_wait(int groups_left) {
  PendingCopies& pending = pending_copies();
  auto& copies = pending.copies;
  const int done_below = pending.committed - groups_left;
  std::size_t kept = 0;
  for (const PendingCopy& copy : copies) {
    if (copy.group >= done_below) {
      copies[kept++] = copy;
    } else if (copy.valid) {
      std::memcpy(copy.shared, copy.global, bytes);
    } else {
      std::memset(copy.shared, 0, bytes);
    }
  }
  copies.resize(kept);
}

}  // namespace emulation
