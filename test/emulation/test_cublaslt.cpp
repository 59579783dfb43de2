// The emulation's matrix products against Eigen: every transpose, order and type; epilogues; what is refused.
#include <cublasLt.h>
#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "emulation/emulation_fixture.hpp"

using strata::test::Device;
using strata::test::DeviceArray;

namespace {

using Dense = Eigen::MatrixXd;

Dense numbers(int rows, int cols, int first) {
  Dense m(rows, cols);
  for (int i = 0; i < rows * cols; ++i) m(i % rows, i / rows) = ((i + first) * 29 % 31 - 15) / 8.0;  // exact in every type
  return m;
}

template <class T>
constexpr cudaDataType type_of() {
  if (std::is_same_v<T, double>) return CUDA_R_64F;
  if (std::is_same_v<T, float>) return CUDA_R_32F;
  return std::is_same_v<T, __nv_bfloat16> ? CUDA_R_16BF : CUDA_R_16F;
}

// A matrix in device memory with a padded leading dimension, and its layout.
template <class T>
struct Operand {
  Operand(const Device& device, const Dense& values, bool by_rows)
      : rows(static_cast<int>(values.rows())),
        cols(static_cast<int>(values.cols())),
        ld((by_rows ? cols : rows) + 3),
        rowwise(by_rows),
        data(device, stored(values)) {
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layout, type_of<T>(), static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols), ld),
              CUBLAS_STATUS_SUCCESS);
    const int order = by_rows ? CUBLASLT_ORDER_ROW : CUBLASLT_ORDER_COL;
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order), CUBLAS_STATUS_SUCCESS);
  }
  ~Operand() { cublasLtMatrixLayoutDestroy(layout); }
  std::size_t at(int row, int col) const { return static_cast<std::size_t>(rowwise ? row * ld + col : col * ld + row); }
  std::vector<T> stored(const Dense& values) const {
    std::vector<T> flat(static_cast<std::size_t>(ld * (rowwise ? rows : cols)), T(0.0f));
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < cols; ++j) flat[at(i, j)] = static_cast<T>(values(i, j));
    }
    return flat;
  }
  Dense read() const {
    const auto flat = data.read();
    Dense values(rows, cols);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < cols; ++j)
        values(i, j) = static_cast<double>(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(flat[at(i, j)]));
    }
    return values;
  }

  int rows, cols, ld;
  bool rowwise;
  DeviceArray<T> data;
  cublasLtMatrixLayout_t layout = nullptr;
};

struct Blas {
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t desc = nullptr;
  explicit Blas(bool wide = false, cublasComputeType_t compute = CUBLAS_COMPUTE_32F) {
    EXPECT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulDescCreate(&desc, wide ? CUBLAS_COMPUTE_64F : compute, wide ? CUDA_R_64F : CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
  }
  ~Blas() {
    cublasLtMatmulDescDestroy(desc);
    cublasLtDestroy(handle);
  }
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
  }
  template <class Scale, class T, class U>
  cublasStatus_t multiply(const Device& device, Scale alpha, const Operand<T>& a, const Operand<T>& b, Scale beta, const Operand<U>& d) {
    return cublasLtMatmul(handle, desc, &alpha, a.data, a.layout, b.data, b.layout, &beta, d.data, d.layout, d.data, d.layout, nullptr,
                          nullptr, 0, device.stream);
  }
};

