// cublasLtMatmul: D = epilogue(alpha op(A) op(B) + beta C). Sums run over rising k, in f32 or f64, unless the algorithm has another order.
#include <cmath>
#include <string>
#include <vector>

#include "cublaslt.hpp"
#include "emulation/narrow.hpp"
#include "emulation/run.hpp"

namespace emulation {
namespace {

// One operand of a product, from its layout.
struct Matrix {
  explicit Matrix(const cublasLtMatrixLayoutOpaque_t& layout)
      : type(attribute<cudaDataType>(layout, CUBLASLT_MATRIX_LAYOUT_TYPE)),
        by_rows(attribute<int>(layout, CUBLASLT_MATRIX_LAYOUT_ORDER) == CUBLASLT_ORDER_ROW),
        rows(attribute<std::int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_ROWS)),
        cols(attribute<std::int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_COLS)),
        ld(attribute<std::int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_LD)),
        batch(attribute<int>(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)),
        stride(attribute<std::int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET)) {}

  cudaDataType type;
  bool by_rows;
  std::int64_t rows, cols, ld;
  int batch;
  std::int64_t stride;  // [elements] from one of a batch to the next

  bool valid() const { return rows > 0 && cols > 0 && batch > 0 && ld >= (by_rows ? cols : rows); }
  std::int64_t at(std::int64_t row, std::int64_t col) const { return by_rows ? row * ld + col : col * ld + row; }
  std::int64_t elements() const { return at(rows - 1, cols - 1) + 1 + (batch - 1) * stride; }
};

std::size_t size_of(cudaDataType type) {
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

double load(const void* data, cudaDataType type, std::int64_t i) {
  switch (type) {
    case CUDA_R_64F:
      return static_cast<const double*>(data)[i];
    case CUDA_R_32F:
      return static_cast<double>(static_cast<const float*>(data)[i]);
    case CUDA_R_16BF:
      return static_cast<double>(bf16_to_float(static_cast<const std::uint16_t*>(data)[i]));
    default:
      return static_cast<double>(half_to_float(static_cast<const std::uint16_t*>(data)[i]));
  }
}

template <class T>
void store(void* data, cudaDataType type, std::int64_t i, T value) {
  switch (type) {
    case CUDA_R_64F:
      static_cast<double*>(data)[i] = static_cast<double>(value);
      return;
    case CUDA_R_32F:
      static_cast<float*>(data)[i] = static_cast<float>(value);
      return;
    case CUDA_R_16BF:
      static_cast<std::uint16_t*>(data)[i] = float_to_bf16(static_cast<float>(value));
      return;
    default:
      static_cast<std::uint16_t*>(data)[i] = float_to_half(static_cast<float>(value));
      return;
  }
}

// tf32 keeps ten bits after the point: to nearest, ties away from zero.
float to_tf32(float x) {
  if (!std::isfinite(x)) return x;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000u) & 0xffffe000u);
}

