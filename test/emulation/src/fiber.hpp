// A fiber: a stack of its own with a guard page below, and a place to continue from.
#pragma once
#include <cstddef>

namespace emulation {

class Fiber {
 public:
  /// The fiber of the calling thread, which has its stack already.
  Fiber() = default;
  /// One that runs `entry` (which never returns) when it is first switched to.
  explicit Fiber(void (*entry)(Fiber& self));
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves `from`, which is running, and continues `to`; returns when something switches to `from` again.
  static void switch_to(Fiber& from, Fiber& to);

  bool guards(const void* address) const;  // does it lie in the guard page?

 private:
  static void start(void* left_context, void* data);

  void* context_ = nullptr;
  const void* bottom_ = nullptr;  // of the stack, for AddressSanitizer
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;
  void (*entry_)(Fiber&) = nullptr;
};

}  // namespace emulation
