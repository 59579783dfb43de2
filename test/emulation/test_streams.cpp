// The emulation's streams, events, graphs and memory.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <thread>

#include "emulation/emulation_fixture.hpp"
#include "emulation/kernels/kernels.hpp"

using strata::test::Device;
using strata::test::DeviceArray;
using strata::test::report_to_stderr;

namespace {

// One float in pinned memory.
struct Pinned {
  float* data = nullptr;
  Pinned() { EXPECT_EQ(cudaMallocHost(&data, sizeof(float)), cudaSuccess); }
  ~Pinned() { EXPECT_EQ(cudaFreeHost(data), cudaSuccess); }
  void fetch(const float* from, cudaStream_t stream) const {
    EXPECT_EQ(cudaMemcpyAsync(data, from, sizeof(float), cudaMemcpyDeviceToHost, stream), cudaSuccess);
  }
};

struct Event {
  cudaEvent_t event = nullptr;
  explicit Event(unsigned flags = cudaEventDisableTiming) { EXPECT_EQ(cudaEventCreateWithFlags(&event, flags), cudaSuccess); }
  ~Event() { EXPECT_EQ(cudaEventDestroy(event), cudaSuccess); }
};

}  // namespace

TEST(EmulatedStreams, NothingHappensBeforeSomethingWaits) {
  Device device;
  const DeviceArray<float> x(device, std::vector<float>{3.0f});
  const Pinned y;
  *y.data = -1.0f;

  kernels::scale(x, 2.0f, 1, device.stream);
  y.fetch(x, device.stream);

  EXPECT_EQ(*y.data, -1.0f);
  EXPECT_EQ(cudaStreamQuery(device.stream), cudaErrorNotReady);  // the copy to the device
  EXPECT_EQ(cudaStreamQuery(device.stream), cudaErrorNotReady);  // the kernel
  EXPECT_EQ(*y.data, -1.0f);
  EXPECT_EQ(cudaStreamSynchronize(device.stream), cudaSuccess);
  EXPECT_EQ(*y.data, 6.0f);
  EXPECT_EQ(cudaStreamQuery(device.stream), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST(EmulatedStreams, EventsOrderStreams) {
  Device first, second;
  const DeviceArray<float> x(first, std::vector<float>{3.0f});
  const Pinned y;
  const Event event;
  kernels::scale(x, 2.0f, 1, first.stream);
  EXPECT_EQ(cudaEventRecord(event.event, first.stream), cudaSuccess);
  kernels::scale(x, 10.0f, 1, first.stream);  // behind the event: not waited for

  EXPECT_EQ(cudaEventQuery(event.event), cudaErrorNotReady);
  EXPECT_EQ(cudaStreamWaitEvent(second.stream, event.event), cudaSuccess);
  y.fetch(x, second.stream);
  EXPECT_EQ(cudaStreamSynchronize(second.stream), cudaSuccess);

  EXPECT_EQ(*y.data, 6.0f);
  EXPECT_EQ(cudaEventQuery(event.event), cudaSuccess);
}

TEST(EmulatedStreams, AForgottenEventShows) {
  Device first, second;
  const DeviceArray<float> x(first, std::vector<float>{3.0f});
  EXPECT_EQ(cudaStreamSynchronize(first.stream), cudaSuccess);
  const Pinned y;

  kernels::scale(x, 2.0f, 1, first.stream);
  y.fetch(x, second.stream);
  EXPECT_EQ(cudaStreamSynchronize(second.stream), cudaSuccess);

  EXPECT_EQ(*y.data, 3.0f);
}

// With STRATA_EMULATION_AHEAD, for which it is run once more (tests.cmake).
TEST(EmulatedAhead, StreamsComeOnByThemselves) {
  if (std::getenv("STRATA_EMULATION_AHEAD") == nullptr) GTEST_SKIP() << "STRATA_EMULATION_AHEAD is not set";
  Device first, second;
  const DeviceArray<float> x(first, std::vector<float>{1.0f});
  EXPECT_EQ(cudaStreamSynchronize(first.stream), cudaSuccess);
  const Pinned y, z;
  const Event event;
  *y.data = -1.0f, *z.data = -1.0f;

  y.fetch(x, first.stream);
  EXPECT_EQ(cudaEventRecord(event.event, first.stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(second.stream, event.event), cudaSuccess);
  bool ahead = false;
  for (int i = 0; i < 200; ++i) {
    z.fetch(x, second.stream);
    ahead = ahead || *y.data == 1.0f;
    EXPECT_TRUE(*z.data == -1.0f || *y.data == 1.0f) << "an event holds up who is ahead, too";
  }

  EXPECT_TRUE(ahead);
}

TEST(EmulatedStreams, HostFunctionsAndTimes) {
  Device device;
  const Event start(cudaEventDefault), end(cudaEventDefault);
  int calls = 0;
  EXPECT_EQ(cudaEventRecord(start.event, device.stream), cudaSuccess);
  EXPECT_EQ(cudaLaunchHostFunc(
                device.stream, [](void* data) { ++*static_cast<int*>(data); }, &calls),
            cudaSuccess);
  EXPECT_EQ(cudaEventRecord(end.event, device.stream), cudaSuccess);
  float milliseconds = -1.0f;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start.event, end.event), cudaErrorNotReady);

  EXPECT_EQ(cudaEventSynchronize(end.event), cudaSuccess);

  EXPECT_EQ(calls, 1);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start.event, end.event), cudaSuccess);
  EXPECT_GE(milliseconds, 0.0f);
}

