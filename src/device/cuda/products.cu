// Matrix products by cuBLASLt. Our matrices lie by rows, cuBLASLt's by columns: C = A B is given as C^T = B^T A^T, which moves nothing.
#include "device/cuda/products.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

#include "device/cuda/check.cuh"
#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "device/cuda/tuning.hpp"

namespace strata::cuda {
namespace {

void check(cublasStatus_t status, const char* doing, const std::string& what = "") {
  check_lt(status, doing, what);
}

cudaDataType_t type_of(DType type) {
  switch (type) {
    case DType::f32:
      return CUDA_R_32F;
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f16:
      return CUDA_R_16F;
    case DType::f64:
      return CUDA_R_64F;
    default:
      throw InternalError(text("a matrix product of ", name_of(type), ", expected f32, bf16, f16 or f64"));
  }
}

/// The largest power of two that divides an address, up to the 16 bytes that kernels ask for at most. More is not told: with it the choice,
/// and so the last bits, could depend on where an arena happens to place a tensor, which differs between strategies and numbers of ranks.
std::uint32_t alignment_of(const void* memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  return address == 0 ? 16u : static_cast<std::uint32_t>(std::min<std::uintptr_t>(address & (~address + 1), 16));
}

template <class Handle, cublasStatus_t (*destroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  ~Owned() {
    if (handle_) destroy(handle_);
  }
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Handle* place() { return &handle_; }
  operator Handle() const { return handle_; }  // NOLINT: it is one

 private:
  Handle handle_ = nullptr;
};
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;

/// What an algorithm is chosen for.
using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, DType, DType, std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool,
                       bool, bool, bool, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;

/// cuBLASLt's structs have no name of their own, and nvcc 13.0 cannot have a vector of such.
struct Algorithm {
  cublasLtMatmulAlgo_t lt;
};
struct Candidate {
  cublasLtMatmulHeuristicResult_t lt;
};
static_assert(sizeof(Candidate) == sizeof(cublasLtMatmulHeuristicResult_t));

struct Plan {
  Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> operation;
  Layout a, b, c, d;
  cublasLtMatmulAlgo_t algorithm{};
};

Layout make_layout(DType type, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  Layout layout;
  check(cublasLtMatrixLayoutCreate(layout.place(), type_of(type), static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                   stride),
        "describing a matrix");
  return layout;
}

// The layout of an operand whose product role is [outer, k], and whether cuBLASLt is to transpose it.
Layout operand(DType type, const MatrixRef& matrix, std::int64_t rows, std::int64_t columns) {
  // Stored by rows as rows x columns (or its transpose): by columns that is columns x rows.
  return matrix.transposed ? make_layout(type, rows, columns, matrix.stride) : make_layout(type, columns, rows, matrix.stride);
}

template <class T>
__global__ void add_bias_kernel(T* c, std::int64_t ldc, const T* bias, std::int64_t m, std::int64_t n) {
  for (std::int64_t i = blockIdx.x * std::int64_t{blockDim.x} + threadIdx.x; i < m * n; i += std::int64_t{gridDim.x} * blockDim.x)
    c[i / n * ldc + i % n] += bias[i % n];
}

// `rows` rows of `width` bytes, `stride` bytes apart.
__global__ void zero_kernel(unsigned char* to, std::int64_t stride, std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = blockIdx.x * std::int64_t{blockDim.x} + threadIdx.x; i < rows * width; i += std::int64_t{gridDim.x} * blockDim.x)
    to[i / width * stride + i % width] = 0;
}

class LtProducts final : public Products {
 public:
  LtProducts() { check(cublasLtCreate(handle_.place()), "starting cuBLASLt"); }

  void run(cudaStream_t queue, const ProductCall& call) override {
    if (call.k == 0) return without_terms(queue, call);
    // cuBLASLt's is of the output's type (CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE), ours of the input's.
    STRATA_ASSERT(!call.bias || call.in == call.out, "a product of ", name_of(call.in), " into ", name_of(call.out), " with a bias");
    const void* const old = old_of(call);
    Plan& plan = plan_for(call, old);
    multiply(queue, call, old, plan, plan.algorithm);
    if (call.bias && call.in == DType::f64)
      launch(add_bias_kernel<double>, {blocks_for(call.m * call.n, 256), 256}, queue, static_cast<double*>(call.c), call.ldc,
             static_cast<const double*>(call.bias), call.m, call.n);
  }

  void use(const Tuning& tuning) override {
    for (const auto& [name, product] : tuning.products) {
      ProductCase what;
      STRATA_ASSERT(parse_product_case(name, what), name);
      const ProductCall call = call_of(what);
      cublasLtMatmulAlgo_t algorithm;
      if (!configure(call, describe(call, old_of(call)), product.algorithm, algorithm))
        throw DeckError(text(product.where, ": products.", name, ": expected an algorithm of cuBLASLt ", cublaslt_version(),
                             " for this product, with at most ", call.scratch_bytes, " bytes of scratch",
                             adds_as_it_sets(call) ? " and sums in one part" : "", "; found one that it refuses"));
    }
    const std::lock_guard lock(mutex_);
    tuning_ = tuning.products;
    plans_.clear();
  }

