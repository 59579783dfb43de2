// The GPU of a rank: its memory, its queue, its copies.
#include "device/cuda/cuda_gpu.hpp"

#include <cuda_runtime.h>

#include <cstring>
#include <optional>

#include "device/cuda/check.cuh"
#include "device/cuda/products.hpp"
#include "device/cuda/queues.cuh"
#include "strata/base/clock.hpp"
#include "strata/device/blas.hpp"
#include "strata/device/tuning.hpp"

namespace strata::cuda {
namespace {

// A captured graph that can be launched.
class CudaGraph final : public GpuGraph {
 public:
  CudaGraph(cudaGraphExec_t graph, cudaStream_t queue, std::int64_t pieces) : graph_(graph), queue_(queue), pieces_(pieces) {}
  ~CudaGraph() override { cudaGraphExecDestroy(graph_); }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  void launch() override { check(cudaGraphLaunch(graph_, queue_), "launching a graph"); }
  std::int64_t pieces() const override { return pieces_; }

 private:
  cudaGraphExec_t graph_;
  cudaStream_t queue_;
  std::int64_t pieces_;
};

constexpr int oldest_major = 8;  // bf16 tensor cores, cp.async

class CudaGpu final : public Gpu {
 public:
  explicit CudaGpu(int device) {
    choose(device);
    read_facts(device);
    queues_.emplace();
    queue_ = queues_->work();
    products_ = make_products();
  }
  ~CudaGpu() override { products_.reset(); }
  CudaGpu(const CudaGpu&) = delete;
  CudaGpu& operator=(const CudaGpu&) = delete;

  const GpuFacts& facts() const override { return facts_; }

  std::int64_t free_bytes() const override {
    std::size_t free = 0, all = 0;
    enter();
    check(cudaMemGetInfo(&free, &all), "asking for free memory");
    return static_cast<std::int64_t>(free);
  }

  void* allocate(std::int64_t bytes) override {
    enter();
    void* memory = nullptr;
    if (const cudaError_t result = cudaMalloc(&memory, static_cast<std::size_t>(bytes)); result == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // it is told, and over
      throw CapacityError(
          text("cannot allocate ", bytes_text(static_cast<double>(bytes)), " on ", facts_.name, " (GPU ", facts_.device, "), which has ",
               bytes_text(static_cast<double>(free_bytes())), " free of ", bytes_text(static_cast<double>(facts_.memory_bytes)),
               "; lower batch.micro or data.sequence, shard more (parallel.strategy), or free the GPU of other programs (nvidia-smi "
               "lists them)"));
    } else {
      check(result, "allocating memory of the GPU");
    }
    check(cudaMemsetAsync(memory, 0, static_cast<std::size_t>(bytes), queue_), "zeroing memory of the GPU");
    wait();
    return memory;
  }

  void release(void* memory) noexcept override {
    if (cudaSetDevice(facts_.device) == cudaSuccess && queues_->wait() == cudaSuccess) cudaFree(memory);
  }

  void* allocate_host(std::int64_t bytes) override {
    enter();
    void* memory = nullptr;
    if (cudaMallocHost(&memory, static_cast<std::size_t>(bytes)) != cudaSuccess) {
      cudaGetLastError();
      throw CapacityError(text("cannot page-lock ", bytes_text(static_cast<double>(bytes)),
                               " of host memory for copies to the GPU; raise the limit "
                               "(ulimit -l) or use less offload"));
    }
    std::memset(memory, 0, static_cast<std::size_t>(bytes));
    return memory;
  }

  void release_host(void* memory) noexcept override {
    if (cudaSetDevice(facts_.device) == cudaSuccess && queues_->wait() == cudaSuccess) cudaFreeHost(memory);
  }

  void copy(void* to, const void* from, std::int64_t bytes) override {
    if (bytes == 0) return;
    enter();
    if (capturing_) expect_no_ordinary(to), expect_no_ordinary(from);
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault, queue_), "copying");
  }