struct Epilogue {
  explicit Epilogue(const cublasLtMatmulDescOpaque_t& desc, cudaDataType d_type)
      : kind(attribute<int>(desc, CUBLASLT_MATMUL_DESC_EPILOGUE)),
        bias(attribute<void*>(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER)),
        bias_stride(attribute<std::int64_t>(desc, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE)),
        aux(attribute<void*>(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER)),
        aux_ld(attribute<std::int64_t>(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD)),
        aux_stride(attribute<std::int64_t>(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE)) {
    const int own_bias = attribute<int>(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
    const int own_aux = attribute<int>(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE);
    bias_type = own_bias < 0 ? d_type : static_cast<cudaDataType>(own_bias);
    aux_type = own_aux < 0 ? d_type : static_cast<cudaDataType>(own_aux);
  }
  bool has(int flag) const { return (kind & flag) != 0; }
  bool adds_bias() const { return has(CUBLASLT_EPILOGUE_BIAS); }
  bool gelu() const { return has(32); }
  bool relu() const { return has(CUBLASLT_EPILOGUE_RELU); }
  bool gelu_gradient() const { return has(64); }
  bool bias_gradient() const { return has(16) || has(CUBLASLT_EPILOGUE_BGRADA) || has(CUBLASLT_EPILOGUE_BGRADB); }
  bool uses_aux() const { return has(128); }
  bool supported() const { return !has(8) && !(relu() && uses_aux()); }  // not: ReLU's bit mask

  int kind;
  void* bias;
  std::int64_t bias_stride;
  void* aux;
  std::int64_t aux_ld, aux_stride;
  cudaDataType bias_type, aux_type;
};

// cuBLASLt's GELU is the one with the hyperbolic tangent.
template <class T>
T gelu(T x) {
  const T inner = static_cast<T>(0.79788456080286535588) * (x + static_cast<T>(0.044715) * x * x * x);
  return static_cast<T>(0.5) * x * (1 + std::tanh(inner));
}
template <class T>
T gelu_slope(T x) {
  const T root = static_cast<T>(0.79788456080286535588), cubic = static_cast<T>(0.044715);
  const T t = std::tanh(root * (x + cubic * x * x * x));
  return static_cast<T>(0.5) * (1 + t) + static_cast<T>(0.5) * x * (1 - t * t) * root * (1 + 3 * cubic * x * x);
}

// Sums over k from `first` to `last` of tiles of 64 x 4: a [k][m], b [k][n], both padded with zeros to whole tiles; added to result [n][m].
constexpr std::int64_t tile_m = 64, tile_n = 4;

template <class T>
void multiply(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ result, std::int64_t m, std::int64_t n, std::int64_t first,
              std::int64_t last, bool backward) {
  for (std::int64_t n0 = 0; n0 < n; n0 += tile_n) {
    for (std::int64_t m0 = 0; m0 < m; m0 += tile_m) {
      T sums[tile_n][tile_m] = {};
      for (std::int64_t step = first; step < last; ++step) {
        const std::int64_t i = backward ? first + last - 1 - step : step;
        const T* const column = a + i * m + m0;
        for (std::int64_t j = 0; j < tile_n; ++j) {
          const T factor = b[i * n + n0 + j];
          for (std::int64_t l = 0; l < tile_m; ++l) sums[j][l] += factor * column[l];
        }
      }
      for (std::int64_t j = 0; j < tile_n; ++j) {
        for (std::int64_t l = 0; l < tile_m; ++l) result[(n0 + j) * m + m0 + l] += sums[j][l];
      }
    }
  }
}

std::int64_t padded(std::int64_t n, std::int64_t tile) {
  return (n + tile - 1) / tile * tile;
}

struct Call {
  Problem problem;
  double alpha, beta;
  const void *a, *b, *c;
  void *d, *workspace;
  std::size_t workspace_bytes;
  SumOrder order;
};

template <class T>
class Product {
 public:
  explicit Product(const Call& call)
      : call_(call),
        a_(call.problem.a),
        b_(call.problem.b),
        c_(call.problem.c),
        d_(call.problem.d),
        epilogue_(call.problem.desc, d_.type),
        transposed_a_(attribute<int>(call.problem.desc, CUBLASLT_MATMUL_DESC_TRANSA) != CUBLAS_OP_N),
        transposed_b_(attribute<int>(call.problem.desc, CUBLASLT_MATMUL_DESC_TRANSB) != CUBLAS_OP_N),
        tf32_(attribute<int>(call.problem.desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE) == CUBLAS_COMPUTE_32F_FAST_TF32),
        k_(transposed_a_ ? a_.rows : a_.cols),
        m_(padded(d_.rows, tile_m)),
        n_(padded(d_.cols, tile_n)) {}

  void run() {
    require(call_.a, a_, "A");
    require(call_.b, b_, "B");
    if (call_.beta != 0) require(call_.c, c_, "C");
    require(call_.d, d_, "D");
    if (call_.workspace_bytes > 0) std::memset(call_.workspace, 0xff, call_.workspace_bytes);
    for (int i = 0; i < d_.batch; ++i) {
      const auto a = pack(call_.a, a_, i, transposed_a_, m_);   // [k][m]
      const auto b = pack(call_.b, b_, i, !transposed_b_, n_);  // [k][n]
      // Nobody says where C comes in when sums have several parts: here it is behind the first.
      std::vector<T> sums(static_cast<std::size_t>(m_ * n_)), rest(call_.order.parts > 1 ? sums.size() : 0);
      add_parts(a, b, sums, rest);
      finish(sums, rest, i);
      if (epilogue_.has(CUBLASLT_EPILOGUE_BGRADA)) sum_over_k(a, m_, d_.rows, i);
      if (epilogue_.has(CUBLASLT_EPILOGUE_BGRADB)) sum_over_k(b, n_, d_.cols, i);
    }
  }

