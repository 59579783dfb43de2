#include "stream.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>
#include <thread>

#include "emulation/host_calls.hpp"
#include "emulation/run.hpp"
#include "errors.hpp"
#include "memory.hpp"
#include "random.hpp"

namespace emulation {
namespace {

using Stream = std::shared_ptr<CUstream_st>;

struct Streams {
  std::vector<Stream> live;
  std::vector<Stream> destroyed;  // with work left
  std::set<CUevent_st*> events;
};

Streams& streams() {
  static auto* const all = new Streams;
  return *all;
}

// The stream of a handle. Its use ends the process if it is the legacy one: with it every copy would wait for every other.
Stream stream_of(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread) {
    fail("the legacy default stream is used: Strata gives every call a stream of its own");
  }
  for (const Stream& stream : streams().live) {
    if (stream.get() == handle) return stream;
  }
  return nullptr;
}

bool run_one(Stream stream) {  // by value: an event lets go of its stream when it is reached
  if (stream->queue.empty()) return false;
  const Open open;
  if (stream->queue.front().step) {
    if (stream->queue.front().step())
      stream->queue.pop_front();
    else
      std::this_thread::yield();
    return true;
  }
  const Work work = std::move(stream->queue.front());
  stream->queue.pop_front();
  work.run();
  return true;
}

void run_all(const Stream& stream) {
  const Open open;
  while (run_one(stream)) {
  }
}

// What the event was recorded behind, done.
void complete(const std::shared_ptr<Recording>& recording) {
  const Open open;
  while (!recording->done && run_one(recording->stream)) {
  }
  if (!recording->done) fail("an event was never recorded in its stream: the emulation has lost it");
}

// On a GPU streams come on by themselves: what nobody waits for yet is done early, or late. Drawn for each piece of work that is given.
void run_ahead() {
  static const char* const text = std::getenv("STRATA_EMULATION_AHEAD");
  static const std::uint64_t percent = text != nullptr ? std::strtoull(text, nullptr, 10) : 0;
  static Random random(seed() + 1);
  if (random.below(100) >= percent) return;
  const Stream stream = streams().live[random.below(streams().live.size())];
  for (std::uint64_t left = random.below(16); left > 0 && run_one(stream); --left) {
  }
}

void merge(std::vector<std::size_t>& into, const std::vector<std::size_t>& from) {
  for (const std::size_t node : from) {
    if (std::find(into.begin(), into.end(), node) == into.end()) into.push_back(node);
  }
}

bool event_exists(cudaEvent_t event) {
  return streams().events.count(event) > 0;
}

Capture* strict_capture() {
  for (const Stream& stream : streams().live) {
    Capture* const capture = stream->capture.get();
    if (capture == nullptr || capture->invalid || capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode == cudaStreamCaptureModeGlobal || capture->thread == std::this_thread::get_id()) return capture;
  }
  return nullptr;
}

// A stream's own call that a capture forbids.
cudaError_t refuse_capturing(const Stream& stream) {
  if (!stream->capture) return cudaSuccess;
  stream->capture->invalid = true;
  return cudaErrorStreamCaptureUnsupported;
}

}  // namespace

cudaError_t submit(cudaStream_t handle, Work work) {
  const Stream stream = stream_of(handle);
  if (!stream) return cudaErrorInvalidResourceHandle;
  if (!stream->capture) {
    stream->queue.push_back(std::move(work));
    run_ahead();
    return cudaSuccess;
  }
  Capture& capture = *stream->capture;
  if (capture.invalid) return cudaErrorStreamCaptureInvalidated;
  capture.nodes.push_back({std::move(work), stream->frontier});
  stream->frontier = {capture.nodes.size() - 1};
  return cudaSuccess;
}

bool is_capturing(cudaStream_t handle) {
  const Stream stream = stream_of(handle);
  return stream && stream->capture;
}

void drain(cudaStream_t handle) {
  run_all(stream_of(handle));
}

void drain_blocking() {
  for (const Stream& stream : std::vector<Stream>(streams().live)) {
    if ((stream->flags & cudaStreamNonBlocking) == 0) run_all(stream);
  }
}

void drain_all() {
  for (const Stream& stream : std::vector<Stream>(streams().live)) run_all(stream);
  for (const Stream& stream : std::vector<Stream>(streams().destroyed)) run_all(stream);
  streams().destroyed.clear();
}

cudaError_t unsafe_in_capture() {
  Capture* const capture = strict_capture();
  if (capture == nullptr) return cudaSuccess;
  capture->invalid = true;
  return cudaErrorStreamCaptureUnsupported;
}

void end_capture(const std::shared_ptr<Capture>& capture) {
  for (const Stream& stream : streams().live) {
    if (stream->capture != capture) continue;
    stream->capture.reset();
    stream->frontier.clear();
  }
}

}  // namespace emulation