// 2 op(A) op(B) - C for all transposes and orders.
template <class T, class U>
void compare_all(double tolerance) {
  Device device;
  constexpr bool wide = std::is_same_v<T, double>;
  using Scale = std::conditional_t<wide, double, float>;
  const int M = 70, N = 9, K = 33;
  for (int bits = 0; bits < 32; ++bits) {
    const bool ta = bits & 1, tb = bits & 2;
    Blas blas(wide);
    blas.set(CUBLASLT_MATMUL_DESC_TRANSA, ta ? CUBLAS_OP_T : CUBLAS_OP_N);
    blas.set(CUBLASLT_MATMUL_DESC_TRANSB, tb ? CUBLAS_OP_T : CUBLAS_OP_N);
    const Dense a = ta ? numbers(K, M, 1) : numbers(M, K, 1), b = tb ? numbers(N, K, 5) : numbers(K, N, 5), c = numbers(M, N, 9);
    const Operand<T> d_a(device, a, bits & 4), d_b(device, b, bits & 8);
    const Operand<U> d_d(device, c, bits & 16);

    ASSERT_EQ(blas.multiply<Scale>(device, 2, d_a, d_b, -1, d_d), CUBLAS_STATUS_SUCCESS);

    const Dense expected = 2 * (ta ? Dense(a.transpose()) : a) * (tb ? Dense(b.transpose()) : b) - c;
    const Dense error = (d_d.read() - expected).cwiseAbs();
    for (int i = 0; i < M * N; ++i) ASSERT_LE(error(i % M, i / M), tolerance * std::abs(expected(i % M, i / M))) << bits;
  }
}

TEST(EmulatedCublasLt, AgreesWithEigen) {
  compare_all<double, double>(0);  // the numbers are such that every sum is exact
  compare_all<float, float>(0);
  compare_all<__nv_bfloat16, float>(0);
  compare_all<__nv_bfloat16, __nv_bfloat16>(1.0 / 256);
  compare_all<__half, float>(0);
  compare_all<__half, __half>(1.0 / 2048);
}

TEST(EmulatedCublasLt, Batches) {
  Device device;
  Blas blas;
  const int M = 5, N = 4, K = 3;
  const Dense a = numbers(M, 2 * K, 1), b = numbers(K, 2 * N, 2);
  const Operand<float> d_a(device, a, false), d_b(device, b, false), d_d(device, Dense::Zero(M, 2 * N), false);
  const auto batched = [](const Operand<float>& operand, int cols) {
    const std::uint64_t one = static_cast<std::uint64_t>(cols);
    const std::int64_t stride = cols * operand.ld;
    const int two = 2;
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(operand.layout, CUBLASLT_MATRIX_LAYOUT_COLS, &one, sizeof one), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(operand.layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &two, sizeof two),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(operand.layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
              CUBLAS_STATUS_SUCCESS);
  };
  batched(d_a, K), batched(d_b, N), batched(d_d, N);

  ASSERT_EQ(blas.multiply(device, 1.0f, d_a, d_b, 0.0f, d_d), CUBLAS_STATUS_SUCCESS);

  const Dense d = d_d.read();
  EXPECT_EQ(d.leftCols(N), a.leftCols(K) * b.leftCols(N));
  EXPECT_EQ(d.rightCols(N), a.rightCols(K) * b.rightCols(N));
}

TEST(EmulatedCublasLt, Epilogues) {
  Device device;
  const int M = 8, N = 6, K = 5;
  const Dense a = numbers(M, K, 1), b = numbers(K, N, 2), c = a * b;
  const Operand<float> d_a(device, a, false), d_b(device, b, false), d_d(device, Dense::Zero(M, N), false);
  const DeviceArray<float> bias(device, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}), aux(device, 48);
  const auto run = [&](cublasLtEpilogue_t epilogue) {
    Blas blas;
    blas.set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    blas.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<float*>(bias));
    blas.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<float*>(aux));
    blas.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{8});
    EXPECT_EQ(blas.multiply(device, 1.0f, d_a, d_b, 0.0f, d_d), CUBLAS_STATUS_SUCCESS);
    return d_d.read();
  };
  const auto gelu = [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); };

  const Dense with_bias = run(CUBLASLT_EPILOGUE_BIAS), with_gelu = run(CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
  const auto kept = aux.read();
  const Dense slope = run(CUBLASLT_EPILOGUE_DGELU_BGRAD);
  const auto slope_sums = bias.read();
  run(CUBLASLT_EPILOGUE_BGRADA);
  const auto a_sums = bias.read();
  run(CUBLASLT_EPILOGUE_BGRADB);
  const auto b_sums = bias.read();

  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < N; ++n) {
      const double x = c(m, n) + m + 1;
      EXPECT_EQ(with_bias(m, n), x);
      EXPECT_EQ(static_cast<double>(kept[static_cast<std::size_t>(n * 8 + m)]), x);
      EXPECT_NEAR(with_gelu(m, n), gelu(x), 1e-5);
      EXPECT_NEAR(slope(m, n), c(m, n) * (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5, 1e-4);
    }
    EXPECT_NEAR(static_cast<double>(slope_sums[static_cast<std::size_t>(m)]), slope.row(m).sum(), 1e-4);
    EXPECT_EQ(static_cast<double>(a_sums[static_cast<std::size_t>(m)]), a.row(m).sum());
  }
  for (int n = 0; n < N; ++n) EXPECT_EQ(static_cast<double>(b_sums[static_cast<std::size_t>(n)]), b.col(n).sum());
}