TEST(EmulatedStreams, PageableMemoryIsReadAtTheCall) {
  Device device;
  std::vector<float> pageable{3.0f};
  const Pinned pinned;
  *pinned.data = 3.0f;
  const DeviceArray<float> from_pageable(device, pageable), from_pinned(device, 1);
  EXPECT_EQ(cudaMemcpyAsync(from_pinned, pinned.data, sizeof(float), cudaMemcpyHostToDevice, device.stream), cudaSuccess);
  pageable[0] = *pinned.data = 4.0f;

  EXPECT_EQ(from_pageable.read()[0], 3.0f);
  EXPECT_EQ(from_pinned.read()[0], 4.0f);
}

TEST(EmulatedStreams, CopiesAreChecked) {
  Device device;
  const DeviceArray<float> x(device, 4);
  float host[8] = {};
  EXPECT_EQ(cudaMemcpyAsync(x, host, 5 * sizeof(float), cudaMemcpyHostToDevice, device.stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(x, host, sizeof(float), cudaMemcpyDeviceToHost, device.stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(x, 0, 5 * sizeof(float), device.stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(x, 0, 4 * sizeof(float)), cudaSuccess);
  EXPECT_EQ(cudaMemcpy2DAsync(x, 8, host, 16, 8, 2, cudaMemcpyHostToDevice, device.stream), cudaSuccess);
  EXPECT_STREQ(cudaGetErrorString(cudaErrorInvalidValue), "invalid argument");
}

TEST(EmulatedGraphs, ReplayAndUpdate) {
  Device device, other;
  const DeviceArray<float> x(device, std::vector<float>{1.0f}), y(device, std::vector<float>{1.0f});
  EXPECT_EQ(cudaStreamSynchronize(device.stream), cudaSuccess);
  const Event fork, join;
  const auto capture = [&](float factor) {
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    kernels::scale(x, factor, 1, device.stream);
    EXPECT_EQ(cudaEventRecord(fork.event, device.stream), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(other.stream, fork.event), cudaSuccess);
    kernels::scale(y, factor, 1, other.stream);
    EXPECT_EQ(cudaEventRecord(join.event, other.stream), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(device.stream, join.event), cudaSuccess);
    kernels::scale(x, factor, 1, device.stream);
    EXPECT_EQ(cudaStreamEndCapture(device.stream, &graph), cudaSuccess);
    return graph;
  };
  cudaGraphExec_t exec = nullptr;
  const auto doubled = capture(2.0f), tripled = capture(3.0f);

  EXPECT_EQ(cudaGraphInstantiate(&exec, doubled, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, device.stream), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, device.stream), cudaSuccess);
  EXPECT_EQ(x.read()[0], 16.0f);
  EXPECT_EQ(y.read()[0], 4.0f);
  cudaGraphExecUpdateResultInfo info;
  EXPECT_EQ(cudaGraphExecUpdate(exec, tripled, &info), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, device.stream), cudaSuccess);
  EXPECT_EQ(x.read()[0], 144.0f);

  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(doubled), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(tripled), cudaSuccess);
}

