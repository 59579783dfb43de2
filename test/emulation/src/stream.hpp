// Streams and events: work is queued, and done only when something waits for it.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "emulation/host_types.hpp"

namespace emulation {

struct Work {
  std::string name;
  const void* kernel;  // null: something else
  std::function<void()> run;
  std::function<bool()> step = {};  // instead of `run`: work that others have a part in; to be called until it says that it is done
};

struct Node {
  Work work;
  std::vector<std::size_t> after;  // earlier nodes
};

/// What a capture has gathered.
struct Capture {
  std::vector<Node> nodes;
  cudaStream_t origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread = std::this_thread::get_id();
  bool invalid = false;
};

/// One cudaEventRecord: done when its stream has come there.
struct Recording {
  std::shared_ptr<CUstream_st> stream;
  bool done = false;
  std::int64_t time = 0;             // [ns]
  std::shared_ptr<Capture> capture;  // recorded while capturing: the nodes before it
  std::vector<std::size_t> frontier;
};

/// Queues work, or adds it to the graph being captured.
cudaError_t submit(cudaStream_t stream, Work work);
bool is_capturing(cudaStream_t stream);

/// Does what is queued: of a stream; of all that wait for the legacy stream; of all.
void drain(cudaStream_t stream);
void drain_blocking();
void drain_all();

/// Refuses, and invalidates the capture, if one is under way that forbids calls such as cudaMalloc: a global one, or a thread-local one of
/// the calling thread.
cudaError_t unsafe_in_capture();
/// No stream takes part in it any more.
void end_capture(const std::shared_ptr<Capture>& capture);

}  // namespace emulation

struct CUstream_st {
  unsigned int flags = 0;
  std::deque<emulation::Work> queue;
  std::shared_ptr<emulation::Capture> capture;
  std::vector<std::size_t> frontier;  // of the capture: nodes that the next one comes after
};

struct CUevent_st {
  unsigned int flags = 0;
  std::shared_ptr<emulation::Recording> recording;
};
