// A block of threads: each runs as a plain call until it has to wait, and as a fiber from then on.
#pragma once
#include <functional>
#include <string>

#include "emulation/vector_types.hpp"
#include "random.hpp"

namespace emulation {

/// Runs one block of `body`; ends the process with a message if its threads wait for ever.
void run_block(const std::function<void()>& body, dim3 block, uint3 index, dim3 grid, Random& random);

/// "block (0,0,0), thread (1,0,0)", or nothing outside a kernel.
std::string running_thread();
bool in_kernel();

/// Whether an address lies below the stack of the running thread.
bool is_stack_overflow(const void* address);

// What a thread has under way by cp.async.
struct PendingCopy {
  void* shared;
  const void* global;
  bool valid;
  int group;
};
struct PendingCopies {
  std::vector<PendingCopy> copies;
  int committed = 0;
};
PendingCopies& pending_copies();

}  // namespace emulation
