// Choosing among cuBLASLt's algorithms: what describes one, operands to try it on, and its time.
#include "device/cuda/tuning.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "device/cuda/check.cuh"
#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "strata/base/clock.hpp"

namespace strata::cuda {
namespace {

using Attribute = cublasLtMatmulAlgoConfigAttributes_t;

using Attributes = std::array<std::int64_t, 9>;

// The inner shape and the cluster's are numbers of 16 bits.
bool is_short(std::size_t attribute) {
  return attribute == CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID || attribute == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID;
}

// What an algorithm has no attribute for is 0.
Attributes attributes_of(const cublasLtMatmulAlgo_t& algorithm) {
  Attributes found{};
  for (std::size_t i = 0; i < found.size(); ++i) {
    std::uint32_t wide = 0;
    std::uint16_t narrow = 0;
    void* const to = is_short(i) ? static_cast<void*>(&narrow) : &wide;
    if (cublasLtMatmulAlgoConfigGetAttribute(&algorithm, static_cast<Attribute>(i), to, is_short(i) ? 2 : 4, nullptr) ==
        CUBLAS_STATUS_SUCCESS)
      found[i] = is_short(i) ? narrow : wide;
  }
  return found;
}

std::string hex_of(const cublasLtMatmulAlgo_t& algorithm) {
  constexpr const char* digits = "0123456789abcdef";
  unsigned char bytes[sizeof algorithm];
  std::memcpy(bytes, &algorithm, sizeof bytes);
  std::string hex;
  for (const unsigned char byte : bytes) hex += digits[byte >> 4], hex += digits[byte & 15];
  return hex;
}

bool read_hex(const std::string& hex, cublasLtMatmulAlgo_t& algorithm) {
  unsigned char bytes[sizeof algorithm];
  if (hex.size() != 2 * sizeof bytes) return false;
  for (std::size_t i = 0; i < sizeof bytes; ++i) bytes[i] = static_cast<unsigned char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  std::memcpy(&algorithm, bytes, sizeof bytes);
  return true;
}

// Halves whose numbers, of either sign, neither vanish nor grow in sums: 2^-5 to 2^-3 as bf16 and, two of them, as f32.
__global__ void random_kernel(std::uint16_t* to, std::int64_t count, std::uint32_t seed) {
  for (std::int64_t i = blockIdx.x * std::int64_t{blockDim.x} + threadIdx.x; i < count; i += std::int64_t{gridDim.x} * blockDim.x) {
    std::uint32_t x = static_cast<std::uint32_t>(i) * 2654435761u + seed * 40503u;
    x ^= x >> 16, x *= 0x85ebca6bu, x ^= x >> 13, x *= 0xc2b2ae35u, x ^= x >> 16;
    to[i] = static_cast<std::uint16_t>((x >> 16 & 0x80ffu) | 0x3d00u);
  }
}

int alignment_of(const void* memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  return address == 0 ? 16 : static_cast<int>(std::min<std::uintptr_t>(address & (~address + 1), 16));
}

std::int64_t stored_bytes(const MatrixRef& matrix, std::int64_t rows, std::int64_t columns, DType type) {
  if (matrix.transposed) std::swap(rows, columns);
  return ((rows - 1) * matrix.stride + columns) * static_cast<std::int64_t>(size_of(type));
}

class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "making an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }  // NOLINT: it is one