  void copy_beside(GpuQueue queue, void* to, const void* from, std::int64_t bytes) override {
    if (bytes == 0) return;
    enter();
    check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault, queues_->stream(queue)), "copying");
  }

  GpuMark mark(GpuQueue queue) override {
    enter();
    return queues_->mark(queue);
  }

  void follow(GpuQueue queue, const GpuMark& mark) override {
    enter();
    queues_->follow(queue, mark);
  }

  void wait_for(const GpuMark& mark) override {
    enter();
    queues_->wait_for(mark);
  }

  void wait() override {
    enter();
    check(cudaStreamSynchronize(queue_), "waiting for the GPU");
  }

  // Other threads (a checkpoint on its way to the disk) may do what a capture forbids.
  void begin_capture() override {
    enter();
    check(cudaStreamBeginCapture(queue_, cudaStreamCaptureModeThreadLocal), "beginning a capture");
    capturing_ = true, spoiled_ = false;
  }

  std::unique_ptr<GpuGraph> end_capture() override {
    cudaGraph_t graph = nullptr;
    capturing_ = false;
    told(cudaStreamEndCapture(queue_, &graph), "ending a capture");
    if (spoiled_) {
      cudaGraphDestroy(graph);
      throw InternalError("ending a capture: one of its copies was refused");
    }
    cudaGraphExec_t executable = nullptr;
    std::size_t nodes = 0;
    cudaError_t result = cudaGraphGetNodes(graph, nullptr, &nodes);
    if (result == cudaSuccess && nodes > 0) result = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    told(result, "making a graph");
    if (nodes == 0) return nullptr;
    auto owned = std::make_unique<CudaGraph>(executable, queue_, static_cast<std::int64_t>(nodes));
    told(cudaGraphUpload(executable, queue_), "bringing a graph to the GPU");  // what lacks memory says so here, not at the first launch
    return owned;
  }

  void drop_capture() noexcept override {
    cudaGraph_t graph = nullptr;
    capturing_ = false;
    if (cudaStreamEndCapture(queue_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();
  }

  void* queue() const override { return queue_; }

  void gemm(std::int64_t m, std::int64_t n, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b, DType out, void* c,
            std::int64_t ldc, Write write, const void* bias, const void* residual, std::int64_t ld_residual, void* scratch,
            std::int64_t scratch_bytes) override {
    products_->run(queue_, {m, n, k, in, a, b, out, c, ldc, write, bias, residual, ld_residual, scratch, scratch_bytes});
  }

  void use_tuning(const Tuning& tuning) override {
    if (const std::string why = tuning_refusal(tuning, facts_); !why.empty())
      throw DeckError(
          text("device.tuning = ", tuning.origin, ": ", why, "; measure it here with strata measure, or leave device.tuning empty"));
    enter();
    products_->use(tuning);
  }

  void note_products() override { products_->note(); }

  Tuning tune_products(int candidates, double seconds) override {
    enter();
    Tuning tuning{facts_.name, facts_.major, facts_.minor, facts_.cublaslt, "", "", {}};
    tuning.products = products_->tune(*this, queue_, candidates, seconds);
    return tuning;
  }

 private:
  // As check(), for what a caller may go on from: no later call finds the error again.
  static void told(cudaError_t result, const char* doing) {
    if (result != cudaSuccess) cudaGetLastError();
    check(result, doing);
  }

  // A graph would take the copy, and look at the memory of the host at each launch, when it may be gone.
  void expect_no_ordinary(const void* memory) {
    cudaPointerAttributes attributes{};
    told(cudaPointerGetAttributes(&attributes, memory), "asking where memory lies");
    if (attributes.type != cudaMemoryTypeUnregistered) return;
    spoiled_ = true;
    throw InternalError("copying memory of the host that is not page-locked while a graph is captured");
  }

  // CUDA's current device belongs to the thread.
  void enter() const { check(cudaSetDevice(facts_.device), "choosing the GPU"); }

  void read_facts(int device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "asking what the GPU is");
    facts_.name = properties.name;
    facts_.device = device;
    check(cudaGetDeviceCount(&facts_.devices), "counting GPUs");
    facts_.major = properties.major, facts_.minor = properties.minor;
    facts_.processors = properties.multiProcessorCount;
    facts_.memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
    check(cudaDriverGetVersion(&facts_.driver), "asking for the driver's version");
    check(cudaRuntimeGetVersion(&facts_.runtime), "asking for CUDA's version");
    facts_.cublaslt = cublaslt_version();
    facts_.emulated = facts_.name.find("emulated") != std::string::npos;
    if (facts_.major < oldest_major)
      throw CapacityError(text("device.kind = cuda: GPU ", device, " is a ", facts_.name, " of compute capability ", facts_.major, ".",
                               facts_.minor,
                               "; strata needs 8.0 (Ampere) or newer. Choose others with CUDA_VISIBLE_DEVICES, or use device.kind = cpu"));
  }

  // Other programs may leave no room for one more, or have it to themselves alone.
  static void choose(int device) {
    const cudaError_t result = cudaSetDevice(device);
    if (result == cudaSuccess) return;
    cudaGetLastError();
    throw CapacityError(text("device.kind = cuda: GPU ", device, " cannot be used: ", cudaGetErrorString(result),
                             "; other programs may hold it (nvidia-smi lists them)"));
  }

  GpuFacts facts_;
  std::optional<Queues> queues_;
  cudaStream_t queue_ = nullptr;  // of work
  bool capturing_ = false, spoiled_ = false;
  std::unique_ptr<Products> products_;
};

std::string version_text(int version) {
  return text(version / 1000, ".", version % 1000 / 10);
}

}  // namespace

int device_count() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaSuccess) return count;
  cudaGetLastError();
  if (result == cudaErrorNoDevice) return 0;
  if (result == cudaErrorInsufficientDriver) {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver), cudaRuntimeGetVersion(&runtime);
    throw CapacityError(
        driver == 0
            ? std::string("device.kind = cuda: no NVIDIA driver on this host (a login node?); run on a node with a GPU, or use "
                          "device.kind = cpu")
            : text("device.kind = cuda: the NVIDIA driver of this host serves CUDA up to ", version_text(driver),
                   ", and this program was built with CUDA ", version_text(runtime), "; update the driver or build with an older toolkit"));
  }
  throw CapacityError(text("device.kind = cuda: no GPU can be used: ", cudaGetErrorName(result), " (", cudaGetErrorString(result), ")"));
}

Gpu* open_device(int device) {
  return new CudaGpu(device);
}

}  // namespace strata::cuda