  void note() override {
    const std::lock_guard lock(mutex_);
    noting_ = true;
    noted_.clear();
  }

  std::map<std::string, TunedProduct> tune(Gpu& gpu, cudaStream_t queue, int candidates, double seconds) override {
    std::map<std::string, ProductCall> calls;
    {
      const std::lock_guard lock(mutex_);
      noting_ = false;
      calls.swap(noted_);
    }
    const std::shared_ptr<void> scratch(gpu.allocate(Stream::gpu_product_scratch_bytes), [&gpu](void* memory) { gpu.release(memory); });
    std::map<std::string, TunedProduct> all;
    for (const auto& [name, call] : calls)
      if (auto tuned = tuned_product(gpu, queue, OwnOperands(gpu, queue, call, scratch.get()), candidates,
                                     seconds / static_cast<double>(calls.size())))
        all[name] = *tuned;
    return all;
  }

 private:
  static const void* old_of(const ProductCall& call) { return call.write == Write::add ? call.c : call.residual; }

  void multiply(cudaStream_t queue, const ProductCall& call, const void* old, const Plan& plan, const cublasLtMatmulAlgo_t& algorithm) {
    if (call.bias && call.in != DType::f64) name_bias(plan, call);
    const float one_f = 1, beta_f = old ? 1 : 0;
    const double one_d = 1, beta_d = old ? 1 : 0;
    const bool wide = call.in == DType::f64;
    check(cublasLtMatmul(handle_, plan.operation, wide ? static_cast<const void*>(&one_d) : &one_f, call.b.data, plan.a, call.a.data,
                         plan.b, wide ? static_cast<const void*>(&beta_d) : &beta_f, old ? old : call.c, plan.c, call.c, plan.d, &algorithm,
                         call.scratch, static_cast<std::size_t>(call.scratch_bytes), queue),
          "a product of ", shape_text(call));
  }

  static std::string shape_text(const ProductCall& call) { return text(call.m, " x ", call.n, " x ", call.k, " in ", name_of(call.in)); }

  // A sum of no terms is zero.
  static void without_terms(cudaStream_t queue, const ProductCall& call) {
    STRATA_ASSERT(!call.bias && !call.residual, "a product without terms, with a bias or a residual");
    if (call.write == Write::add) return;
    const auto element = static_cast<std::int64_t>(size_of(call.out));
    launch(zero_kernel, {blocks_for(call.m * call.n * element, 256), 256}, queue, static_cast<unsigned char*>(call.c), call.ldc * element,
           call.m, call.n * element);
  }

