// cuDNN's fused attention: the library, its graphs and plans. A CUDA source without kernels, compiled as C++; the one place that calls
// cuDNN.
#include "ops/cuda/attention_cudnn.hpp"

#include "device/cuda/check.cuh"
#include "ops/cuda/attention_tensor.hpp"
#include "ops/cuda/queue.cuh"
#include "strata/base/error.hpp"

#ifdef STRATA_WITH_CUDNN
#include <cudnn_frontend.h>
#include <dlfcn.h>

#include <cmath>
#include <compare>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

// cuDNN is opened when it is asked for; the frontend takes its functions from here.
namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;
}
#endif

namespace strata::cuda {

bool fused_attention_reads(const AttentionForward& p) {
  return rows_pack(p.q) && rows_pack(p.k) && rows_pack(p.v) && rows_pack(p.o);
}

bool fused_attention_reads(const AttentionBackward& p) {
  return rows_pack(p.q) && rows_pack(p.k) && rows_pack(p.v) && rows_pack(p.o) && rows_pack(p.dout) && rows_pack(p.dq) && rows_pack(p.dk) &&
         rows_pack(p.dv);
}

#ifdef STRATA_WITH_CUDNN

namespace {

namespace fe = cudnn_frontend;
using fe::graph::Graph, fe::graph::Tensor_attributes;
using Tensor = std::shared_ptr<Tensor_attributes>;

#ifdef STRATA_CUDA_EMULATED
constexpr const char* library_name = nullptr;  // the emulation's is part of this process
#else
constexpr const char* library_name = "libcudnn.so.9";
#endif
/// Older ones copy from the host for lengths that are no multiple of 128, or have errors in attention's backward pass.
constexpr std::size_t oldest_version = 91600;

std::string version_text(std::size_t version) {
  return text(version / 10000, ".", version / 100 % 100, ".", version % 100);
}

/// Between sequences, positions and heads [elements].
struct Strides {
  std::int64_t batch = 0, row = 0, head = 0;
  auto operator<=>(const Strides&) const = default;
};
template <class AnyView>
Strides strides_of(const AnyView& view) {
  return {view.stride(0), view.stride(1), view.stride(2)};
}

/// What a plan is made for.
struct FusedCase {
  DType type = DType::bf16;
  std::int64_t B = 0, S = 0, nh = 0, nkv = 0, hd = 0;
  bool causal = true, padded = false, statistics = true, backward = false;  // padded: lengths are given
  float scale = 1;
  std::int64_t lengths = 1;  // stride [elements]
  Strides q, k, v, o, dout, dq, dk, dv;
  auto operator<=>(const FusedCase&) const = default;

  std::string str() const {
    return text(backward ? "the gradients of " : "", causal ? "causal" : "bidirectional", " attention of ", name_of(type), " ", B, " x ", S,
                " x ", nh, " heads of ", hd, " (", nkv, " of keys)");
  }
};

template <class Pass>
FusedCase case_of(const Pass& p) {
  FusedCase c;
  c.type = p.q.type();
  c.B = p.q.size(0), c.S = p.q.size(1), c.nh = p.q.size(2), c.nkv = p.k.size(2), c.hd = p.q.size(3);
  c.causal = p.mask.causal, c.padded = !p.mask.causal && p.mask.keys.given(), c.statistics = p.lse.given();
  if (c.padded) c.lengths = p.mask.keys.stride(0);
  c.scale = static_cast<float>(p.scale);
  c.q = strides_of(p.q), c.k = strides_of(p.k), c.v = strides_of(p.v), c.o = strides_of(p.o);
  if constexpr (std::is_same_v<Pass, AttentionBackward>)
    c.backward = true, c.dout = strides_of(p.dout), c.dq = strides_of(p.dq), c.dk = strides_of(p.dk), c.dv = strides_of(p.dv);
  return c;
}

// As the layers call it: queries, keys and values side by side in one product.
FusedCase case_of(const AttentionRun& run, bool backward) {
  FusedCase c;
  c.type = run.type, c.B = run.B, c.S = run.S, c.nh = run.nh, c.nkv = run.nkv, c.hd = run.hd;
  c.causal = run.causal, c.padded = !run.causal, c.backward = backward;
  c.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(run.hd)));
  const std::int64_t together = (run.nh + 2 * run.nkv) * run.hd, alone = run.nh * run.hd;
  c.q = c.k = c.v = {run.S * together, together, run.hd}, c.o = {run.S * alone, alone, run.hd};
  if (backward) c.dout = c.o, c.dq = c.q, c.dk = c.k, c.dv = c.v;
  return c;
}

