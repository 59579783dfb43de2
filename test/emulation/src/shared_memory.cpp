#include "shared_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "elf_image.hpp"
#include "emulation/run.hpp"
#include "kernel.hpp"

namespace emulation {
namespace {

constexpr int poison = 0xff;

const std::vector<Range>* statics = nullptr;
char* dynamic = nullptr;
std::size_t dynamic_bytes = 0;

// Room for the largest block, a guard page behind it.
char* end_of_room() {
  static char* const end = [] {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = (most_shared + page - 1) / page * page;
    void* room = mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) fail("no memory for shared memory");
    char* const last = static_cast<char*>(room) + bytes;
    mprotect(last, page, PROT_NONE);
    return last;
  }();
  return end;
}

// Not through memset: under AddressSanitizer variables have forbidden margins between them.
[[maybe_unused]] __attribute__((no_sanitize("address"))) void fill(const Range& range) {
  volatile char* const at = range.begin;
  for (std::size_t i = 0; i < range.bytes; ++i) at[i] = static_cast<char>(poison);
}

}  // namespace

void prepare_shared(const void* kernel, std::size_t bytes) {
  statics = &shared_ranges(kernel);
  dynamic_bytes = bytes;
  dynamic = end_of_room() - (bytes + 127) / 128 * 128;
}

void poison_shared() {
#ifdef __SANITIZE_ADDRESS__
  for (const Range& range : *statics) fill(range);
#else
  for (const Range& range : *statics) std::memset(range.begin, poison, range.bytes);
#endif
  std::memset(dynamic, poison, static_cast<std::size_t>(end_of_room() - dynamic));
}

bool is_shared(const void* pointer, std::size_t bytes) {
  const auto* const at = static_cast<const char*>(pointer);
  if (at >= dynamic && at + bytes <= dynamic + dynamic_bytes) return true;
  for (const Range& range : *statics) {
    if (at >= range.begin && at + bytes <= range.begin + range.bytes) return true;
  }
  return false;
}

std::size_t static_shared(const void* kernel) {
  return shared_variables(kernel);
}

void* dynamic_shared_memory() {
  if (dynamic_bytes == 0) fail("dynamic_shared(): the launch asked for no dynamic shared memory");
  return dynamic;
}

}  // namespace emulation