TEST(EmulatedCublasLt, ABiasIsOfTheTypeOfTheResult) {
  Device device;
  const Operand<__nv_bfloat16> a(device, numbers(8, 8, 1), false);
  const Operand<float> d(device, Dense::Zero(8, 8), false);
  const DeviceArray<float> bias(device, 8);
  Blas blas;
  blas.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  blas.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<float*>(bias));
  EXPECT_EQ(blas.multiply(device, 1.0f, a, a, 0.0f, d), CUBLAS_STATUS_SUCCESS);
  blas.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_16BF);
  EXPECT_EQ(blas.multiply(device, 1.0f, a, a, 0.0f, d), CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST(EmulatedCublasLt, AlgorithmsAndWorkspace) {
  Device device;
  Blas blas;
  const Operand<float> a(device, numbers(4, 4, 1), false), d(device, numbers(4, 4, 2), false);
  cublasLtMatmulPreference_t preference = nullptr;
  ASSERT_EQ(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
  const std::size_t offered = 4096;
  EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &offered, sizeof offered),
            CUBLAS_STATUS_SUCCESS);
  cublasLtMatmulHeuristicResult_t found;
  int count = 0;
  EXPECT_EQ(cublasLtMatmulAlgoGetHeuristic(blas.handle, blas.desc, a.layout, a.layout, d.layout, d.layout, preference, 1, &found, &count),
            CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(count, 1);
  EXPECT_EQ(found.workspaceSize, offered);
  const DeviceArray<float> workspace(device, 1024), larger(device, 2048);
  const float one = 1, zero = 0;
  const auto multiply = [&](std::size_t bytes) {
    return cublasLtMatmul(blas.handle, blas.desc, &one, a.data, a.layout, a.data, a.layout, &zero, d.data, d.layout, d.data, d.layout,
                          &found.algo, workspace, bytes, device.stream);
  };

  EXPECT_EQ(multiply(4096), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(4095), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmul(blas.handle, blas.desc, &one, a.data, a.layout, a.data, a.layout, &zero, d.data, d.layout, d.data, d.layout,
                           &found.algo, static_cast<float*>(larger) + 16, 4096, device.stream),
            CUBLAS_STATUS_INVALID_VALUE)
      << "a workspace that is not 256-byte aligned";
  for (const float x : workspace.read()) EXPECT_TRUE(std::isnan(x));
  int id = 0;
  EXPECT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&found.algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id, nullptr), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(id, 1);
  EXPECT_EQ(cublasLtMatmulPreferenceDestroy(preference), CUBLAS_STATUS_SUCCESS);
}

