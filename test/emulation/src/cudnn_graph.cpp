// Graphs of the emulated cuDNN: what it asks of one, the stages to a plan, and the plan's way to the stream.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cudnn.hpp"
#include "emulation/run.hpp"
#include "stream.hpp"

namespace cudnn_frontend {
namespace {

std::int64_t setting(const char* name, std::int64_t otherwise) {
  const char* const text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

error_t bad(error_code_t code, const std::string& what) {
  return {code, "[cudnn_frontend] Error: " + what};
}

std::int64_t padded(std::int64_t rows, std::int64_t to) {
  return (rows + to - 1) / to * to;
}

std::size_t size_of(DataType_t type) {
  return type == DataType_t::HALF || type == DataType_t::BFLOAT16 ? 2 : 4;
}

// From its first element to the end of its last.
std::size_t bytes_of(const graph::Tensor_attributes& tensor) {
  std::int64_t last = 0;
  const auto sizes = tensor.get_dim(), strides = tensor.get_stride();
  for (std::size_t i = 0; i < sizes.size(); ++i) last += (sizes[i] - 1) * strides[i];
  return static_cast<std::size_t>(last + 1) * size_of(tensor.get_data_type());
}

}  // namespace

namespace detail {

std::size_t get_backend_version() {
  return static_cast<std::size_t>(setting("STRATA_EMULATION_CUDNN", 92800));
}

cudnnStatus_t create_handle(cudnnHandle_t* handle) {
  if (emulation::unsafe_in_capture() != cudaSuccess) return CUDNN_STATUS_BAD_PARAM;
  *handle = new cudnnContext;
  return cudaGetDevice(&(*handle)->device) == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

cudnnStatus_t destroy_handle(cudnnHandle_t handle) {
  return delete handle, CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t set_stream(cudnnHandle_t handle, cudaStream_t stream) {
  if (!handle || !stream) return CUDNN_STATUS_BAD_PARAM;
  return handle->stream = stream, CUDNN_STATUS_SUCCESS;
}

void get_last_error_string(char* message, std::size_t size) {
  std::strncpy(message, "emulated", size);
}

}  // namespace detail

namespace graph {

template <class Self>
void Graph::take(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions<Self>& options) {
  ++nodes_;
  what_.q = q, what_.k = k, what_.v = v;
  what_.scale = options.scale_, what_.causal = options.causal_, what_.padding = options.padding_;
  what_.query_lengths = options.query_lengths_, what_.key_lengths = options.key_lengths_;
}

std::array<Tensor, 2> Graph::sdpa(const Tensor& q, const Tensor& k, const Tensor& v, const SDPA_attributes& options) {
  take(q, k, v, options);
  what_.o = std::make_shared<Tensor_attributes>();
  if (options.generate_stats_) what_.lse = std::make_shared<Tensor_attributes>();
  return {what_.o, what_.lse};
}

std::array<Tensor, 3> Graph::sdpa_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& dout,
                                           const Tensor& lse, const SDPA_backward_attributes& options) {
  take(q, k, v, options);
  what_.backward = true, what_.deterministic = options.deterministic_, what_.o = o, what_.dout = dout, what_.lse = lse;
  for (Tensor* made : {&what_.dq, &what_.dk, &what_.dv}) *made = std::make_shared<Tensor_attributes>();
  return {what_.dq, what_.dk, what_.dv};
}

std::vector<Tensor> Graph::tensors() const {
  std::vector<Tensor> all;
  for (const Tensor& tensor :
       {what_.q, what_.k, what_.v, what_.o, what_.lse, what_.query_lengths, what_.key_lengths, what_.dout, what_.dq, what_.dk, what_.dv})
    if (tensor) all.push_back(tensor);
  return all;
}

// What cuDNN says of a graph before it looks for an engine.
error_t Graph::refusal() const {
  if (nodes_ != 1) return bad(error_code_t::GRAPH_NOT_SUPPORTED, "the emulation knows graphs of one attention");
  if (sm_ == 0) return bad(error_code_t::CUDNN_BACKEND_API_FAILED, "the compute capability was not set before the graph's nodes");
  if (io_ == DataType_t::NOT_SET || between_ != DataType_t::FLOAT || compute_ != DataType_t::FLOAT)
    return bad(error_code_t::ATTRIBUTE_NOT_SET, "data types of the graph, expected those of 16 bits and FLOAT between");
  std::vector<std::int64_t> uids;
  for (const Tensor& tensor : tensors()) {
    if (tensor->get_dim().size() != 4 || tensor->get_stride().size() != 4 || tensor->get_data_type() == DataType_t::NOT_SET)
      return bad(error_code_t::ATTRIBUTE_NOT_SET, "sizes, strides or type of " + tensor->get_name());
    if (tensor->get_stride()[3] != 1) return bad(error_code_t::GRAPH_NOT_SUPPORTED, "The stride for the last dimension should be 1");
    uids.push_back(tensor->get_uid());
  }
  std::sort(uids.begin(), uids.end());
  if (uids.front() == 0 || std::adjacent_find(uids.begin(), uids.end()) != uids.end())
    return bad(error_code_t::INVALID_VALUE, "uids are missing, or there twice");
  if (what_.padding != (what_.query_lengths != nullptr) || what_.padding != (what_.key_lengths != nullptr))
    return bad(error_code_t::ATTRIBUTE_NOT_SET, "Padding mask requires seq_len_q and seq_len_kv to be set.");
  const auto q = what_.q->get_dim(), k = what_.k->get_dim();
  if (what_.backward && q[2] == 1 && k[2] == 1) return bad(error_code_t::GRAPH_NOT_SUPPORTED, "s_q = s_kv = 1 is not supported.");
  if (q[3] > 128 || q[3] % 8 != 0)
    return bad(error_code_t::GRAPH_NOT_SUPPORTED, "hidden_dim should be less than or equal to 128 and multiple of 8");
  if (q[1] % k[1] != 0) return bad(error_code_t::GRAPH_NOT_SUPPORTED, "heads of key must be a factor of those of query");
  return {};
}

error_t Graph::validate() {
  const error_t result = refusal();
  return stage_ = result.is_good() ? 1 : 0, result;
}

error_t Graph::build_operation_graph(cudnnHandle_t handle) {
  if (stage_ != 1 || !handle) return bad(error_code_t::INVALID_VALUE, "build_operation_graph before validate, or without a handle");
  return stage_ = 2, error_t{};
}

// The sizes of cuDNN 9.28 on sm_90: gradients of scores, D, and dk and dv of each query head where heads are grouped.
error_t Graph::create_execution_plans(const std::vector<HeurMode_t>& modes) {
  if (stage_ != 2 || modes.empty()) return bad(error_code_t::INVALID_VALUE, "create_execution_plans before build_operation_graph");
  const auto q = what_.q->get_dim();
  const std::int64_t heads = q[0] * q[1], grouped = what_.k->get_dim()[1] < q[1] ? 4 * heads * q[2] * q[3] : 0;
  workspace_ = 16;
  if (what_.backward) workspace_ = 2 * heads * padded(q[2], 64) * padded(q[2], 128) + 4 * heads * q[2] + grouped;
  workspace_ += setting("STRATA_EMULATION_CUDNN_WORKSPACE", 0);
  return stage_ = 3, error_t{};
}

Graph& Graph::deselect_numeric_notes(const std::vector<NumericalNote_t>& notes) {
  repeats_only_ = std::count(notes.begin(), notes.end(), NumericalNote_t::NONDETERMINISTIC) > 0;
  return *this;
}

error_t Graph::check_support() {
  if (stage_ != 3) return bad(error_code_t::INVALID_VALUE, "check_support before create_execution_plans");
  if ((repeats_only_ && !what_.deterministic) || workspace_ > most_workspace_)
    return bad(error_code_t::GRAPH_NOT_SUPPORTED, "No execution plans support the graph.");
  return stage_ = 4, error_t{};
}

error_t Graph::build_plans() {
  if (stage_ != 4) return bad(error_code_t::INVALID_VALUE, "build_plans before check_support");
  // Kernels are loaded.
  if (emulation::unsafe_in_capture() != cudaSuccess) return bad(error_code_t::CUDNN_BACKEND_API_FAILED, "build_plans while capturing");
  return stage_ = 5, error_t{};
}

error_t Graph::execute(cudnnHandle_t handle, std::unordered_map<std::int64_t, void*>& given, void* workspace) const {
  int device = -1;
  if (stage_ != 5 || !handle || !handle->stream || cudaGetDevice(&device) != cudaSuccess || device != handle->device)
    return bad(error_code_t::INVALID_VALUE, "execute without plans, without a stream, or on another device");
  for (const Tensor& tensor : tensors()) {
    const auto found = given.find(tensor->get_uid());
    if (found == given.end() || !emulation::is_device_memory(found->second, bytes_of(*tensor)))
      return bad(error_code_t::INVALID_VALUE, tensor->get_name() + " is not given, or does not lie in one allocation of device memory");
    if (reinterpret_cast<std::uintptr_t>(found->second) % (size_of(tensor->get_data_type()) == 2 ? 16 : 4) != 0)
      return bad(error_code_t::INVALID_VALUE, tensor->get_name() + " is not aligned");
  }
  const auto bytes = static_cast<std::size_t>(workspace_);
  if (reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0 || !emulation::is_device_memory(workspace, bytes))
    return bad(error_code_t::INVALID_VALUE, "the workspace is not aligned, or not all there");
  static int calls = 0;
  const int call = ++calls;
  const cudaError_t error = emulation::enqueue_work("cuDNN's attention", handle->stream, [what = what_, given, workspace, bytes, call] {
    std::memset(workspace, 0xff, bytes);
    emulation::compute(what, given, call);
  });
  return error == cudaSuccess ? error_t{} : bad(error_code_t::CUDNN_BACKEND_API_FAILED, "the stream takes no work");
}

}  // namespace graph
}  // namespace cudnn_frontend
