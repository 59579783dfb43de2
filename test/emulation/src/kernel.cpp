#include "kernel.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "block.hpp"
#include "elf_image.hpp"
#include "emulation/run.hpp"
#include "errors.hpp"
#include "fault.hpp"
#include "memory.hpp"
#include "shared_memory.hpp"
#include "stream.hpp"

namespace emulation {
namespace {

std::string running;

struct Facts {
  std::string name;
  std::size_t static_shared = 0;
  std::size_t allowed = 0;  // of dynamic shared memory: unasked, what its own leaves of 48 KiB
};

Facts& facts(const void* kernel) {
  static auto* const all = new std::map<const void*, Facts>;
  const auto found = all->find(kernel);
  if (found != all->end()) return found->second;
  Facts& made = (*all)[kernel];
  made.name = function_name(kernel);
  made.static_shared = static_shared(kernel);
  made.allowed = shared_default - std::min(shared_default, made.static_shared);
  return made;
}

struct Launch {
  const void* kernel;
  dim3 grid, block;
  std::size_t shared;
  std::uint64_t number;
  std::function<void()> body;
};

// Blocks in an order drawn from the seed: i -> (step i + first) mod count, with a step that has no divisor in common with the count.
void run_grid(const Launch& launch) {
  watch_faults();
  const Facts& kernel = facts(launch.kernel);
  running = kernel.name;
  Random random(seed() * 0x9e3779b97f4a7c15u + launch.number);
  const std::uint64_t count = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  std::uint64_t step = 1 + random.below(count);
  while (std::gcd(step, count) != 1) step = step % count + 1;
  std::uint64_t at = random.below(count);
  prepare_shared(launch.kernel, launch.shared);
  for (std::uint64_t i = 0; i < count; ++i) {
    const uint3 index{static_cast<unsigned>(at % launch.grid.x), static_cast<unsigned>(at / launch.grid.x % launch.grid.y),
                      static_cast<unsigned>(at / launch.grid.x / launch.grid.y)};
    poison_shared();
    run_block(launch.body, launch.block, index, launch.grid, random);
    at = (at + step) % count;
  }
  check_margins("kernel " + running);
  running.clear();
}

std::string text(dim3 d) {
  return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
}

void check(const Launch& launch) {
  const Facts& kernel = facts(launch.kernel);
  const auto refuse = [&](const std::string& why) {
    throw std::runtime_error("launch of " + kernel.name + " refused: " + why + " (grid " + text(launch.grid) + ", block " +
                             text(launch.block) + ", " + std::to_string(launch.shared) + " bytes of dynamic shared memory)");
  };
  const dim3 grid = launch.grid, block = launch.block;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) refuse("an empty grid");
  if (grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535) refuse("the grid exceeds (2147483647,65535,65535)");
  if (block.x == 0 || block.y == 0 || block.z == 0) refuse("an empty block");
  if (block.x > 1024 || block.y > 1024 || block.z > 64) refuse("the block exceeds (1024,1024,64)");
  if (std::uint64_t{block.x} * block.y * block.z > 1024) refuse("a block has at most 1024 threads");
  if (launch.shared + kernel.static_shared > shared_limit())
    refuse("a block has at most " + std::to_string(shared_limit() / 1024) + " KiB of shared memory (" +
           std::to_string(kernel.static_shared) + " bytes of it static)");
  if (launch.shared > kernel.allowed) {
    refuse("more than 48 KiB of shared memory (" + std::to_string(kernel.static_shared) +
           " bytes of it static) want cudaFuncAttributeMaxDynamicSharedMemorySize");
  }
}

}  // namespace

const std::string& running_kernel() {
  return running;
}

void enqueue_kernel(const void* kernel, dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream, std::function<void()> body) {
  const Guard guard = lock();
  static std::uint64_t number = 0;
  auto launch = std::make_shared<Launch>(Launch{kernel, grid, block, shared, number++, std::move(body)});
  check(*launch);
  const cudaError_t error = submit(stream, Work{facts(kernel).name, kernel, [launch] { run_grid(*launch); }});
  if (error != cudaSuccess) throw std::runtime_error("launch of " + facts(kernel).name + " refused: " + cudaGetErrorString(error));
}

cudaError_t enqueue_steps(const std::string& name, cudaStream_t stream, std::function<bool()> step) {
  const Guard guard = lock();
  if (is_capturing(stream)) return record(cudaErrorStreamCaptureUnsupported);
  return record(submit(stream, Work{name, nullptr, nullptr, std::move(step)}));
}

cudaError_t enqueue_work(const std::string& name, cudaStream_t stream, std::function<void()> work) {
  const Guard guard = lock();
  return record(submit(stream, Work{name, nullptr, [name, work = std::move(work)] {
                                      watch_faults();
                                      work();
                                      check_margins(name);
                                    }}));
}

}  // namespace emulation

extern "C" {

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  const emulation::Guard guard = emulation::lock();
  if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout)
    return emulation::record(value < -1 || value > 100 ? cudaErrorInvalidValue : cudaSuccess);
  emulation::Facts& kernel = emulation::facts(function);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<std::size_t>(value) + kernel.static_shared > emulation::shared_limit()) {
    return emulation::record(cudaErrorInvalidValue);
  }
  kernel.allowed = static_cast<std::size_t>(value);
  return emulation::record(cudaSuccess);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  const emulation::Guard guard = emulation::lock();
  const emulation::Facts& kernel = emulation::facts(function);
  *attributes = {};
  attributes->sharedSizeBytes = kernel.static_shared;
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 64;
  attributes->ptxVersion = attributes->binaryVersion = 90;
  attributes->maxDynamicSharedSizeBytes = static_cast<int>(kernel.allowed);
  return emulation::record(cudaSuccess);
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function, int threads, std::size_t shared) {
  const emulation::Guard guard = emulation::lock();
  if (threads <= 0 || threads > 1024) return emulation::record(cudaErrorInvalidValue);
  const std::size_t each = emulation::facts(function).static_shared + shared + 1024;
  *blocks = std::min({2048 / threads, static_cast<int>((emulation::shared_limit() + 1024) / each), 32});
  return emulation::record(cudaSuccess);
}

}  // extern "C"

long long int clock64() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}
void __trap() {
  emulation::fail("__trap()");
}
