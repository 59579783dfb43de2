// NCCL: groups of operations on a stream of their own, never waited for, only asked about.
#include "comm/cuda/link.hpp"

#include <cuda_runtime.h>

#include <chrono>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "device/cuda/check.cuh"

#ifdef STRATA_WITH_NCCL
#include <nccl.h>
#endif

namespace strata::cuda {

std::string bus_name(Gpu& gpu) {
  char name[32] = {};
  check(cudaDeviceGetPCIBusId(name, sizeof name, gpu.facts().device), "asking which GPU this is");
  return name;
}

#ifndef STRATA_WITH_NCCL

std::string nccl_version() {
  return "";
}

#else

namespace {

constexpr auto patience = std::chrono::seconds(10);  // for an orderly end
constexpr auto most_wait = std::chrono::seconds(2);  // of abort()

std::string reason(ncclResult_t result, ncclComm_t comm) {
  const char* const more = ncclGetLastError(comm);
  return text(ncclGetErrorString(result), more && *more ? text(" (", more, ")") : "");
}

void require(ncclResult_t result, const char* doing) {
  if (result != ncclSuccess) throw CommError(text("NCCL: ", doing, ": ", reason(result, nullptr)));
}

ncclDataType_t type_of(DType type) {
  STRATA_ASSERT(type == DType::f32 || type == DType::f64, "NCCL is not asked for sums of ", name_of(type));
  return type == DType::f32 ? ncclFloat32 : ncclFloat64;
}

class NcclLink final : public GpuLink {
 public:
  NcclLink(Gpu& gpu, const LinkId& id, int rank, int ranks) : gpu_(gpu), device_(gpu.facts().device) {
    enter();
    int least = 0, greatest = 0;
    check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "asking for priorities");
    // Before ops that wait in the GPU: others depend on what is sent.
    check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, greatest), "making a stream");
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclUniqueId unique;
    static_assert(sizeof unique == sizeof id);
    std::memcpy(&unique, &id, sizeof id);
    const ncclResult_t result = ncclCommInitRankConfig(&comm_, ranks, unique, rank, &config);
    if (result != ncclSuccess && result != ncclInProgress) fail("joining the ranks", result);
  }

  ~NcclLink() override {
    if (cudaSetDevice(device_) != cudaSuccess) return;
    if (comm_) std::uncaught_exceptions() == 0 && groups_.empty() && finalized() ? ncclCommDestroy(comm_) : ncclCommAbort(comm_);
    for (const cudaEvent_t event : events_) cudaEventDestroy(event);
    cudaStreamDestroy(stream_);
  }
  NcclLink(const NcclLink&) = delete;
  NcclLink& operator=(const NcclLink&) = delete;

  bool ready() override {
    const std::scoped_lock lock(mutex_);
    enter();
    return settled("joining the ranks");
  }

  void* mark() override {
    enter();
    const cudaEvent_t event = take_event();
    check(cudaEventRecord(event, static_cast<cudaStream_t>(gpu_.queue())), "marking the queue");
    return event;
  }

  std::uint64_t launch(std::vector<LinkOp> group, std::vector<void*> after) override {
    const std::scoped_lock lock(mutex_);
    groups_.push_back({std::move(group), std::move(after), State::waiting, nullptr});
    move_on();
    return begun_++;
  }

  bool done(std::uint64_t group) override {
    const std::scoped_lock lock(mutex_);
    if (group >= ended_) move_on();
    return group < ended_;
  }

  void abort() override {
    const std::unique_lock lock(mutex_, most_wait);
    if (!lock || !comm_ || cudaSetDevice(device_) != cudaSuccess) return;
    ncclCommAbort(std::exchange(comm_, nullptr));
  }

 private:
  enum class State { waiting, entering, running };
  struct Group {
    std::vector<LinkOp> ops;
    std::vector<void*> after;
    State state;
    cudaEvent_t end;
  };

  void enter() const { check(cudaSetDevice(device_), "choosing the GPU"); }

  // NCCL does nothing in the background: all is on the stream, or over.
  bool settled(const char* doing) {
    if (!comm_) throw CommError("NCCL was given up after an error");
    ncclResult_t state = ncclSuccess;
    const ncclResult_t result = ncclCommGetAsyncError(comm_, &state);
    if (result != ncclSuccess) fail(doing, result);
    if (state != ncclSuccess && state != ncclInProgress) fail(doing, state);
    return state == ncclSuccess;
  }

  bool finalized() const {
    if (!quiet()) return false;
    const ncclResult_t result = ncclCommFinalize(comm_);
    return (result == ncclSuccess || result == ncclInProgress) && quiet();
  }

  // The same as settled(), where an error is no news any more.
  bool quiet() const {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
      ncclResult_t state = ncclSuccess;
      if (ncclCommGetAsyncError(comm_, &state) != ncclSuccess || (state != ncclSuccess && state != ncclInProgress)) return false;
      if (state == ncclSuccess) return true;
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
  }

  // Kernels that wait for a rank that is gone end by this alone.
  [[noreturn]] void fail(const char* doing, ncclResult_t result) {
    const std::string why = text("NCCL: ", doing, ": ", reason(result, comm_));
    if (comm_) ncclCommAbort(std::exchange(comm_, nullptr));
    throw CommError(why);
  }

  // One group after another is given to the stream, each when NCCL has taken the one before.
  void move_on() {
    enter();
    const bool free = settled("moving data between GPUs");
    for (Group& group : groups_) {
      if (group.state == State::running) continue;
      if (!free) break;
      if (group.state == State::entering) {
        group.end = take_event();
        check(cudaEventRecord(group.end, stream_), "marking NCCL's stream");
        group.state = State::running;
        continue;
      }
      give(group);
      break;
    }
    while (!groups_.empty() && groups_.front().state == State::running) {
      const cudaError_t over = cudaEventQuery(groups_.front().end);
      if (over == cudaErrorNotReady) {
        cudaGetLastError();  // no error, and none for whoever asks next
        break;
      }
      check(over, "moving data between GPUs");
      events_.push_back(groups_.front().end);
      groups_.pop_front();
      ++ended_;
    }
  }

  void give(Group& group) {
    for (void* mark : group.after) {
      const auto event = static_cast<cudaEvent_t>(mark);
      check(cudaStreamWaitEvent(stream_, event, 0), "waiting for the queue");
      events_.push_back(event);
    }
    group.after.clear();
    ncclResult_t result = ncclGroupStart();
    for (const LinkOp& op : group.ops)
      if (result == ncclSuccess || result == ncclInProgress) result = give(op);
    // The thread's group is ended in any case: what it holds open, an abort would become a part of.
    const ncclResult_t ended = ncclGroupEnd();
    if (result != ncclSuccess && result != ncclInProgress) fail("asking for a transfer", result);
    result = ended;
    if (result != ncclSuccess && result != ncclInProgress) fail("beginning a transfer", result);
    group.state = State::entering;
  }

  ncclResult_t give(const LinkOp& op) {
    switch (op.kind) {
      case LinkOp::send:
        return ncclSend(op.from, op.count, ncclInt8, op.peer, comm_, stream_);
      case LinkOp::receive:
        return ncclRecv(op.to, op.count, ncclInt8, op.peer, comm_, stream_);
      case LinkOp::all_reduce:
        return ncclAllReduce(op.from, op.to, op.count, type_of(op.type), ncclSum, comm_, stream_);
      case LinkOp::reduce_scatter:
        return ncclReduceScatter(op.from, op.to, op.count, type_of(op.type), ncclSum, comm_, stream_);
      default:
        return ncclReduce(op.from, op.to, op.count, type_of(op.type), ncclSum, op.peer, comm_, stream_);
    }
  }

  cudaEvent_t take_event() {
    cudaEvent_t event = nullptr;
    if (events_.empty()) {
      check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
    } else {
      event = events_.back();
      events_.pop_back();
    }
    return event;
  }

  Gpu& gpu_;
  int device_;              // abort() may outlive the GPU
  std::timed_mutex mutex_;  // of comm_, which abort() takes away
  ncclComm_t comm_ = nullptr;
  cudaStream_t stream_ = nullptr;
  std::deque<Group> groups_;  // oldest first
  std::uint64_t begun_ = 0, ended_ = 0;
  std::vector<cudaEvent_t> events_;  // to be used again
};

}  // namespace

std::string nccl_version() {
  int version = 0;
  require(ncclGetVersion(&version), "asking for its version");
  return text("NCCL ", version / 10000, ".", version % 10000 / 100, ".", version % 100);
}

void new_link_id(LinkId& id) {
  ncclUniqueId unique;
  require(ncclGetUniqueId(&unique), "making an id");
  std::memcpy(&id, &unique, sizeof id);
}

GpuLink* open_link(Gpu& gpu, const LinkId& id, int rank, int ranks) {
  return new NcclLink(gpu, id, rank, ranks);
}

#endif

}  // namespace strata::cuda
