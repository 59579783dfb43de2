#pragma once
// How far ops may lie from the same formula in fp64, in one table; and the comparison of bits between thread counts.
#include <string>
#include <vector>

#include "ops/gradient_check.hpp"

namespace strata::test {

inline DType sum_type(DType type) {
  return type == DType::f64 ? DType::f64 : DType::f32;
}

/// ||op - fp64|| / ||fp64|| that a result may reach, in units of one rounding to the tensor's type (rounding_of: 6.0e-8, 3.9e-3, 1.1e-16;
/// f16 4.9e-4, as many units as bf16). A result rounded once errs by 0.4 units on average and by 1 at most (tensors of one element); sums
/// add their own roundings. `to_sum_type` is for results kept in f32 from bf16 tensors (lse, dweight), in units of one rounding to f32.
struct Tolerance {
  const char* op;
  double f32, bf16, f64;
  double to_sum_type;
};
constexpr Tolerance tolerances[] = {
    {"rms_norm", 4, 1, 4, 8},               // bf16: x rstd is rounded before the product with weight, two roundings
    {"layer_norm", 8, 1, 8, 16},            // the mean is subtracted; parameters' gradients cancel
    {"gelu", 4, 1, 8, 4},                   // as swiglu; f64: 1 + tanh of the plain formula cancels in the lower tail
    {"rope", 2, 1, 2, 2},                   // two products and a sum
    {"swiglu", 4, 1, 4, 4},                 // the exponential errs by up to 1.1 ulp
    {"attention_forward", 16, 1, 16, 16},   // bf16: the probabilities are rounded for the product with v
    {"attention_backward", 32, 2, 32, 32},  // bf16: P and dS are rounded for the products, o and lse come from the forward pass
    {"attention_decode", 16, 1, 32, 16},    // f64: the plain loops that it is held to err as much themselves
};

/// Bound of the relative difference for an op's result; `kept` where the result has the sum type.
inline double tolerance(const std::string& op, DType type, bool kept = false) {
  for (const Tolerance& row : tolerances)
    if (row.op == op) {
      if (kept) return row.to_sum_type * rounding_of(sum_type(type));
      return (type == DType::f64 ? row.f64 : type == DType::f32 ? row.f32 : row.bf16) * rounding_of(type);
    }
  ADD_FAILURE() << "no tolerance for " << op;
  return 0;
}

using Bytes = std::vector<std::vector<unsigned char>>;

/// Expects run(stream) to return the same bytes on 1, 2, 3 and 5 threads.
template <class Run>
void expect_same_bits_on_any_threads(const std::string& what, Run&& run) {
  Bytes first;
  for (const int threads : {1, 2, 3, 5}) {
    if (test_gpu() && threads > 2) break;  // these are not its threads: once more suffices
    ThreadPool pool(threads);
    Stream stream = test_stream(pool);
    const Bytes bytes = run(stream);
    if (first.empty()) first = bytes;
    EXPECT_TRUE(bytes == first) << what << " on " << threads << " threads";
  }
}

/// Expects f() to throw InternalError with a message that holds `words`.
template <class F>
void expect_internal_error(const std::string& words, F&& f) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown, expected: " << words;
  } catch (const InternalError& error) {
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

}  // namespace strata::test