 private:
  // Part after part, or by turns from the other end: what arrives first differs from call to call. All but the first to `rest`.
  void add_parts(const std::vector<T>& a, const std::vector<T>& b, std::vector<T>& sums, std::vector<T>& rest) const {
    static int calls = 0;
    const int parts = call_.order.parts;
    const bool turned = call_.order.by_arrival && ++calls % 2 == 0;
    for (int i = 0; i < parts; ++i) {
      const int part = turned ? parts - 1 - i : i;
      multiply(a.data(), b.data(), (i == 0 ? sums : rest).data(), m_, n_, k_ * part / parts, k_ * (part + 1) / parts, call_.order.backward);
    }
  }

  static void require(const void* data, const Matrix& matrix, const char* name) {
    if (is_device_memory(data, static_cast<std::size_t>(matrix.elements()) * size_of(matrix.type))) return;
    fail(std::string("cublasLtMatmul: matrix ") + name + " does not lie in one allocation of device memory");
  }

  // [k][width]: the matrix with k along its rows (`k_is_row`), or its columns, padded with zeros.
  std::vector<T> pack(const void* data, const Matrix& matrix, int batch, bool k_is_row, std::int64_t width) const {
    std::vector<T> packed(static_cast<std::size_t>(k_ * width));
    const std::int64_t used = k_is_row ? matrix.cols : matrix.rows;
    for (std::int64_t k = 0; k < k_; ++k) {
      for (std::int64_t i = 0; i < used; ++i) {
        const auto value = static_cast<T>(load(data, matrix.type, batch * matrix.stride + (k_is_row ? matrix.at(k, i) : matrix.at(i, k))));
        packed[static_cast<std::size_t>(k * width + i)] = tf32_ ? static_cast<T>(to_tf32(static_cast<float>(value))) : value;
      }
    }
    return packed;
  }

  // The sums to D, by way of the epilogue.
  void finish(const std::vector<T>& sums, const std::vector<T>& rest, int batch) const {
    const T alpha = static_cast<T>(call_.alpha), beta = static_cast<T>(call_.beta);
    std::vector<T> bias_gradient(static_cast<std::size_t>(d_.rows));
    for (std::int64_t n = 0; n < d_.cols; ++n) {
      for (std::int64_t m = 0; m < d_.rows; ++m) {
        T value = alpha * sums[static_cast<std::size_t>(n * m_ + m)];
        if (beta != 0) value += beta * static_cast<T>(load(call_.c, c_.type, batch * c_.stride + c_.at(m, n)));
        if (!rest.empty()) value += alpha * rest[static_cast<std::size_t>(n * m_ + m)];
        if (epilogue_.adds_bias()) value += static_cast<T>(load(epilogue_.bias, epilogue_.bias_type, batch * epilogue_.bias_stride + m));
        const std::int64_t aux = batch * epilogue_.aux_stride + n * epilogue_.aux_ld + m;
        if (epilogue_.gelu_gradient())
          value *= gelu_slope(static_cast<T>(load(epilogue_.aux, epilogue_.aux_type, aux)));
        else if (epilogue_.uses_aux())
          store(epilogue_.aux, epilogue_.aux_type, aux, value);
        if (epilogue_.gelu()) value = gelu(value);
        if (epilogue_.relu()) value = value > 0 ? value : T{0};
        bias_gradient[static_cast<std::size_t>(m)] += value;
        store(call_.d, d_.type, batch * d_.stride + d_.at(m, n), value);
      }
    }
    if (epilogue_.has(16)) store_bias(bias_gradient, batch);
  }

  void sum_over_k(const std::vector<T>& packed, std::int64_t width, std::int64_t used, int batch) const {
    std::vector<T> sums(static_cast<std::size_t>(used));
    for (std::int64_t k = 0; k < k_; ++k) {
      for (std::int64_t i = 0; i < used; ++i) sums[static_cast<std::size_t>(i)] += packed[static_cast<std::size_t>(k * width + i)];
    }
    store_bias(sums, batch);
  }

  void store_bias(const std::vector<T>& values, int batch) const {
    for (std::size_t i = 0; i < values.size(); ++i) {
      store(epilogue_.bias, epilogue_.bias_type, batch * epilogue_.bias_stride + static_cast<std::int64_t>(i), values[i]);
    }
  }