 private:
  cudaEvent_t event_ = nullptr;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

void check_lt(cublasStatus_t status, const char* doing, const std::string& what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw InternalError(text(doing, what, ": ", cublasLtGetStatusName(status), " (", cublasLtGetStatusString(status), ")"));
}

ProductCase case_of(const ProductCall& call) {
  ProductCase c{call.in, call.out, call.a.transposed, call.b.transposed, call.m, call.n, call.k, call.a.stride, call.b.stride, call.ldc};
  c.in_place = adds_as_it_sets(call) || call.write == Write::add || (call.residual && call.residual == call.c);
  c.old_stride = adds_as_it_sets(call) || call.write == Write::add ? call.ldc : call.residual ? call.ld_residual : 0;
  if (call.bias) c.epilogue = "bias";
  for (const void* memory : {call.a.data, call.b.data, static_cast<const void*>(call.c), call.residual, call.bias})
    c.alignment = std::min(c.alignment, alignment_of(memory));
  return c;
}

ProductCall call_of(const ProductCase& what) {
  if (what.epilogue != "none" && what.epilogue != "bias")
    throw DeckError(text("expected no epilogue or bias, found ", what.epilogue, " in ", what.name()));
  if (what.epilogue == "bias" && what.in != what.out) throw DeckError(text("expected a bias of the output's type in ", what.name()));
  // Where memory would be; nothing looks there.
  void* const somewhere = reinterpret_cast<void*>(static_cast<std::uintptr_t>(what.alignment) + 256);
  ProductCall call{};
  call.m = what.m, call.n = what.n, call.k = what.k, call.in = what.in, call.out = what.out;
  call.a = {somewhere, what.a_stride, what.a_transposed}, call.b = {somewhere, what.b_stride, what.b_transposed};
  call.c = somewhere, call.ldc = what.c_stride, call.write = what.in_place ? Write::add : Write::set;
  if (what.old_stride > 0 && !what.in_place)
    call.residual = static_cast<unsigned char*>(somewhere) + 256, call.ld_residual = what.old_stride;
  if (what.epilogue == "bias") call.bias = somewhere;
  call.scratch_bytes = Stream::gpu_product_scratch_bytes;
  if (const std::string asked = case_of(call).name(); asked != what.name())
    throw DeckError(text("products.", what.name(), ": no product of this program; expected ", asked));
  return call;
}

ProductAlgorithm name_of(cublasLtHandle_t handle, const LtTypes& types, const cublasLtMatmulAlgo_t& algorithm) {
  ProductAlgorithm name{attributes_of(algorithm)};
  cublasLtMatmulAlgo_t again;
  const bool all = algorithm_named(handle, types, name, again) && std::memcmp(&again, &algorithm, sizeof again) == 0;
  if (!all) name.data = hex_of(algorithm);
  return name;
}

bool algorithm_named(cublasLtHandle_t handle, const LtTypes& types, const ProductAlgorithm& name, cublasLtMatmulAlgo_t& algorithm) {
  if (!name.data.empty()) return read_hex(name.data, algorithm) && attributes_of(algorithm) == name.values;
  const auto id = static_cast<int>(name.values[CUBLASLT_ALGO_CONFIG_ID]);
  if (cublasLtMatmulAlgoInit(handle, types.compute, types.scale, types.in, types.in, types.out, types.out, id, &algorithm) !=
      CUBLAS_STATUS_SUCCESS)
    return false;
  const Attributes fresh = attributes_of(algorithm);
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    if (fresh[i] == name.values[i]) continue;  // nor is every attribute one of every algorithm
    const auto wide = static_cast<std::uint32_t>(name.values[i]);
    const auto narrow = static_cast<std::uint16_t>(wide);
    const void* const from = is_short(i) ? static_cast<const void*>(&narrow) : &wide;
    if (cublasLtMatmulAlgoConfigSetAttribute(&algorithm, static_cast<Attribute>(i), from, is_short(i) ? 2 : 4) != CUBLAS_STATUS_SUCCESS)
      return false;
  }
  return attributes_of(algorithm) == name.values;
}

OwnOperands::OwnOperands(Gpu& gpu, cudaStream_t queue, const ProductCall& call, void* scratch)
    : gpu_(gpu), queue_(queue), alignment_(case_of(call).alignment), call_(call) {
  const auto output = [&](std::int64_t stride) { return fresh(stored_bytes({nullptr, stride, false}, call.m, call.n, call.out)); };
  call_.a.data = fresh(stored_bytes(call.a, call.m, call.k, call.in));
  call_.b.data = fresh(stored_bytes(call.b, call.k, call.n, call.in));
  call_.c = output(call.ldc);
  if (call.residual) call_.residual = call.residual == call.c ? call_.c : output(call.ld_residual);
  if (call.bias) call_.bias = fresh(call.n * static_cast<std::int64_t>(size_of(call.in)));
  call_.scratch = scratch, call_.scratch_bytes = Stream::gpu_product_scratch_bytes;
}

void* OwnOperands::fresh(std::int64_t bytes) {
  const std::int64_t halves = (bytes + 1) / 2 + 16;
  Gpu& gpu = gpu_;
  memory_.emplace_back(gpu.allocate(2 * halves), [&gpu](void* memory) { gpu.release(memory); });
  launch(random_kernel, {blocks_for(halves, 256), 256}, queue_, static_cast<std::uint16_t*>(memory_.back().get()), halves, ++seed_);
  return static_cast<unsigned char*>(memory_.back().get()) + (alignment_ < 16 ? alignment_ : 0);
}

std::vector<double> median_times(Gpu& gpu, cudaStream_t queue, const std::vector<std::function<void()>>& works, double seconds) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, gpu.facts().device), "asking what the GPU is");
  const std::int64_t flushed = gpu.facts().emulated ? 1 << 10 : 2 * std::max<std::int64_t>(properties.l2CacheSize, 1 << 20);
  const std::shared_ptr<void> other(gpu.allocate(flushed), [&gpu](void* memory) { gpu.release(memory); });
  const Event begin, end;
  std::vector<std::vector<double>> times(works.size());
  for (int i = 0; i < 2; ++i)
    for (const auto& work : works) work();
  gpu.wait();
  const Stopwatch all{};  // nvcc 12.0 wants the braces
  for (int round = 0; round < 5 || (round < 200 && all.seconds() < seconds); ++round)
    for (std::size_t i = 0; i < works.size(); ++i) {
      check(cudaMemsetAsync(other.get(), round & 0xff, static_cast<std::size_t>(flushed), queue), "clearing the caches");
      check(cudaEventRecord(begin, queue), "recording an event");
      works[i]();
      check(cudaEventRecord(end, queue), "recording an event");
      check(cudaEventSynchronize(end), "waiting for a product");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, begin, end), "reading an event's time");
      times[i].push_back(std::max(1e-3 * static_cast<double>(milliseconds), 1e-9) * 1e6);
    }
  std::vector<double> medians;
  for (auto& of_work : times) medians.push_back(median(std::move(of_work)));
  return medians;
}

}  // namespace strata::cuda