/// Names of tensors in a graph.
enum Uid : std::int64_t { uid_q = 1, uid_k, uid_v, uid_o, uid_lse, uid_query_lengths, uid_key_lengths, uid_dout, uid_dq, uid_dk, uid_dv };

Tensor_attributes described(const char* name, Uid uid, fe::DataType_t type, std::vector<std::int64_t> sizes,
                            std::vector<std::int64_t> strides) {
  return Tensor_attributes().set_name(name).set_uid(uid).set_data_type(type).set_dim(std::move(sizes)).set_stride(std::move(strides));
}

/// The graph of a case, for GPUs of compute capability `sm` (90): one node, whose tensors lie where ours do.
class FusedGraph {
 public:
  FusedGraph(const FusedCase& what, int sm) : c_(what), graph_(std::make_shared<Graph>()) {
    graph_->set_sm_version(sm);  // before there are nodes: the frontend would load a run-time of CUDA to ask
    type_ = c_.type == DType::f16 ? fe::DataType_t::HALF : fe::DataType_t::BFLOAT16;
    graph_->set_io_data_type(type_).set_intermediate_data_type(fe::DataType_t::FLOAT).set_compute_data_type(fe::DataType_t::FLOAT);
    c_.backward ? add_backward() : add_forward();
  }
  const std::shared_ptr<Graph>& get() const { return graph_; }

 private:
  Tensor_attributes heads(const char* name, Uid uid, std::int64_t count, const Strides& at) const {
    return described(name, uid, type_, {c_.B, count, c_.S, c_.hd}, {at.batch, at.head, at.row, 1});
  }
  Tensor_attributes statistics() const {
    return described("lse", uid_lse, fe::DataType_t::FLOAT, {c_.B, c_.nh, c_.S, 1}, {c_.nh * c_.S, c_.S, 1, 1});
  }
  Tensor_attributes lengths(const char* name, Uid uid, std::int64_t stride) const {
    return described(name, uid, fe::DataType_t::INT32, {c_.B, 1, 1, 1}, {stride, 1, 1, 1});
  }
  Tensor input(const Tensor_attributes& tensor) const { return graph_->tensor(tensor); }
  static void output(const Tensor& made, const Tensor_attributes& tensor) {
    made->set_output(true).set_uid(tensor.get_uid()).set_data_type(tensor.get_data_type());
    made->set_dim(tensor.get_dim()).set_stride(tensor.get_stride());
  }
  // Every query sees the keys below its sequence's length, whether it is padding itself or not.
  template <class Options>
  void mask(Options& options) const {
    options.set_attn_scale(c_.scale);
    if (c_.causal) options.set_causal_mask(true);
    if (c_.padded)
      options.set_padding_mask(true)
          .set_seq_len_q(input(lengths("query_lengths", uid_query_lengths, 1)))
          .set_seq_len_kv(input(lengths("key_lengths", uid_key_lengths, c_.lengths)));
  }

  void add_forward() {
    const Tensor q = input(heads("q", uid_q, c_.nh, c_.q)), k = input(heads("k", uid_k, c_.nkv, c_.k)),
                 v = input(heads("v", uid_v, c_.nkv, c_.v));
    fe::graph::SDPA_attributes options;
    options.set_name("attention").set_generate_stats(c_.statistics);
    mask(options);
    const auto made = graph_->sdpa(q, k, v, options);
    output(made[0], heads("o", uid_o, c_.nh, c_.o));
    if (c_.statistics) output(made[1], statistics());
  }

  void add_backward() {
    const Tensor q = input(heads("q", uid_q, c_.nh, c_.q)), k = input(heads("k", uid_k, c_.nkv, c_.k)),
                 v = input(heads("v", uid_v, c_.nkv, c_.v)), o = input(heads("o", uid_o, c_.nh, c_.o)),
                 dout = input(heads("dout", uid_dout, c_.nh, c_.dout)), lse = input(statistics());
    fe::graph::SDPA_backward_attributes options;
    options.set_name("attention_backward").set_deterministic_algorithm(true);
    mask(options);
    const auto made = graph_->sdpa_backward(q, k, v, o, dout, lse, options);
    output(made[0], heads("dq", uid_dq, c_.nh, c_.dq)), output(made[1], heads("dk", uid_dk, c_.nkv, c_.dk));
    output(made[2], heads("dv", uid_dv, c_.nkv, c_.dv));
  }