  static void name_bias(const Plan& plan, const ProductCall& call) {
    check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &call.bias, sizeof call.bias), "naming a bias");
  }

  Plan& plan_for(const ProductCall& call, const void* old) {
    const bool one_plan = adds_as_it_sets(call);
    if (one_plan) old = call.c;
    const std::int64_t ld_old = one_plan || call.write == Write::add ? call.ldc : call.residual ? call.ld_residual : 0;
    const Key key{call.m,
                  call.n,
                  call.k,
                  call.in,
                  call.out,
                  call.a.stride,
                  call.b.stride,
                  call.ldc,
                  ld_old,
                  call.a.transposed,
                  call.b.transposed,
                  call.bias != nullptr,
                  old == call.c,
                  alignment_of(call.a.data),
                  alignment_of(call.b.data),
                  alignment_of(call.c),
                  alignment_of(old),
                  alignment_of(call.bias)};
    const std::lock_guard lock(mutex_);
    if (noting_) noted_.emplace(case_of(call).name(), call);
    const auto found = plans_.find(key);
    if (found != plans_.end()) return found->second;
    return plans_.emplace(key, make_plan(call, old)).first->second;
  }

  Plan make_plan(const ProductCall& call, const void* old) const {
    Plan plan = describe(call, old);
    const auto tuned = tuning_.empty() ? tuning_.end() : tuning_.find(case_of(call).name());
    if (tuned == tuning_.end())
      plan.algorithm = candidates_of(call, old, plan, 1).front().lt;
    else if (!configure(call, plan, tuned->second.algorithm, plan.algorithm))
      throw InternalError(text("cuBLASLt refuses the tuned algorithm of ", tuned->first));
    return plan;
  }

  Plan describe(const ProductCall& call, const void* old) const {
    Plan plan;
    const std::int64_t ld_old = old && old != call.c ? call.ld_residual : call.ldc;
    const bool wide = call.in == DType::f64;
    check(cublasLtMatmulDescCreate(plan.operation.place(), wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, wide ? CUDA_R_64F : CUDA_R_32F),
          "describing a product");
    const cublasOperation_t of_b = call.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, of_a = call.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, &of_b, sizeof of_b), "describing a product");
    check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, &of_a, sizeof of_a), "describing a product");
    if (call.bias && !wide) {
      const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
      check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue), "asking for a bias");
      name_bias(plan, call);  // an algorithm may depend on its alignment
    }
    // b is [k,n], a [m,k]; cuBLASLt's first operand is ours second.
    plan.a = operand(call.in, call.b, call.k, call.n);
    plan.b = operand(call.in, call.a, call.m, call.k);
    plan.c = make_layout(call.out, call.n, call.m, ld_old);
    plan.d = make_layout(call.out, call.n, call.m, call.ldc);
    return plan;
  }

  static LtTypes types_of(const ProductCall& call) {
    const bool wide = call.in == DType::f64;
    return {wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, wide ? CUDA_R_64F : CUDA_R_32F, type_of(call.in), type_of(call.out)};
  }

  // An algorithm that a tuning names. False: this version of cuBLASLt refuses it for the product, or it wants more scratch than there is.
  bool configure(const ProductCall& call, const Plan& plan, const ProductAlgorithm& name, cublasLtMatmulAlgo_t& algorithm) const {
    if (adds_as_it_sets(call) && name.values[CUBLASLT_ALGO_CONFIG_SPLITK_NUM] > 1) return false;
    if (!algorithm_named(handle_, types_of(call), name, algorithm)) return false;
    cublasLtMatmulHeuristicResult_t found{};
    return cublasLtMatmulAlgoCheck(handle_, plan.operation, plan.a, plan.b, plan.c, plan.d, &algorithm, &found) == CUBLAS_STATUS_SUCCESS &&
           found.state == CUBLAS_STATUS_SUCCESS && found.workspaceSize <= static_cast<std::size_t>(call.scratch_bytes);
  }

  // The fastest algorithm that can be named, and the time of the heuristic's first; none: no algorithm can be named.
  std::optional<TunedProduct> tuned_product(Gpu& gpu, cudaStream_t queue, const OwnOperands& own, int count, double seconds) {
    const ProductCall& call = own.call();
    const void* const old = old_of(call);
    const Plan plan = describe(call, adds_as_it_sets(call) ? call.c : old);
    const std::vector<Algorithm> offered = candidates_of(call, old, plan, count);
    std::vector<Algorithm> algorithms{offered.front()};  // as it is, then all as a file gives them back
    std::vector<ProductAlgorithm> names(1);
    for (const Algorithm& one : offered) {
      const ProductAlgorithm named = name_of(handle_, types_of(call), one.lt);
      Algorithm again;
      const bool known = std::find(names.begin() + 1, names.end(), named) != names.end();
      if (!known && configure(call, plan, named, again.lt)) algorithms.push_back(again), names.push_back(named);
    }
    if (algorithms.size() == 1) return std::nullopt;
    std::vector<std::function<void()>> works;
    for (const Algorithm& algorithm : algorithms) works.emplace_back([&, algorithm] { multiply(queue, call, old, plan, algorithm.lt); });
    const std::vector<double> times = median_times(gpu, queue, works, seconds);
    // Less than a hundredth is noise: the earlier stays.
    std::size_t best = 1;
    for (std::size_t i = 2; i < times.size(); ++i)
      if (times[i] < 0.99 * times[best]) best = i;
    return TunedProduct{names[best], times[best], times[0], static_cast<int>(times.size()) - 1, ""};
  }

  // What the heuristic names, best first, for operands aligned as they are.
  std::vector<Algorithm> candidates_of(const ProductCall& call, const void* old, const Plan& plan, int wanted) const {
    Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference;
    check(cublasLtMatmulPreferenceCreate(preference.place()), "describing a preference");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value), "describing a preference");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(call.scratch_bytes));
    // Sums of parts of k through the scratch, in a fixed order; never in place, where the order is that of arrival. Where C may be added,
    // in one part: nobody says at which point of a sum of parts C comes in.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        static_cast<std::uint32_t>(adds_as_it_sets(call) ? CUBLASLT_REDUCTION_SCHEME_NONE : CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(call.b.data));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(call.a.data));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(old ? old : call.c));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(call.c));
    std::vector<Candidate> found(static_cast<std::size_t>(wanted));
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, plan.operation, plan.a, plan.b, plan.c, plan.d, preference,
                                                                 wanted, &found.front().lt, &count);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(status, "choosing an algorithm for ", shape_text(call));
    std::vector<Algorithm> algorithms;
    for (int i = 0; i < count; ++i)
      if (found[static_cast<std::size_t>(i)].lt.state == CUBLAS_STATUS_SUCCESS)
        algorithms.push_back({found[static_cast<std::size_t>(i)].lt.algo});
    if (algorithms.empty())
      throw InternalError(text("cuBLASLt has no algorithm for a product of ", shape_text(call), " into ", name_of(call.out)));
    return algorithms;
  }

  Owned<cublasLtHandle_t, cublasLtDestroy> handle_;
  std::mutex mutex_;
  std::map<Key, Plan> plans_;
  std::map<std::string, TunedProduct> tuning_;  // by ProductCase::name()
  bool noting_ = false;
  std::map<std::string, ProductCall> noted_;  // the first of each, by the same name
};

}  // namespace

std::int64_t cublaslt_version() {
  return static_cast<std::int64_t>(cublasLtGetVersion());
}

std::unique_ptr<Products> make_products() {
  return std::make_unique<LtProducts>();
}

}  // namespace strata::cuda
