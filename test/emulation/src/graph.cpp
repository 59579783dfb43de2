// CUDA graphs: what a capture gathered, done again at every launch in an order that its edges allow and the seed draws.
#include <algorithm>
#include <cstdlib>

#include "emulation/host_calls.hpp"
#include "errors.hpp"
#include "memory.hpp"
#include "random.hpp"
#include "stream.hpp"

struct CUgraph_st {
  std::vector<emulation::Node> nodes;
};
struct CUgraphExec_st {
  std::vector<emulation::Node> nodes;
};

using namespace emulation;

namespace {

// An order in which every node comes after those it has to come after.
void run_nodes(const std::vector<Node>& nodes) {
  static std::uint64_t number = 0;
  Random random(seed() + 7919 * ++number);
  std::vector<std::size_t> open(nodes.size()), ready;
  std::vector<std::vector<std::size_t>> next(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    open[i] = nodes[i].after.size();
    for (const std::size_t before : nodes[i].after) next[before].push_back(i);
    if (open[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    std::swap(ready[random.below(ready.size())], ready.back());
    const std::size_t node = ready.back();
    ready.pop_back();
    nodes[node].work.run();
    for (const std::size_t after : next[node]) {
      if (--open[after] == 0) ready.push_back(after);
    }
  }
}

// Graphs that the device has room for.
long& graphs_left() {
  static long left = [] {
    const char* const text = std::getenv("STRATA_EMULATION_GRAPHS");
    return text == nullptr ? 1000000L : std::atol(text);
  }();
  return left;
}

// Has the stream where the capture began waited for everything captured?
bool joined(const Capture& capture, const std::vector<std::size_t>& frontier) {
  std::vector<bool> has_next(capture.nodes.size(), false);
  for (const Node& node : capture.nodes) {
    for (const std::size_t before : node.after) has_next[before] = true;
  }
  for (std::size_t i = 0; i < has_next.size(); ++i) {
    if (!has_next[i] && std::find(frontier.begin(), frontier.end(), i) == frontier.end()) return false;
  }
  return true;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const Guard guard = lock();
  if (is_capturing(stream)) return record(cudaErrorIllegalState);
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream;
  stream->capture->mode = mode;
  stream->frontier.clear();
  return record(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Guard guard = lock();
  *graph = nullptr;
  if (!is_capturing(stream)) return record(cudaErrorIllegalState);
  const auto capture = stream->capture;
  if (capture->origin != stream) {
    capture->invalid = true;
    return record(cudaErrorStreamCaptureUnmatched);
  }
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id()) {
    capture->invalid = true;
    return record(cudaErrorStreamCaptureWrongThread);
  }
  const bool whole = joined(*capture, stream->frontier);
  end_capture(capture);
  if (capture->invalid) return record(cudaErrorStreamCaptureInvalidated);
  if (!whole) return record(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st{capture->nodes};
  return record(cudaSuccess);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Guard guard = lock();
  *status = !is_capturing(stream)      ? cudaStreamCaptureStatusNone
            : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                       : cudaStreamCaptureStatusActive;
  return record(cudaSuccess);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  const Guard guard = lock();
  if (graph == nullptr) return record(cudaErrorInvalidValue);
  if (graphs_left() == 0) return record(cudaErrorMemoryAllocation);
  --graphs_left();
  *exec = new CUgraphExec_st{graph->nodes};
  return record(cudaSuccess);
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags) {
  return cudaGraphInstantiate(exec, graph, flags);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  const Guard guard = lock();
  if (graph == nullptr || nodes != nullptr) return record(cudaErrorInvalidValue);  // here only to be counted
  *count = graph->nodes.size();
  return record(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const Guard guard = lock();
  if (exec == nullptr) return record(cudaErrorInvalidValue);
  return record(submit(stream, Work{"graph", nullptr, [nodes = exec->nodes] { run_nodes(nodes); }}));
}
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t) {
  return record(exec == nullptr ? cudaErrorInvalidValue : cudaSuccess);
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  const Guard guard = lock();
  if (exec == nullptr || graph == nullptr) return record(cudaErrorInvalidValue);
  auto result = exec->nodes.size() == graph->nodes.size() ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
  for (std::size_t i = 0; i < exec->nodes.size() && result == cudaGraphExecUpdateSuccess; ++i) {
    const Node& a = exec->nodes[i];
    const Node& b = graph->nodes[i];
    if (a.after != b.after)
      result = cudaGraphExecUpdateErrorTopologyChanged;
    else if (a.work.kernel != b.work.kernel)
      result = cudaGraphExecUpdateErrorFunctionChanged;
    else if (a.work.name != b.work.name)
      result = cudaGraphExecUpdateErrorNodeTypeChanged;
  }
  if (info != nullptr) *info = {result, nullptr, nullptr};
  if (result != cudaGraphExecUpdateSuccess) return record(cudaErrorGraphExecUpdateFailure);
  exec->nodes = graph->nodes;
  return record(cudaSuccess);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const Guard guard = lock();
  delete graph;
  return record(cudaSuccess);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const Guard guard = lock();
  ++graphs_left();
  delete exec;
  return record(cudaSuccess);
}

}  // extern "C"