  FusedCase c_;
  fe::DataType_t type_;
  std::shared_ptr<Graph> graph_;
};

/// From the graph to a plan: the first that cuDNN's heuristic names among those that repeat their bits and take at most `most` bytes.
/// Returns cuDNN's reason where there is none. `build` gives the graph to cuDNN.
template <class Build>
std::string make_plan(Graph& graph, std::int64_t most, const Build& build) {
  try {
    fe::error_t result = graph.validate();
    if (result.is_good()) result = build();
    if (result.is_good()) result = graph.create_execution_plans({fe::HeurMode_t::A});
    graph.deselect_numeric_notes({fe::NumericalNote_t::NONDETERMINISTIC}).deselect_workspace_greater_than(most);
    if (result.is_good()) result = graph.check_support();
    if (result.is_good()) result = graph.build_plans();
    if (result.is_bad()) return result.err_msg.empty() ? "cuDNN gives no reason" : result.err_msg;
  } catch (const std::exception& e) {  // the library lacks a function
    return e.what();
  }
  if (const std::int64_t wanted = graph.get_workspace_size(); wanted > most)
    return text("it wants ", wanted, " bytes of workspace, planned were ", most);
  return "";
}

/// The library of this process, the handles of its GPUs, and all plans. Lives to the end.
class Cudnn {
 public:
  static Cudnn& get();
  /// Why it cannot be used; empty: it can.
  const std::string& refusal() const { return refusal_; }
  std::string version() const { return version_text(fe::detail::get_backend_version()); }

  /// Why there is no plan; empty: there is, and it is kept.
  std::string try_plan(const Gpu& gpu, const FusedCase& what, std::int64_t most) {
    const std::lock_guard lock(mutex_);
    std::string why;
    plan(gpu.facts(), what, most, why);
    return why;
  }

  void run(Stream& stream, const FusedCase& what, std::int64_t most, std::unordered_map<std::int64_t, void*>& tensors, void* workspace) {
    const std::lock_guard lock(mutex_);
    const GpuFacts& gpu = stream.gpu()->facts();
    std::string why = refusal_;
    Graph* const graph = why.empty() ? plan(gpu, what, most, why) : nullptr;
    if (!graph) throw DeckError(text("device.attention = cudnn: ", why, "; use device.attention = own"));
    cudnnHandle_t handle = handle_of(gpu.device);
    require(fe::detail::set_stream(handle, queue_of(stream)), "giving cuDNN the queue");
    if (const fe::error_t result = graph->execute(handle, tensors, workspace); result.is_bad())
      throw InternalError(text("cuDNN ", version(), ", ", what.str(), ": ", result.err_msg));
  }

 private:
  Cudnn() {
    const char* const named = std::getenv("STRATA_CUDNN_LIBRARY");
    fe::cudnn_dlhandle = dlopen(named ? named : library_name, RTLD_NOW | RTLD_LOCAL);
    if (!fe::cudnn_dlhandle) {
      refusal_ = text("cuDNN could not be loaded (", dlerror(),
                      "): put the folder of libcudnn.so.9 on LD_LIBRARY_PATH, or name the file in STRATA_CUDNN_LIBRARY");
    } else if (const std::size_t version = fe::detail::get_backend_version(); version < oldest_version) {
      refusal_ = text("cuDNN ", version_text(version), " was found, expected ", version_text(oldest_version), " or newer of version 9");
    }
  }

  static void require(cudnnStatus_t status, const char* doing) {
    if (status == CUDNN_STATUS_SUCCESS) return;
    char reason[512] = "";
    fe::detail::get_last_error_string(reason, sizeof reason);
    throw InternalError(text(doing, ": cuDNN's status ", static_cast<int>(status), " ", reason));
  }

  // cuDNN works on the thread's current GPU.
  cudnnHandle_t handle_of(int device) {
    check(cudaSetDevice(device), "choosing the GPU");
    cudnnHandle_t& handle = handles_[device];
    if (!handle) require(fe::detail::create_handle(&handle), "starting cuDNN");
    return handle;
  }

  Graph* plan(const GpuFacts& gpu, const FusedCase& what, std::int64_t most, std::string& why) {
    const auto key = std::make_pair(gpu.device, what);
    if (const auto known = plans_.find(key); known != plans_.end()) return known->second.get();
    std::shared_ptr<Graph> graph = FusedGraph(what, 10 * gpu.major + gpu.minor).get();
    cudnnHandle_t handle = handle_of(gpu.device);
    why = make_plan(*graph, most, [&] { return graph->build_operation_graph(handle); });
    if (!why.empty()) why = text("cuDNN ", version(), " has no plan that repeats its bits for ", what.str(), " on ", gpu.name, ": ", why);
    return why.empty() ? (plans_[key] = std::move(graph)).get() : nullptr;
  }

