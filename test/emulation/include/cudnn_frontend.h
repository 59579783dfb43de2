// cuDNN's frontend on the emulation, as far as Strata uses it: one graph of one attention, forward or backward. Names and meanings as in
// cudnn-frontend 1.32; a graph is computed by loops on the host.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cuda_runtime.h"

using cudnnHandle_t = struct cudnnContext*;
enum cudnnStatus_t { CUDNN_STATUS_SUCCESS = 0, CUDNN_STATUS_BAD_PARAM = 2000 };

namespace cudnn_frontend {

extern void* cudnn_dlhandle;  // the caller's

enum class DataType_t { NOT_SET, FLOAT, DOUBLE, HALF, INT8, INT32, INT64, BFLOAT16 };
enum class HeurMode_t { A, B, FALLBACK };
enum class NumericalNote_t { NOT_SET, TENSOR_CORE, NONDETERMINISTIC };
enum class error_code_t { OK, ATTRIBUTE_NOT_SET, SHAPE_DEDUCTION_FAILED, INVALID_VALUE, GRAPH_NOT_SUPPORTED, CUDNN_BACKEND_API_FAILED };

struct [[nodiscard]] error_object {
  error_code_t code = error_code_t::OK;
  std::string err_msg;
  bool is_good() const { return code == error_code_t::OK; }
  bool is_bad() const { return !is_good(); }
};
using error_t = error_object;

namespace detail {

std::size_t get_backend_version();
cudnnStatus_t create_handle(cudnnHandle_t* handle);
cudnnStatus_t destroy_handle(cudnnHandle_t handle);
cudnnStatus_t set_stream(cudnnHandle_t handle, cudaStream_t stream);
void get_last_error_string(char* message, std::size_t size);

}  // namespace detail

namespace graph {

class Tensor_attributes {
 public:
  using Sizes = std::vector<std::int64_t>;
  Tensor_attributes& set_name(const std::string& name) { return name_ = name, *this; }
  Tensor_attributes& set_uid(std::int64_t uid) { return uid_ = uid, *this; }
  Tensor_attributes& set_data_type(DataType_t type) { return type_ = type, *this; }
  Tensor_attributes& set_dim(const Sizes& sizes) { return sizes_ = sizes, *this; }
  Tensor_attributes& set_stride(const Sizes& strides) { return strides_ = strides, *this; }
  Tensor_attributes& set_output(bool output) { return output_ = output, *this; }
  const std::string& get_name() const { return name_; }
  std::int64_t get_uid() const { return uid_; }
  DataType_t get_data_type() const { return type_; }
  Sizes get_dim() const { return sizes_; }
  Sizes get_stride() const { return strides_; }
  bool get_output() const { return output_; }

 private:
  std::string name_;
  std::int64_t uid_ = 0;
  DataType_t type_ = DataType_t::NOT_SET;
  Sizes sizes_, strides_;
  bool output_ = false;
};
using Tensor = std::shared_ptr<Tensor_attributes>;

template <class Self>
class AttentionOptions {
 public:
  Self& set_name(const std::string&) { return self(); }
  Self& set_attn_scale(float scale) { return scale_ = scale, self(); }
  Self& set_causal_mask(bool causal) { return causal_ = causal, self(); }
  Self& set_padding_mask(bool padding) { return padding_ = padding, self(); }
  Self& set_seq_len_q(const Tensor& lengths) { return query_lengths_ = lengths, self(); }
  Self& set_seq_len_kv(const Tensor& lengths) { return key_lengths_ = lengths, self(); }

 protected:
  friend class Graph;
  Self& self() { return static_cast<Self&>(*this); }
  float scale_ = 1;
  bool causal_ = false, padding_ = false;
  Tensor query_lengths_, key_lengths_;
};

class SDPA_attributes : public AttentionOptions<SDPA_attributes> {
 public:
  SDPA_attributes& set_generate_stats(bool generate) { return generate_stats_ = generate, *this; }

 private:
  friend class Graph;
  bool generate_stats_ = false;
};

class SDPA_backward_attributes : public AttentionOptions<SDPA_backward_attributes> {
 public:
  SDPA_backward_attributes& set_deterministic_algorithm(bool deterministic) { return deterministic_ = deterministic, *this; }

 private:
  friend class Graph;
  bool deterministic_ = false;
};

/// What a graph has come to: cudnn_graph.cpp checks it, cudnn_attention.cpp computes it.
struct Attention {
  bool backward = false, causal = false, padding = false, deterministic = true;
  float scale = 1;
  Tensor q, k, v, o, lse, query_lengths, key_lengths, dout, dq, dk, dv;
};

class Graph {
 public:
  Graph& set_io_data_type(DataType_t type) { return io_ = type, *this; }
  Graph& set_intermediate_data_type(DataType_t type) { return between_ = type, *this; }
  Graph& set_compute_data_type(DataType_t type) { return compute_ = type, *this; }
  Graph& set_sm_version(std::int32_t version) { return sm_ = nodes_ == 0 ? version : 0, *this; }  // nodes keep what was there before
  Tensor tensor(const Tensor_attributes& attributes) { return std::make_shared<Tensor_attributes>(attributes); }
  std::array<Tensor, 2> sdpa(const Tensor& q, const Tensor& k, const Tensor& v, const SDPA_attributes& options);
  std::array<Tensor, 3> sdpa_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& dout,
                                      const Tensor& lse, const SDPA_backward_attributes& options);

  error_t validate();
  error_t build_operation_graph(cudnnHandle_t handle);
  error_t create_execution_plans(const std::vector<HeurMode_t>& modes);
  Graph& deselect_numeric_notes(const std::vector<NumericalNote_t>& notes);
  Graph& deselect_workspace_greater_than(std::int64_t bytes) { return most_workspace_ = bytes, *this; }
  error_t check_support();
  error_t build_plans();
  std::int64_t get_workspace_size() const { return workspace_; }
  error_t execute(cudnnHandle_t handle, std::unordered_map<std::int64_t, void*>& tensors, void* workspace) const;

 private:
  template <class Self>
  void take(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions<Self>& options);
  std::vector<Tensor> tensors() const;
  error_t refusal() const;

  DataType_t io_ = DataType_t::NOT_SET, between_ = DataType_t::NOT_SET, compute_ = DataType_t::NOT_SET;
  Attention what_;
  int nodes_ = 0, stage_ = 0, sm_ = 0;  // stages done
  std::int64_t workspace_ = 0, most_workspace_ = INT64_MAX;
  bool repeats_only_ = false;
};

}  // namespace graph
}  // namespace cudnn_frontend
