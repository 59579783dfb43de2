#pragma once
// Tuning: which of cuBLASLt's algorithms a GPU's products take, as `strata measure` found it. The file is described in doc/files.md;
// deck/tuning_file.hpp reads and writes it.
#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "strata/base/dtype.hpp"

namespace strata {

/// What an algorithm is chosen for: C[m,n] = A[m,k] B[k,n] as gemm() takes it.
struct ProductCase {
  DType in = DType::f32, out = DType::f32;
  bool a_transposed = false, b_transposed = false;
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t a_stride = 0, b_stride = 0, c_stride = 0;  // [elements] between stored rows
  std::int64_t old_stride = 0;                            // of what is added to the product; 0: nothing is
  bool in_place = false;                                  // that is C itself
  std::string epilogue = "none";                          // what else the product does: none | bias, letters only
  int alignment = 16;                                     // [bytes] of all operands, up to 16: no algorithm asks for more
  /// "bf16_nt_512x4096x1024_to_bf16_a1024_b1024_c4096_old4096_bias_align16"; "_own" for an old one in place.
  std::string name() const;
  double flops() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k); }
};
/// The inverse of ProductCase::name(). False: it is no such name.
bool parse_product_case(const std::string& name, ProductCase& what);

/// An algorithm by the attributes that cuBLASLt documents (cublasLtMatmulAlgoConfigAttributes_t), in the order of algorithm_words. Where
/// they do not say all of it, `data` has its 64 bytes in hexadecimal, which cuBLASLt takes back in the same version.
struct ProductAlgorithm {
  std::array<std::int64_t, 9> values{};
  std::string data = {};
  auto operator<=>(const ProductAlgorithm&) const = default;
};
inline constexpr const char* algorithm_words[9] = {"id", "tile", "splits", "reduction", "swizzle", "custom", "stages", "inner", "cluster"};

struct TunedProduct {
  ProductAlgorithm algorithm;
  double us = 0, first_us = 0;  // [us] its median, and that of the heuristic's first choice
  int tried = 0;                // algorithms that were timed
  std::string where;            // "input/machines/h200.tuning:12", where it was read from a file
};

struct Tuning {
  std::string gpu;                               // "NVIDIA H200"
  int major = 0, minor = 0;                      // compute capability
  std::int64_t cublaslt = 0;                     // cublasLtGetVersion()
  std::string measured;                          // when, and by which version
  std::string origin;                            // what messages call it
  std::map<std::string, TunedProduct> products;  // by ProductCase::name()
};

struct GpuFacts;
/// Why the algorithms of `tuning` are not those of this GPU and library, in words; empty: they are.
std::string tuning_refusal(const Tuning& tuning, const GpuFacts& gpu);

}  // namespace strata