  std::mutex mutex_;
  std::string refusal_;
  std::map<int, cudnnHandle_t> handles_;
  std::map<std::pair<int, FusedCase>, std::shared_ptr<Graph>> plans_;
};

// Not static inside get(): such variables of this namespace are a block's shared memory on the emulation.
std::once_flag opened;
Cudnn* cudnn = nullptr;

Cudnn& Cudnn::get() {
  std::call_once(opened, [] { cudnn = new Cudnn; });
  return *cudnn;
}

/// The lengths of queries, and behind them what is cuDNN's.
struct FusedWorkspace {
  int* lengths;
  void* rest;
  std::int64_t bytes;

  FusedWorkspace(const ConstView& q, void* workspace, std::int64_t all)
      : lengths(static_cast<int*>(workspace)), bytes(all - fused_lengths_bytes(q)) {
    const auto end = reinterpret_cast<std::uintptr_t>(workspace) + static_cast<std::uintptr_t>(fused_lengths_bytes(q));
    rest = reinterpret_cast<void*>(end / 256 * 256);
  }
};

// Tensors by name; the frontend asks for pointers to what may be written.
template <class AnyView>
void* place_of(const AnyView& view) {
  return const_cast<void*>(static_cast<const void*>(view.data()));
}

template <class Pass>
void run(Stream& stream, const Pass& p, const FusedWorkspace& workspace, std::unordered_map<std::int64_t, void*> tensors) {
  const FusedCase what = case_of(p);
  tensors[uid_q] = place_of(p.q), tensors[uid_k] = place_of(p.k), tensors[uid_v] = place_of(p.v), tensors[uid_o] = place_of(p.o);
  if (what.statistics) tensors[uid_lse] = place_of(p.lse);
  if (what.padded) {
    set_lengths(stream, workspace.lengths, what.B, what.S);
    tensors[uid_query_lengths] = workspace.lengths, tensors[uid_key_lengths] = place_of(p.mask.keys);
  }
  Cudnn::get().run(stream, what, workspace.bytes, tensors, workspace.rest);
}

}  // namespace

std::string fused_attention_refusal(Gpu* gpu, const AttentionRun* asked) {
  Cudnn& library = Cudnn::get();
  if (!library.refusal().empty() || !gpu || !asked) return library.refusal();
  const View q(nullptr, asked->type, Shape{asked->B, asked->S, asked->nh, asked->hd}), k(nullptr, asked->type, Shape{1, 1, asked->nkv, 1});
  std::string why = library.try_plan(*gpu, case_of(*asked, false), fused_allowance);
  if (why.empty() && asked->backward)
    why = library.try_plan(*gpu, case_of(*asked, true), fused_backward_workspace(q, k) - fused_lengths_bytes(q));
  return why;
}

std::string fused_attention_version() {
  return Cudnn::get().version();
}

void fused_attention_forward(Stream& stream, const AttentionForward& p, void* workspace) {
  if (p.q.elements() == 0) return;
  run(stream, p, {p.q, workspace, fused_forward_workspace(p.q)}, {});
}

void fused_attention_backward(Stream& stream, const AttentionBackward& p, void* workspace) {
  if (p.q.elements() == 0) return;
  run(stream, p, {p.q, workspace, fused_backward_workspace(p.q, p.k)},
      {{uid_dout, place_of(p.dout)}, {uid_dq, place_of(p.dq)}, {uid_dk, place_of(p.dk)}, {uid_dv, place_of(p.dv)}});
}

#else

std::string fused_attention_refusal(Gpu*, const AttentionRun*) {
  return "this program was built without cuDNN (cmake -DSTRATA_CUDNN=ON says what it lacks)";
}

std::string fused_attention_version() {
  throw NotCompiled(fused_attention_refusal(nullptr, nullptr));
}

void fused_attention_forward(Stream&, const AttentionForward&, void*) {
  throw NotCompiled(fused_attention_refusal(nullptr, nullptr));
}

void fused_attention_backward(Stream&, const AttentionBackward&, void*) {
  throw NotCompiled(fused_attention_refusal(nullptr, nullptr));
}

#endif

}  // namespace strata::cuda
