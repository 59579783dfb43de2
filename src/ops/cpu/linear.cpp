// The gradient of a bias on the host.
#include "ops/cpu/linear.hpp"

#include "ops/cpu/element.hpp"
#include "ops/cpu/row_sum.hpp"

namespace strata::cpu {

void linear_backward_bias(Stream& stream, const ConstView& dy, const View& dbias, Write write, void* /*workspace*/) {
  with_float_type("linear_backward_weight", dy.type(), [&](auto element) {
    using T = decltype(element);
    sum_rows(stream, dy.as<const T>(), dy.stride(0), dy.size(0), dy.size(1), dbias.as<SumOf<T>>(), write);
  });
}

}  // namespace strata::cpu
