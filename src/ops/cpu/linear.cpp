// Linear map on the host: three products, and the sum over rows for the bias.
#include "ops/cpu/linear.hpp"

#include "ops/cpu/element.hpp"
#include "ops/cpu/row_sum.hpp"

namespace strata::cpu {
namespace {

MatrixRef stored(const ConstView& view) {
  return {view.data(), view.stride(0), false};
}
MatrixRef transposed(const ConstView& view) {
  return {view.data(), view.stride(0), true};
}

}  // namespace

// y[R,N] = x[R,K] W[N,K]^T + bias + residual
void linear_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& bias, const ConstView& residual,
                    const View& y) {
  gemm(stream, x.size(0), weight.size(0), x.size(1), x.type(), stored(x), transposed(weight), y.type(), y.data(), y.stride(0), Write::set,
       bias.given() ? bias.data() : nullptr, residual.given() ? residual.data() : nullptr, residual.given() ? residual.stride(0) : 0);
}

// dx[R,K] = dy[R,N] W[N,K]
void linear_backward_input(Stream& stream, const ConstView& dy, const ConstView& weight, const View& dx, Write write) {
  gemm(stream, dy.size(0), weight.size(1), dy.size(1), dy.type(), stored(dy), stored(weight), dx.type(), dx.data(), dx.stride(0), write);
}

// dW[N,K] = dy[R,N]^T x[R,K],  db[N] = sum_r dy[r,N]
void linear_backward_weight(Stream& stream, const ConstView& dy, const ConstView& x, const View& dweight, const View& dbias, Write write) {
  gemm(stream, dy.size(1), x.size(1), dy.size(0), dy.type(), transposed(dy), stored(x), dweight.type(), dweight.data(), dweight.stride(0),
       write);
  if (!dbias.given()) return;
  with_float_type("linear_backward_weight", dy.type(), [&](auto element) {
    using T = decltype(element);
    sum_rows(stream, dy.as<const T>(), dy.stride(0), dy.size(0), dy.size(1), dbias.as<SumOf<T>>(), write);
  });
}

}  // namespace strata::cpu
