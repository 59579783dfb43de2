#pragma once
// The queues of a GPU, and marks in them: events that take turns.
#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <mutex>

#include "device/cuda/check.cuh"
#include "strata/device/gpu.hpp"

namespace strata::cuda {

/// The caller has chosen the GPU as the thread's current one.
class Queues {
 public:
  /// Those beside the queue of work are made when they are first used.
  Queues() { stream(GpuQueue::work); }
  ~Queues() {
    for (Queue& queue : queues_) {
      for (const cudaEvent_t event : queue.events)
        if (event) cudaEventDestroy(event);
      if (queue.stream) cudaStreamDestroy(queue.stream);
    }
  }
  Queues(const Queues&) = delete;
  Queues& operator=(const Queues&) = delete;

  cudaStream_t work() const { return queues_[0].stream; }
  cudaStream_t stream(GpuQueue which) {
    const std::lock_guard lock(mutex_);
    Queue& queue = at(which);
    if (!queue.stream) check(cudaStreamCreateWithFlags(&queue.stream, cudaStreamNonBlocking), "making a stream");
    return queue.stream;
  }

  GpuMark mark(GpuQueue which) {
    const std::lock_guard lock(mutex_);
    Queue& queue = at(which);
    if (!queue.stream) return {};
    cudaEvent_t& event = queue.events[++queue.marks % turns];
    if (!event) check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
    check(cudaEventRecord(event, queue.stream), "marking a queue");
    return {which, queue.marks};
  }

  void follow(GpuQueue which, const GpuMark& mark) {
    if (mark.number == 0 || mark.queue == which) return;
    check(cudaStreamWaitEvent(stream(which), event_of(mark), 0), "putting a queue behind another");
  }

  void wait_for(const GpuMark& mark) {
    if (mark.number != 0) check(cudaEventSynchronize(event_of(mark)), "waiting for the GPU");
  }

  /// Returns when all of them are empty.
  cudaError_t wait() noexcept {
    for (const Queue& queue : queues_)
      if (const cudaError_t result = queue.stream ? cudaStreamSynchronize(queue.stream) : cudaSuccess; result != cudaSuccess) return result;
    return cudaSuccess;
  }

 private:
  /// An event whose turn has come again stands for a later place in the same queue: who asks for the earlier one waits longer than it must.
  static constexpr std::uint64_t turns = 64;
  struct Queue {
    cudaStream_t stream = nullptr;
    std::array<cudaEvent_t, turns> events{};
    std::uint64_t marks = 0;
  };

  Queue& at(GpuQueue which) { return queues_[static_cast<std::size_t>(which)]; }
  cudaEvent_t event_of(const GpuMark& mark) {
    const std::lock_guard lock(mutex_);
    return at(mark.queue).events[mark.number % turns];
  }

  std::mutex mutex_;
  std::array<Queue, 3> queues_;
};

}  // namespace strata::cuda