using namespace emulation;

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned int flags, int) {
  const Guard guard = lock();
  if (flags > cudaStreamNonBlocking) return record(cudaErrorInvalidValue);
  streams().live.push_back(std::make_shared<CUstream_st>());
  *stream = streams().live.back().get();
  (*stream)->flags = flags;
  return record(cudaSuccess);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  const Guard guard = lock();
  const auto stream = stream_of(handle);
  if (!stream) return record(cudaErrorInvalidResourceHandle);
  if (!stream->queue.empty()) streams().destroyed.push_back(stream);
  auto& live = streams().live;
  live.erase(std::find(live.begin(), live.end(), stream));
  return record(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  const Guard guard = lock();
  const auto stream = stream_of(handle);
  if (!stream) return record(cudaErrorInvalidResourceHandle);
  if (const auto error = refuse_capturing(stream)) return record(error);
  run_all(stream);
  return record(cudaSuccess);
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  const Guard guard = lock();
  const auto stream = stream_of(handle);
  if (!stream) return record(cudaErrorInvalidResourceHandle);
  if (const auto error = refuse_capturing(stream)) return record(error);
  return record(run_one(stream) ? cudaErrorNotReady : cudaSuccess);
}

cudaError_t cudaDeviceSynchronize() {
  const Guard guard = lock();
  if (const auto error = unsafe_in_capture()) return record(error);
  drain_all();
  return record(cudaSuccess);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  const Guard guard = lock();
  return record(submit(stream, Work{"host function", nullptr, [function, data] {
                                      const Closed closed;
                                      function(data);
                                    }}));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  const Guard guard = lock();
  *event = new CUevent_st{flags, nullptr};
  streams().events.insert(*event);
  return record(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Guard guard = lock();
  if (streams().events.erase(event) == 0) return record(cudaErrorInvalidResourceHandle);
  delete event;
  return record(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  const Guard guard = lock();
  const auto stream = stream_of(handle);
  if (!stream || !event_exists(event)) return record(cudaErrorInvalidResourceHandle);
  auto recording = std::make_shared<Recording>();
  recording->stream = stream;
  recording->capture = stream->capture;
  recording->frontier = stream->frontier;
  event->recording = recording;
  if (stream->capture) return record(stream->capture->invalid ? cudaErrorStreamCaptureInvalidated : cudaSuccess);
  return record(submit(handle, Work{"event", nullptr, [recording] {
                                      recording->done = true;
                                      recording->time = std::chrono::steady_clock::now().time_since_epoch().count();
                                      recording->stream.reset();
                                    }}));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned int) {
  const Guard guard = lock();
  const auto stream = stream_of(handle);
  if (!stream || !event_exists(event)) return record(cudaErrorInvalidResourceHandle);
  const auto recording = event->recording;
  if (!recording) return record(cudaSuccess);  // an event never recorded holds nobody up
  if (recording->capture) {
    if (stream->capture && stream->capture != recording->capture) {
      stream->capture->invalid = recording->capture->invalid = true;
      return record(cudaErrorStreamCaptureMerge);
    }
    stream->capture = recording->capture;
    merge(stream->frontier, recording->frontier);
    return record(cudaSuccess);
  }
  if (stream->capture) {
    stream->capture->invalid = true;
    return record(cudaErrorStreamCaptureIsolation);
  }
  return record(submit(handle, Work{"wait for an event", nullptr, [recording] { complete(recording); }}));
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Guard guard = lock();
  if (!event_exists(event)) return record(cudaErrorInvalidResourceHandle);
  const auto recording = event->recording;
  if (recording && recording->capture) return record(cudaErrorCapturedEvent);
  if (const auto error = unsafe_in_capture()) return record(error);  // whichever event it is
  if (!recording || recording->done) return record(cudaSuccess);
  run_one(recording->stream);
  return record(cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Guard guard = lock();
  if (!event_exists(event)) return record(cudaErrorInvalidResourceHandle);
  const auto recording = event->recording;
  if (recording && recording->capture) return record(cudaErrorCapturedEvent);
  if (recording) complete(recording);
  return record(cudaSuccess);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const Guard guard = lock();
  if (!event_exists(start) || !event_exists(end) || !start->recording || !end->recording) return record(cudaErrorInvalidResourceHandle);
  if (((start->flags | end->flags) & cudaEventDisableTiming) != 0) return record(cudaErrorInvalidResourceHandle);
  if (!start->recording->done || !end->recording->done) return record(cudaErrorNotReady);
  *milliseconds = static_cast<float>(end->recording->time - start->recording->time) * 1e-6f;
  return record(cudaSuccess);
}

}  // extern "C"

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventCreate(cudaEvent_t* event, unsigned int flags) {
  return cudaEventCreateWithFlags(event, flags);
}
