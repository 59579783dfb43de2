// What the emulation's stand-ins for Strata's wrappers (launch.cuh, ptx.cuh), and the libraries on top of it, ask of the run-time.
#pragma once
#include <cstddef>
#include <functional>
#include <string>

#include "emulation/host_types.hpp"
#include "emulation/vector_types.hpp"

namespace emulation {

/// Ends the process with a message that names the kernel, block and thread where there is one.
[[noreturn]] void fail(const std::string& message);

/// Queues a launch; `body` is what one thread runs. Throws std::runtime_error where a GPU would refuse the launch.
void enqueue_kernel(const void* kernel, dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream, std::function<void()> body);

/// Queues work of a library (a matrix product, a collective) that may touch device memory.
cudaError_t enqueue_work(const std::string& name, cudaStream_t stream, std::function<void()> work);

/// The same for work that other processes have a part in: `step` is called again and again until it returns true.
cudaError_t enqueue_steps(const std::string& name, cudaStream_t stream, std::function<bool()> step);

/// Whether `bytes` from `pointer` lie inside one allocation of device memory.
bool is_device_memory(const void* pointer, std::size_t bytes);

/// The running block's dynamic shared memory.
void* dynamic_shared_memory();

/// Warp-wide: every lane gives the address of its operands, which stay valid; the last to come calls `complete` for all.
/// `operation` names it; lanes that come with another name, or another mask, end the process.
using Complete = void (*)(void* const (&operands)[32], unsigned int mask);
void warp_collective(const char* operation, unsigned int mask, void* operands, Complete complete);

void named_barrier(int id, int threads, bool wait);

void cp_async(void* shared, const void* global, bool valid);
void cp_async_commit();
void cp_async_wait(int groups_left);

}  // namespace emulation