// Long sums come in two parts where the caller's mask allows it, and C between them; where it does not, C is added to the finished sum.
TEST(EmulatedCublasLt, SumsInParts) {
  Device device;
  const int M = 3, N = 2, K = 602;
  const Operand<float> a(device, Dense::Constant(M, K, 0x1p-12), false), b(device, Dense::Ones(K, N), false);
  const auto run = [&](std::uint32_t mask) {
    Blas blas;
    const Operand<float> d(device, Dense::Constant(M, N, 0x1p12), false);  // 2^-12, one term, is half of its last place
    cublasLtMatmulPreference_t preference = nullptr;
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
    const std::size_t offered = 1 << 20;
    EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &offered, sizeof offered),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &mask, sizeof mask),
              CUBLAS_STATUS_SUCCESS);
    cublasLtMatmulHeuristicResult_t found;
    int count = 0, parts = 0;
    EXPECT_EQ(cublasLtMatmulAlgoGetHeuristic(blas.handle, blas.desc, a.layout, b.layout, d.layout, d.layout, preference, 1, &found, &count),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&found.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, nullptr),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(parts, mask == CUBLASLT_REDUCTION_SCHEME_NONE ? 1 : 2);
    const DeviceArray<float> workspace(device, 1 << 18);
    const float one = 1;
    EXPECT_EQ(cublasLtMatmul(blas.handle, blas.desc, &one, a.data, a.layout, b.data, b.layout, &one, d.data, d.layout, d.data, d.layout,
                             &found.algo, workspace, offered, device.stream),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulPreferenceDestroy(preference), CUBLAS_STATUS_SUCCESS);
    return d.read();
  };

  const double sum = 301 * 0x1p-12;  // of each part
  EXPECT_EQ(run(CUBLASLT_REDUCTION_SCHEME_NONE), Dense::Constant(M, N, static_cast<double>(static_cast<float>(0x1p12 + 2 * sum))));
  // A half is rounded away twice.
  const float between = static_cast<float>(0x1p12 + sum);
  EXPECT_EQ(run(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE), Dense::Constant(M, N, static_cast<double>(between + static_cast<float>(sum))));
}

// Four algorithms that add in orders of their own; the one that adds in the order of arrival where it is not ruled out.
struct Candidates {
  explicit Candidates(std::uint32_t schemes, int wanted = 8) : results(8) {
    cublasLtMatmulPreference_t preference = nullptr;
    EXPECT_EQ(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
    const std::size_t offered = 1 << 20;
    EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &offered, sizeof offered),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes),
              CUBLAS_STATUS_SUCCESS);
    int count = 0;
    EXPECT_EQ(cublasLtMatmulAlgoGetHeuristic(blas.handle, blas.desc, a.layout, b.layout, d.layout, d.layout, preference, wanted,
                                             results.data(), &count),
              CUBLAS_STATUS_SUCCESS);
    results.resize(static_cast<std::size_t>(count));
    EXPECT_EQ(cublasLtMatmulPreferenceDestroy(preference), CUBLAS_STATUS_SUCCESS);
  }
  Dense product(const cublasLtMatmulAlgo_t& algorithm) {
    const float one = 1, zero = 0;
    EXPECT_EQ(cublasLtMatmul(blas.handle, blas.desc, &one, a.data, a.layout, b.data, b.layout, &zero, d.data, d.layout, d.data, d.layout,
                             &algorithm, workspace, 1 << 20, device.stream),
              CUBLAS_STATUS_SUCCESS);
    return d.read();
  }
  static Dense rounded(int rows, int cols, double step) {  // sums round
    Dense m(rows, cols);
    for (int i = 0; i < rows * cols; ++i) m(i % rows, i / rows) = static_cast<double>(static_cast<float>(std::sin(i * step) * 3));
    return m;
  }

  Device device;
  Blas blas;
  const Operand<float> a{device, rounded(6, 90, 0.7), false}, b{device, rounded(90, 5, 1.3), false}, d{device, numbers(6, 5, 2), false};
  const DeviceArray<float> workspace{device, 1 << 18};
  std::vector<cublasLtMatmulHeuristicResult_t> results;
};

TEST(EmulatedCublasLt, CandidatesDifferInTheirLastBits) {
  Candidates fixed(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE), one(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 1);
  ASSERT_EQ(fixed.results.size(), 3u);
  ASSERT_EQ(one.results.size(), 1u);
  const Dense exact = Candidates::rounded(6, 90, 0.7) * Candidates::rounded(90, 5, 1.3);
  std::vector<Dense> products;
  for (const auto& result : fixed.results) {
    products.push_back(fixed.product(result.algo));
    EXPECT_LT((products.back() - exact).cwiseAbs().maxCoeff(), 1e-3);
    EXPECT_EQ(fixed.product(result.algo), products.back()) << "the same bits on every call";
    for (std::size_t i = 0; i + 1 < products.size(); ++i) EXPECT_NE(products[i], products.back()) << i;
  }
  EXPECT_EQ(one.product(one.results[0].algo), products[0]);
}

