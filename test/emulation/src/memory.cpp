// An allocation is [guard][front margin | the caller's bytes | back margin][guard]; it ends where a page ends, as far as an alignment of
// 256 allows.
#include "memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "emulation/run.hpp"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace emulation {
namespace {

constexpr std::size_t guard_bytes = 1 << 20;  // [bytes] before and after
constexpr int fresh = 0xff;                   // NaN in every floating-point type
constexpr unsigned char margin = 0xa5;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

std::vector<Allocation*>& allocations() {  // freed ones stay, so that a late use can be told from a wild one
  static auto* const all = new std::vector<Allocation*>;
  return *all;
}

std::size_t used = 0;
int open_depth = 0;

void protect(const Allocation& a, int access) {
  if (mprotect(a.pages, a.page_bytes, access) != 0) fail("mprotect failed: too many allocations of device memory?");
}

void protect_all(int access) {
  for (const Allocation* a : allocations()) {
    if (a->kind == Kind::device && !a->freed) protect(*a, access);
  }
}

struct Margins {
  char* front;
  std::size_t front_bytes;
  char* back;
  std::size_t back_bytes;
};

Margins margins_of(const Allocation& a) {
  char* const end = a.begin + a.bytes;
  return {a.pages, static_cast<std::size_t>(a.begin - a.pages), end, static_cast<std::size_t>(a.pages + a.page_bytes - end)};
}

// Not through memcmp: the margins are poison to AddressSanitizer.
__attribute__((no_sanitize("address"))) bool intact(const char* at, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    if (static_cast<unsigned char>(at[i]) != margin) return false;
  }
  return true;
}

}  // namespace

Guard lock() {
  static auto* const mutex = new std::recursive_mutex;
  return Guard(*mutex);
}

std::size_t device_bytes() {
  const char* const text = std::getenv("STRATA_EMULATION_MEMORY");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : std::size_t{8} << 30;
}

std::size_t device_bytes_used() {
  return used;
}

Allocation* allocate(Kind kind, std::size_t bytes) {
  static int number = 0;
  const std::size_t room = round_up(bytes, kind == Kind::device ? 256 : 64);
  const std::size_t pages = round_up(room, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
  if (kind == Kind::device && (room > device_bytes() || used > device_bytes() - room)) return nullptr;
  void* map = mmap(nullptr, pages + 2 * guard_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  auto* const a = new Allocation;
  a->kind = kind;
  a->bytes = bytes;
  a->pages = static_cast<char*>(map) + guard_bytes;
  a->page_bytes = pages;
  a->begin = a->pages + pages - room;
  a->number = number++;
  protect(*a, PROT_READ | PROT_WRITE);
  std::memset(a->begin, fresh, bytes);
  if (kind == Kind::device) {
    const Margins m = margins_of(*a);
    std::memset(m.front, margin, m.front_bytes);
    std::memset(m.back, margin, m.back_bytes);
    ASAN_POISON_MEMORY_REGION(m.front, m.front_bytes);
    ASAN_POISON_MEMORY_REGION(m.back, m.back_bytes);
    used += room;
    if (open_depth == 0) protect(*a, PROT_NONE);
  }
  allocations().push_back(a);
  return a;
}

bool release(Kind kind, void* pointer) {
  for (Allocation* a : allocations()) {
    if (a->begin != pointer || a->kind != kind || a->freed || a->pages == nullptr) continue;
    ASAN_UNPOISON_MEMORY_REGION(a->pages, a->page_bytes);
    if (kind == Kind::device) used -= round_up(a->bytes, 256);
    // The addresses stay taken, the memory goes back.
    mmap(a->pages, a->page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    a->freed = true;
    return true;
  }
  return false;
}

bool register_host(void* pointer, std::size_t bytes) {
  auto* const begin = static_cast<char*>(pointer);
  for (const Allocation* a : allocations()) {
    if (!a->freed && begin < a->begin + a->bytes && a->begin < begin + bytes) return false;
  }
  allocations().push_back(new Allocation{Kind::pinned, begin, bytes});
  return true;
}

bool unregister_host(void* pointer) {
  auto& all = allocations();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i]->begin != pointer || all[i]->pages != nullptr) continue;
    delete all[i];
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  return false;
}

const Allocation* find(const void* pointer) {
  const auto* const at = static_cast<const char*>(pointer);
  for (const Allocation* a : allocations()) {
    if (!a->freed && at >= a->begin && at < a->begin + a->bytes) return a;
  }
  return nullptr;
}

const Allocation* find_near(const void* pointer) {
  const auto* const at = static_cast<const char*>(pointer);
  for (const Allocation* a : allocations()) {
    if (a->pages != nullptr && at >= a->pages - guard_bytes && at < a->pages + a->page_bytes + guard_bytes) return a;
  }
  return nullptr;
}

bool is_device_memory(const void* pointer, std::size_t bytes) {
  const Allocation* const a = find(pointer);
  return a != nullptr && a->kind == Kind::device && static_cast<const char*>(pointer) + bytes <= a->begin + a->bytes;
}

void check_margins(const std::string& writer) {
  for (const Allocation* a : allocations()) {
    if (a->kind != Kind::device || a->freed) continue;
    const Margins m = margins_of(*a);
    const bool front = intact(m.front, m.front_bytes), back = intact(m.back, m.back_bytes);
    if (front && back) continue;
    fail(writer + " wrote just " + (front ? "after the end" : "before the start") + " of device allocation " + std::to_string(a->number) +
         " (" + std::to_string(a->bytes) + " bytes)");
  }
}

Open::Open() {
  if (open_depth++ == 0) protect_all(PROT_READ | PROT_WRITE);
}
Open::~Open() {
  if (--open_depth == 0) protect_all(PROT_NONE);
}
Closed::Closed() : depth_(open_depth) {
  open_depth = 0;
  protect_all(PROT_NONE);
}
Closed::~Closed() {
  open_depth = depth_;
  if (depth_ > 0) protect_all(PROT_READ | PROT_WRITE);
}

}  // namespace emulation