TEST(EmulatedGraphs, WhatACaptureForbids) {
  Device device, other;
  const Event fork;
  cudaGraph_t graph = nullptr;
  const DeviceArray<float> x(device, 1);
  EXPECT_EQ(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(device.stream), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(device.stream, &graph), cudaErrorStreamCaptureInvalidated);

  EXPECT_EQ(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(fork.event, device.stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(other.stream, fork.event), cudaSuccess);
  kernels::scale(x, 1.0f, 1, other.stream);
  EXPECT_EQ(cudaStreamEndCapture(device.stream, &graph), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph, nullptr);
}

// CUDA refuses no copy of ordinary memory: a graph looks there at each launch.
TEST(EmulatedGraphs, ACaptureTakesCopiesOfOrdinaryMemory) {
  Device device;
  const DeviceArray<float> x(device, std::vector<float>{1.0f});
  std::vector<float> ordinary{2.0f};
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(x, ordinary.data(), sizeof(float), cudaMemcpyDefault, device.stream), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(device.stream, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  ordinary[0] = 3.0f;
  EXPECT_EQ(x.read()[0], 1.0f);
  EXPECT_EQ(cudaGraphLaunch(exec, device.stream), cudaSuccess);
  EXPECT_EQ(x.read()[0], 3.0f);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

// Also of an event that has nothing to do with the capture, and is long done.
TEST(EmulatedGraphs, ACaptureForbidsToAskAboutEvents) {
  Device device, other;
  const Event event;
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaEventRecord(event.event, other.stream), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(event.event), cudaSuccess);
  EXPECT_EQ(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  std::thread([&] { EXPECT_EQ(cudaEventQuery(event.event), cudaSuccess); }).join();
  EXPECT_EQ(cudaEventQuery(event.event), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(device.stream, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaEventQuery(event.event), cudaSuccess);
}

// Another thread may go on with its work; the one that captures may not, and it alone can end the capture.
TEST(EmulatedGraphs, AThreadLocalCaptureBindsItsThreadAlone) {
  Device device;
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  void *theirs = nullptr, *ours = nullptr;
  std::thread([&] { EXPECT_EQ(cudaMalloc(&theirs, 16), cudaSuccess); }).join();
  EXPECT_EQ(cudaMalloc(&ours, 16), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(device.stream, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaFree(theirs), cudaSuccess);

  EXPECT_EQ(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  std::thread([&] { EXPECT_EQ(cudaStreamEndCapture(device.stream, &graph), cudaErrorStreamCaptureWrongThread); }).join();
  EXPECT_EQ(cudaStreamEndCapture(device.stream, &graph), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(graph, nullptr);
}

TEST(EmulatedMemory, FreshMemoryIsPoisonAndBounded) {
  Device device;
  std::size_t free = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  const DeviceArray<float> x(device, 100);
  std::size_t now = 0;
  EXPECT_EQ(cudaMemGetInfo(&now, &total), cudaSuccess);
  EXPECT_EQ(free - now, 512u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(static_cast<float*>(x)) % 256, 0u);
  for (const float value : x.read()) EXPECT_TRUE(std::isnan(value));
  void* too_much = nullptr;
  EXPECT_EQ(cudaMalloc(&too_much, total + 1), cudaErrorMemoryAllocation);
}

TEST(EmulatedMemoryDeathTest, DeviceMemoryIsClosedToTheHost) {
  EXPECT_DEATH(
      {
        report_to_stderr();
        Device device;
        const DeviceArray<float> x(device, std::vector<float>(100, 1.0f));
        x.read();
        x[3] = 1.0f;
      },
      "host code touched device memory at offset 12 of device allocation [0-9]+ \\(400 bytes\\)");
}

TEST(EmulatedMemoryDeathTest, KernelsOutOfBounds) {
  const auto write = [](long index) {
    report_to_stderr();
    Device device;
    const DeviceArray<float> x(device, 64);
    kernels::write_at(x, index, device.stream);
    x.read();
  };
  EXPECT_DEATH(
      write(64),
      "a kernel touched offset 256 of device allocation(.|\n)*write_kernel.*, block \\(0,0,0\\), thread \\(0,0,0\\)|AddressSanitizer");
  EXPECT_DEATH(write(-2000), "a kernel touched offset -8000 of device allocation|AddressSanitizer");
  EXPECT_DEATH(write(-1), "wrote just before the start of device allocation|AddressSanitizer");
}

TEST(EmulatedMemoryDeathTest, TheLegacyStreamIsRefused) {
  EXPECT_DEATH(cudaStreamSynchronize(nullptr), "legacy default stream");
}