TEST(EmulatedCublasLt, OneAddsInTheOrderOfArrival) {
  Candidates all(CUBLASLT_REDUCTION_SCHEME_MASK);
  ASSERT_EQ(all.results.size(), 4u);
  const Dense first = all.product(all.results[1].algo), second = all.product(all.results[1].algo);
  EXPECT_NE(first, second);
}

TEST(EmulatedCublasLt, AnAlgorithmIsMadeAgainFromItsAttributes) {
  Candidates c(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
  for (const auto& result : c.results) {
    cublasLtMatmulAlgo_t again;
    int id = 0;
    ASSERT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&result.algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id, nullptr), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(
        cublasLtMatmulAlgoInit(c.blas.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, id, &again),
        CUBLAS_STATUS_SUCCESS);
    for (const auto attribute : {CUBLASLT_ALGO_CONFIG_TILE_ID, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                 CUBLASLT_ALGO_CONFIG_STAGES_ID}) {
      std::uint32_t value = 0;
      ASSERT_EQ(cublasLtMatmulAlgoConfigGetAttribute(&result.algo, attribute, &value, sizeof value, nullptr), CUBLAS_STATUS_SUCCESS);
      ASSERT_EQ(cublasLtMatmulAlgoConfigSetAttribute(&again, attribute, &value, sizeof value), CUBLAS_STATUS_SUCCESS);
    }
    cublasLtMatmulHeuristicResult_t checked{};
    const auto check = [&] {
      return cublasLtMatmulAlgoCheck(c.blas.handle, c.blas.desc, c.a.layout, c.b.layout, c.d.layout, c.d.layout, &again, &checked);
    };
    ASSERT_EQ(check(), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(checked.state, CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(c.product(again), c.product(result.algo));

    for (const auto& [attribute, wrong] : {std::pair{CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 91u},
                                           {CUBLASLT_ALGO_CONFIG_TILE_ID, 99u},
                                           {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4u}}) {
      const cublasLtMatmulAlgo_t before = again;
      ASSERT_EQ(cublasLtMatmulAlgoConfigSetAttribute(&again, attribute, &wrong, sizeof wrong), CUBLAS_STATUS_SUCCESS);
      EXPECT_EQ(check(), CUBLAS_STATUS_NOT_SUPPORTED) << attribute;
      EXPECT_EQ(checked.state, CUBLAS_STATUS_NOT_SUPPORTED);
      again = before;
    }
  }
  cublasLtMatmulAlgo_t none;
  EXPECT_EQ(cublasLtMatmulAlgoInit(c.blas.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, 7, &none),
            CUBLAS_STATUS_INVALID_VALUE);
}

TEST(EmulatedCublasLt, WhatIsRefused) {
  Device device;
  Blas blas, wide(true);
  const Operand<float> a(device, numbers(4, 5, 1), false), b(device, numbers(4, 3, 1), false), d(device, numbers(4, 3, 1), false);
  EXPECT_EQ(blas.multiply(device, 1.0f, a, b, 0.0f, d), CUBLAS_STATUS_INVALID_VALUE);  // 5 columns against 4 rows
  const Operand<float> right(device, numbers(5, 3, 1), false);
  EXPECT_EQ(blas.multiply(device, 1.0f, a, right, 0.0f, d), CUBLAS_STATUS_SUCCESS);
  const std::int64_t ld = 3;
  EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(a.layout, CUBLASLT_MATRIX_LAYOUT_LD, &ld, sizeof ld), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(blas.multiply(device, 1.0f, a, right, 0.0f, d), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(wide.multiply(device, 1.0, right, d, 0.0, d), CUBLAS_STATUS_INVALID_VALUE);
  const int narrow = 0;
  EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(a.layout, CUBLASLT_MATRIX_LAYOUT_LD, &narrow, sizeof narrow), CUBLAS_STATUS_INVALID_VALUE);
}

}  // namespace