  const Call& call_;
  Matrix a_, b_, c_, d_;
  Epilogue epilogue_;
  bool transposed_a_, transposed_b_, tf32_;
  std::int64_t k_, m_, n_;
};

bool types_supported(const Problem& p, const Matrix& a, const Matrix& b, const Matrix& c, const Matrix& d) {
  const auto compute = attribute<cublasComputeType_t>(p.desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE);
  const auto scale = attribute<cudaDataType>(p.desc, CUBLASLT_MATMUL_DESC_SCALE_TYPE);
  if (a.type != b.type || c.type != d.type) return false;
  if (compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC)
    return scale == CUDA_R_64F && a.type == CUDA_R_64F && d.type == CUDA_R_64F;
  if (compute == CUBLAS_COMPUTE_16F || scale != CUDA_R_32F) return false;
  if (a.type == CUDA_R_32F) return d.type == CUDA_R_32F;
  if (compute == CUBLAS_COMPUTE_32F_FAST_TF32) return false;
  return (a.type == CUDA_R_16BF || a.type == CUDA_R_16F) && (d.type == a.type || d.type == CUDA_R_32F);
}

}  // namespace

std::uint64_t terms_of(const Problem& p) {
  const Matrix a(p.a);
  return static_cast<std::uint64_t>(attribute<int>(p.desc, CUBLASLT_MATMUL_DESC_TRANSA) != CUBLAS_OP_N ? a.rows : a.cols);
}

cublasStatus_t check(const Problem& p) {
  const Matrix a(p.a), b(p.b), c(p.c), d(p.d);
  if (!a.valid() || !b.valid() || !c.valid() || !d.valid()) return CUBLAS_STATUS_INVALID_VALUE;
  const bool ta = attribute<int>(p.desc, CUBLASLT_MATMUL_DESC_TRANSA) != CUBLAS_OP_N,
             tb = attribute<int>(p.desc, CUBLASLT_MATMUL_DESC_TRANSB) != CUBLAS_OP_N;
  if ((ta ? a.cols : a.rows) != d.rows || (tb ? b.rows : b.cols) != d.cols || (ta ? a.rows : a.cols) != (tb ? b.cols : b.rows))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (c.rows != d.rows || c.cols != d.cols || c.by_rows != d.by_rows) return CUBLAS_STATUS_INVALID_VALUE;
  if (a.batch != d.batch || b.batch != d.batch || c.batch != d.batch) return CUBLAS_STATUS_INVALID_VALUE;
  const Epilogue epilogue(p.desc, d.type);
  if (epilogue.uses_aux() && (epilogue.aux == nullptr || epilogue.aux_ld < d.rows || epilogue.aux_ld % 8 != 0))
    return CUBLAS_STATUS_INVALID_VALUE;
  if ((epilogue.adds_bias() || epilogue.bias_gradient()) && epilogue.bias == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  // A bias is of D's type (cublasLt.h: but for integers and fp8, which are not here).
  if (epilogue.adds_bias() && epilogue.bias_type != d.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (attribute<int>(p.desc, CUBLASLT_MATMUL_DESC_POINTER_MODE) != CUBLASLT_POINTER_MODE_HOST) return CUBLAS_STATUS_NOT_SUPPORTED;
  return types_supported(p, a, b, c, d) && epilogue.supported() ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

}  // namespace emulation

using namespace emulation;

extern "C" cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                                         cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout, const void* beta,
                                         const void* c, cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                                         const cublasLtMatmulAlgo_t* algo, void* workspace, std::size_t workspace_bytes,
                                         cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (desc == nullptr || alpha == nullptr || beta == nullptr || a == nullptr || b == nullptr || d == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  Call call{{*desc, *a_layout, *b_layout, *c_layout, *d_layout}, 0, 0, a, b, c, d, workspace, 0, {}};
  const cublasStatus_t status = check(call.problem);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (algo != nullptr) {
    const auto algorithm = std::bit_cast<Algorithm>(*algo);
    const cublasStatus_t possible = check(call.problem, algorithm, call.workspace_bytes);
    if (possible != CUBLAS_STATUS_SUCCESS) return possible;
    if (call.workspace_bytes > workspace_bytes) return CUBLAS_STATUS_INVALID_VALUE;
    if (call.workspace_bytes > 0 && reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0) return CUBLAS_STATUS_INVALID_VALUE;
    call.order = order_of(algorithm);
  }
  const bool wide = attribute<cudaDataType>(*desc, CUBLASLT_MATMUL_DESC_SCALE_TYPE) == CUDA_R_64F;
  call.alpha = load(alpha, wide ? CUDA_R_64F : CUDA_R_32F, 0);
  call.beta = load(beta, wide ? CUDA_R_64F : CUDA_R_32F, 0);
  if (call.beta != 0 && c == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const cudaError_t error = enqueue_work("cublasLtMatmul", stream, [call, wide] {
    if (wide)
      Product<double>(call).run();
    else
      Product<float>(call).run();
  });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
