// Linear map: checks, cost, three products, and dispatch of the sum over rows for the bias.
#include "strata/ops/linear.hpp"

#include "ops/check.hpp"
#include "ops/cpu/linear.hpp"
#include "ops/cuda/table.hpp"

namespace strata {
namespace {

double product_flops(std::int64_t m, std::int64_t n, std::int64_t k) {
  return 2.0 * count_of(m) * count_of(n) * count_of(k);
}

MatrixRef stored(const ConstView& view) {
  return {view.data(), view.stride(0), false};
}
MatrixRef transposed(const ConstView& view) {
  return {view.data(), view.stride(0), true};
}

}  // namespace

// y[R,N] = x[R,K] W[N,K]^T + bias + residual
void linear_forward(Stream& stream, ConstView x, ConstView weight, ConstView bias, ConstView residual, View y) {
  constexpr const char* op = "linear_forward";
  const std::int64_t R = x.size(0), K = x.size(1), N = weight.size(0);
  expect_float(op, "x", x);
  expect_shape(op, "x", x, Shape{R, K});
  expect_shape(op, "weight", weight, Shape{N, K}), expect_type(op, "weight", weight, x.type());
  expect_shape(op, "y", y, Shape{R, N}), expect_type(op, "y", y, x.type());
  if (bias.given()) expect_shape(op, "bias", bias, Shape{N}), expect_type(op, "bias", bias, x.type());
  if (residual.given()) expect_shape(op, "residual", residual, Shape{R, N}), expect_type(op, "residual", residual, x.type());
  const auto timed = stream.record(
      op, product_flops(R, N, K) + count_of(R * N) * ((bias.given() ? 1 : 0) + (residual.given() ? 1 : 0)),
      count_of(x.bytes() + weight.bytes() + y.bytes() + (bias.given() ? bias.bytes() : 0) + (residual.given() ? residual.bytes() : 0)),
      {x.type(), {R, N, K}});
  if (stream.planning()) return;
  gemm(stream, R, N, K, x.type(), stored(x), transposed(weight), y.type(), y.data(), y.stride(0), Write::set,
       bias.given() ? bias.data() : nullptr, residual.given() ? residual.data() : nullptr, residual.given() ? residual.stride(0) : 0);
}

// dx[R,K] = dy[R,N] W[N,K]
void linear_backward_input(Stream& stream, ConstView dy, ConstView weight, View dx, Write write) {
  constexpr const char* op = "linear_backward_input";
  const std::int64_t R = dy.size(0), N = dy.size(1), K = weight.size(1);
  expect_float(op, "dy", dy);
  expect_shape(op, "dy", dy, Shape{R, N});
  expect_shape(op, "weight", weight, Shape{N, K}), expect_type(op, "weight", weight, dy.type());
  expect_shape(op, "dx", dx, Shape{R, K}), expect_type(op, "dx", dx, dy.type());
  const bool adds = write == Write::add;
  const auto timed = stream.record(op, product_flops(R, K, N) + (adds ? count_of(R * K) : 0.0),
                                   count_of(dy.bytes() + weight.bytes() + dx.bytes() * (adds ? 2 : 1)), {dy.type(), {R, K, N}});
  if (stream.planning()) return;
  gemm(stream, R, K, N, dy.type(), stored(dy), stored(weight), dx.type(), dx.data(), dx.stride(0), write);
}

// dW[N,K] = dy[R,N]^T x[R,K],  db[N] = sum_r dy[r,N]
void linear_backward_weight(Stream& stream, ConstView dy, ConstView x, View dweight, View dbias, Write write) {
  constexpr const char* op = "linear_backward_weight";
  const std::int64_t R = dy.size(0), N = dy.size(1), K = x.size(1);
  expect_float(op, "dy", dy);
  const DType sums = cpu::sum_type(dy.type());
  expect_shape(op, "dy", dy, Shape{R, N});
  expect_shape(op, "x", x, Shape{R, K}), expect_type(op, "x", x, dy.type());
  expect_shape(op, "dweight", dweight, Shape{N, K}), expect_type(op, "dweight", dweight, sums);
  if (dbias.given()) expect_shape(op, "dbias", dbias, Shape{N}), expect_type(op, "dbias", dbias, sums);
  const bool adds = write == Write::add;
  const std::int64_t gradients = dweight.bytes() + (dbias.given() ? dbias.bytes() : 0);
  const auto timed = stream.record(op, product_flops(N, K, R) + (adds ? count_of(N * K) : 0.0) + (dbias.given() ? count_of(R * N) : 0.0),
                                   count_of(dy.bytes() + x.bytes() + gradients * (adds ? 2 : 1)), {dy.type(), {N, K, R}});
  const bool partial_sums = dbias.given() && stream.target() == DeviceKind::cuda;
  void* workspace = partial_sums ? stream.workspace(cuda::linear_backward_workspace(R, N, dy.type())) : nullptr;
  if (stream.planning()) return;
  gemm(stream, N, K, R, dy.type(), transposed(dy), stored(x), dweight.type(), dweight.data(), dweight.stride(0), write);
  if (dbias.given()) run_op(stream, cpu::linear_backward_bias, &cuda::OpTable::linear_backward_bias, dy, dbias, write, workspace);
}

}  // namespace strata
