// RMS normalisation on the host: one row at a time, rows in fixed blocks.
#include "ops/cpu/rms_norm.hpp"

#include <algorithm>

#include "ops/cpu/rms_norm_row.hpp"
#include "ops/cpu/row_sum.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

}  // namespace

std::int64_t rms_norm_workspace(std::int64_t rows, std::int64_t H, DType type) {
  return norm_row_blocks(rows) * H * static_cast<Index>(size_of(sum_type(type)));
}

void rms_norm_forward(Stream& stream, const ConstView& x, const ConstView& weight, double eps, const View& y, const View& rstd) {
  const Index rows = x.shape().rows(), H = x.shape().back();
  with_float_type("rms_norm_forward", x.type(), [&](auto element) {
    using T = decltype(element);
    const Rows<const T> from(x);
    const Rows<T> to(y);
    SumOf<T>* kept = rstd.given() ? rstd.as<SumOf<T>>() : nullptr;
    stream.pool().run(norm_row_blocks(rows), [&](Index task, int) {
      for (Index r = task * norm_row_block; r < std::min(rows, (task + 1) * norm_row_block); ++r)
        rms_norm_row(from[r], weight.as<const T>(), H, static_cast<SumOf<T>>(eps), to[r], kept != nullptr ? kept + r : nullptr);
    });
  });
}

void rms_norm_backward(Stream& stream, const ConstView& dy, const ConstView& x, const ConstView& weight, const ConstView& rstd,
                       const View& dx, Write write_dx, const View& dweight, Write write_dweight, void* workspace) {
  const Index rows = x.shape().rows(), H = x.shape().back(), blocks = norm_row_blocks(rows);
  with_float_type("rms_norm_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    const Rows<const T> from_dy(dy), from_x(x);
    const Rows<T> to(dx);
    auto* partial = static_cast<SumOf<T>*>(workspace);
    stream.pool().run(blocks, [&](Index task, int) {
      SumOf<T>* sum = partial + task * H;
      std::fill_n(sum, H, SumOf<T>{0});
      for (Index r = task * norm_row_block; r < std::min(rows, (task + 1) * norm_row_block); ++r) {
        const SumOf<T> scale = rstd.as<const SumOf<T>>()[r];
        if (write_dx == Write::add)
          rms_norm_row_backward<true>(from_dy[r], from_x[r], weight.as<const T>(), H, scale, to[r], sum);
        else
          rms_norm_row_backward<false>(from_dy[r], from_x[r], weight.as<const T>(), H, scale, to[r], sum);
      }
    });
    sum_rows(stream, partial, H, blocks, H, dweight.as<SumOf<T>>(), write_dweight);
  });
}

}  // namespace strata::cpu
