// Turns to the threads of a block in an order drawn from the seed; they change places only where they wait.
#include "block.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <memory>

#include "emulation/run.hpp"
#include "fiber.hpp"

// Not through threads.hpp: kernels see these as constants, as each of its threads keeps its own.
uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace emulation {
namespace {

struct Thread {
  unsigned index = 0;
  uint3 position{};
  Fiber* fiber = nullptr;          // where it runs
  const char* waits_at = nullptr;  // what for
  unsigned mask = 0;               // the lanes it waits for, at a warp's operation
  bool started = false, done = false;
  PendingCopies pending;
};

struct WarpMeeting {
  const char* operation = nullptr;
  unsigned mask = 0, arrived = 0;
  void* operands[32] = {};
};

struct Barrier {
  int threads = 0, arrived = 0;
  int predicates = 0, result = 0;  // how many arrived with a true predicate; of the barrier that last completed
  std::vector<Thread*> waiting;
};

struct Block {
  const std::function<void()>* body = nullptr;
  Random* random = nullptr;
  unsigned count = 0, done = 0, next = 0;
  std::vector<Thread> threads;
  std::vector<unsigned> order;        // in which threads start
  std::vector<Thread*> soon, later;   // may run: before, or after, those that have not started
  std::vector<WarpMeeting> meetings;  // 32 a warp: that of a mask stands at its lowest lane
  std::array<Barrier, 16> barriers;
  Thread* current = nullptr;
  Fiber main;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
};

Block& block() {
  static auto* const only = new Block;  // never destroyed: its fibers rest in the middle of a function
  return *only;
}

void become(Thread& thread) {
  block().current = &thread;
  threadIdx = thread.position;
}

void work(Fiber& self);

Fiber& take_worker() {
  Block& b = block();
  if (b.idle.empty()) {
    b.fibers.push_back(std::make_unique<Fiber>(work));
    return *b.fibers.back();
  }
  Fiber& worker = *b.idle.back();
  b.idle.pop_back();
  return worker;
}

// Leaves `self` for whatever may run, or for the main fiber if nothing can.
void turn_away(Fiber& self) {
  Block& b = block();
  if (b.soon.empty() && b.next == b.count) std::swap(b.soon, b.later);
  if (!b.soon.empty()) {
    Thread& thread = *b.soon.back();
    b.soon.pop_back();
    Fiber::switch_to(self, *thread.fiber);
  } else if (b.next < b.count) {
    Fiber& worker = take_worker();
    if (&worker != &self) Fiber::switch_to(self, worker);
  } else {
    Fiber::switch_to(self, b.main);
  }
}

// A worker: starts threads, one after another on its stack, until one of them stays on it to wait.
void work(Fiber& self) {
  Block& b = block();
  for (;;) {
    while (b.next < b.count && b.soon.empty()) {
      Thread& thread = b.threads[b.order[b.next++]];
      thread.fiber = &self;
      thread.started = true;
      become(thread);
      (*b.body)();
      b.threads[thread.index].done = true;
      ++b.done;
    }
    b.idle.push_back(&self);
    turn_away(self);
  }
}

// The current thread waits: others run, until it has been released.
void wait_here(const char* place, unsigned mask) {
  Thread& self = *block().current;
  self.waits_at = place;
  self.mask = mask;
  turn_away(*self.fiber);
  self.waits_at = nullptr;
  become(self);
}

void release(Thread** threads, std::size_t count) {
  Block& b = block();
  b.random->shuffle(threads, count);
  auto& list = (b.random->next() & 1u) != 0 ? b.soon : b.later;
  list.insert(list.end(), threads, threads + count);
}

std::string text(const char* what, uint3 at) {
  return std::string(what) + " (" + std::to_string(at.x) + "," + std::to_string(at.y) + "," + std::to_string(at.z) + ")";
}

[[noreturn]] void report_deadlock() {
  Block& b = block();
  struct Group {
    unsigned threads = 0;
    uint3 first{};
  };
  std::map<std::string, Group> groups;
  for (unsigned i = 0; i < b.count; ++i) {
    const Thread& thread = b.threads[i];
    std::string state = "returned";
    if (!thread.done) {
      char mask[24] = "";
      if (thread.mask != 0) std::snprintf(mask, sizeof mask, ", mask 0x%08x", thread.mask);
      state = std::string("wait at ") + thread.waits_at + mask;
    }
    Group& group = groups[state];
    if (group.threads++ == 0) group.first = thread.position;
  }
  b.current = nullptr;
  std::string message = "deadlock in " + text("block", blockIdx) + ": threads wait for others that do not come";
  for (const auto& [state, group] : groups) {
    message += "\n  " + std::to_string(group.threads) + " of " + std::to_string(b.count) + " threads " + state +
               "; the first: " + text("thread", group.first);
  }
  fail(message);
}

void order_threads() {
  Block& b = block();
  // Warp by warp, the warps and the lanes in each in any order: warps whose lanes meet often then need few stacks at a time.
  const unsigned warps = (b.count + 31) / 32;
  std::vector<unsigned> warp_order(warps);
  for (unsigned w = 0; w < warps; ++w) warp_order[w] = w;
  b.random->shuffle(warp_order.data(), warps);
  b.order.clear();
  for (const unsigned w : warp_order) {
    const std::size_t start = b.order.size();
    for (unsigned i = 32 * w; i < std::min(32 * w + 32, b.count); ++i) b.order.push_back(i);
    b.random->shuffle(b.order.data() + start, b.order.size() - start);
  }
}

}  // namespace

void run_block(const std::function<void()>& body, dim3 shape, uint3 index, dim3 grid, Random& random) {
  Block& b = block();
  b.body = &body;
  b.random = &random;
  b.count = shape.x * shape.y * shape.z;
  b.done = b.next = 0;
  blockIdx = index;
  blockDim = shape;
  gridDim = grid;
  if (b.threads.size() < b.count) b.threads.resize(b.count);
  for (unsigned i = 0; i < b.count; ++i) {
    Thread& thread = b.threads[i];
    thread.index = i;
    thread.position = {i % shape.x, i / shape.x % shape.y, i / shape.x / shape.y};
    thread.started = thread.done = false;
    thread.pending.copies.clear();
    thread.pending.committed = 0;
  }
  b.meetings.assign((b.count + 31) / 32 * 32, {});
  for (Barrier& barrier : b.barriers) barrier.threads = barrier.arrived = barrier.predicates = 0;
  order_threads();
  Fiber::switch_to(b.main, take_worker());
  if (b.done < b.count) report_deadlock();
  b.current = nullptr;
}

bool in_kernel() {
  return block().current != nullptr;
}

std::string running_thread() {
  if (!in_kernel()) return "";
  return text("block", blockIdx) + ", " + text("thread", threadIdx);
}

bool is_stack_overflow(const void* address) {
  return in_kernel() && block().current->fiber->guards(address);
}

PendingCopies& pending_copies() {
  return block().current->pending;
}

void warp_collective(const char* operation, unsigned int mask, void* operands, Complete complete) {
  Block& b = block();
  if (!in_kernel()) fail(std::string(operation) + " outside a kernel");
  Thread& self = *b.current;
  const unsigned lane = self.index % 32, warp = self.index - lane;
  if ((mask >> lane & 1u) == 0)
    fail(std::string(operation) + ": lane " + std::to_string(lane) + " calls it with a mask that does not name it");
  WarpMeeting& meeting = b.meetings[warp + static_cast<unsigned>(std::countr_zero(mask))];
  if (meeting.arrived == 0) {
    meeting.operation = operation;
    meeting.mask = mask;
  } else if (meeting.mask != mask || std::strcmp(meeting.operation, operation) != 0) {
    fail("lanes of a warp meet at different operations, or with different masks: " + std::string(meeting.operation) + " and " + operation);
  }
  meeting.operands[lane] = operands;
  meeting.arrived |= 1u << lane;
  if (meeting.arrived != mask) {
    wait_here(operation, mask);
    return;
  }
  meeting.arrived = 0;
  complete(meeting.operands, mask);
  Thread* others[32];
  std::size_t count = 0;
  for (unsigned i = 0; i < 32; ++i) {
    if (i != lane && (mask >> i & 1u) != 0) others[count++] = &b.threads[warp + i];
  }
  release(others, count);
}

namespace {

int meet(Barrier& barrier, int threads, bool wait, bool predicate, const char* place) {
  if (barrier.arrived == 0) barrier.threads = threads;
  if (barrier.threads != threads) fail(std::string(place) + ": threads come to one barrier with different counts");
  barrier.predicates += predicate ? 1 : 0;
  if (++barrier.arrived < threads) {
    if (wait) {
      barrier.waiting.push_back(block().current);
      wait_here(place, 0);
    }
    return barrier.result;
  }
  barrier.result = barrier.predicates;
  barrier.arrived = barrier.predicates = 0;
  release(barrier.waiting.data(), barrier.waiting.size());
  barrier.waiting.clear();
  return barrier.result;
}

int block_barrier(const char* place, bool predicate) {
  if (!in_kernel()) fail(std::string(place) + " outside a kernel");
  return meet(block().barriers[0], static_cast<int>(block().count), true, predicate, place);
}

}  // namespace

void named_barrier(int id, int threads, bool wait) {
  if (!in_kernel()) fail("a named barrier outside a kernel");
  if (id < 0 || id > 15) fail("named barrier " + std::to_string(id) + ": there are 0 to 15");
  if (threads <= 0 || threads % 32 != 0 || threads > static_cast<int>((block().count + 31) / 32 * 32)) {
    fail("named barrier for " + std::to_string(threads) + " threads: it takes a multiple of 32, at most the block");
  }
  meet(block().barriers[static_cast<std::size_t>(id)], threads, wait, false, wait ? "a named barrier" : "a named barrier's arrival");
}

}  // namespace emulation

void __syncthreads() {
  emulation::block_barrier("__syncthreads()", false);
}
int __syncthreads_count(int predicate) {
  return emulation::block_barrier("__syncthreads_count()", predicate != 0);
}
int __syncthreads_or(int predicate) {
  return emulation::block_barrier("__syncthreads_or()", predicate != 0) > 0 ? 1 : 0;
}
int __syncthreads_and(int predicate) {
  return emulation::block_barrier("__syncthreads_and()", predicate != 0) == static_cast<int>(emulation::block().count) ? 1 : 0;
}
