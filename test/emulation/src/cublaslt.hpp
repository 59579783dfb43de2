// What cuBLASLt's opaque descriptors hold here.
#pragma once
#include <cublasLt.h>

#include <bit>
#include <cstring>

namespace emulation {

/// Attribute `index` of a descriptor: each has a slot of eight bytes.
template <class T, class Descriptor>
T attribute(const Descriptor& descriptor, int index) {
  static_assert(sizeof(T) <= sizeof descriptor.data[0]);
  T value;
  std::memcpy(&value, &descriptor.data[index], sizeof(T));
  return value;
}

struct Algorithm {  // as cublasLtMatmulAlgo_t holds it
  std::uint32_t config[9];
  std::uint32_t workspace;  // [bytes] that it needs
  std::uint32_t magic;
  std::uint32_t unused[5];
};
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));
inline constexpr std::uint32_t algorithm_magic = 0x5354414c;

inline cublasLtMatmulAlgo_t make_algorithm(std::uint32_t id, std::uint32_t workspace, std::uint32_t parts = 1) {
  Algorithm algorithm{};
  algorithm.config[CUBLASLT_ALGO_CONFIG_ID] = id;
  algorithm.config[CUBLASLT_ALGO_CONFIG_SPLITK_NUM] = parts;
  if (parts > 1) algorithm.config[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME] = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  algorithm.workspace = workspace;
  algorithm.magic = algorithm_magic;
  return std::bit_cast<cublasLtMatmulAlgo_t>(algorithm);
}

/// What the arguments of a product come to.
struct Problem {
  cublasLtMatmulDescOpaque_t desc;
  cublasLtMatrixLayoutOpaque_t a, b, c, d;
};
/// Terms of each sum.
std::uint64_t terms_of(const Problem& problem);
/// CUBLAS_STATUS_SUCCESS if it can be computed.
cublasStatus_t check(const Problem& problem);
/// The same by this algorithm, with the scratch that it wants. [bytes]
cublasStatus_t check(const Problem& problem, const Algorithm& algorithm, std::size_t& workspace);

/// How an algorithm adds: over rising or falling k, in so many parts that are then added, in the order in which they arrive or in theirs.
struct SumOrder {
  int parts = 1;
  bool backward = false, by_arrival = false;
};
SumOrder order_of(const Algorithm& algorithm);

}  // namespace emulation
