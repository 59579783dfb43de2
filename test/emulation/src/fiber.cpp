// Fibers on Boost.Context, with AddressSanitizer told of every switch.
#include "fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulation {
namespace {

namespace context = boost::context::detail;

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
constexpr std::size_t stack_bytes = 256 * 1024;  // frames are larger here
#else
constexpr std::size_t stack_bytes = 64 * 1024;
#endif

std::size_t page() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// What a switch hands over: who left, and who arrives.
struct Passage {
  Fiber* from;
  Fiber* to;
};

#ifdef __SANITIZE_ADDRESS__
void leave(void** fake_stack, const void* bottom, std::size_t size) {
  __sanitizer_start_switch_fiber(fake_stack, bottom, size);
}
void arrive(void* fake_stack, const void** bottom, std::size_t* size) {
  __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
}
#else
void leave(void**, const void*, std::size_t) {}
void arrive(void*, const void**, std::size_t*) {}
#endif

}  // namespace

void Fiber::start(void* left_context, void* data) {
  auto& passage = *static_cast<Passage*>(data);
  arrive(nullptr, &passage.from->bottom_, &passage.from->size_);
  passage.from->context_ = left_context;
  passage.to->entry_(*passage.to);
}

Fiber::Fiber(void (*entry)(Fiber& self)) : entry_(entry) {
  const std::size_t bytes = stack_bytes + page();
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, page(), PROT_NONE);
  bottom_ = static_cast<char*>(memory) + page();
  size_ = stack_bytes;
  context_ = context::make_fcontext(static_cast<char*>(memory) + bytes, stack_bytes,
                                    [](context::transfer_t transfer) { start(transfer.fctx, transfer.data); });
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
  Passage passage{&from, &to};
  leave(&from.fake_stack_, to.bottom_, to.size_);
  const context::transfer_t transfer = context::jump_fcontext(to.context_, &passage);
  Fiber& left = *static_cast<Passage*>(transfer.data)->from;
  arrive(from.fake_stack_, &left.bottom_, &left.size_);
  left.context_ = transfer.fctx;
}

bool Fiber::guards(const void* address) const {
  const auto* const at = static_cast<const char*>(address);
  const auto* const bottom = static_cast<const char*>(bottom_);
  return entry_ != nullptr && at >= bottom - page() && at < bottom;
}

}  // namespace emulation
