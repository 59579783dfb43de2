// Rotary embedding on the host: pairs (i, i + hd/2) of each head turned by the position's angle.
#include "ops/cpu/rope.hpp"

#include <algorithm>

#include "ops/cpu/element.hpp"
#include "ops/cpu/rope_row.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index block_elements = 16384;

}  // namespace

void rope_rotate(const char* op, Stream& stream, const ConstView& x, const ConstView& cos, const ConstView& sin, const ConstView& positions,
                 bool inverse, const View& y) {
  const Index R = x.size(0), n = x.size(1), half = x.size(2) / 2, P = cos.size(0);
  const Index block = std::max<Index>(1, block_elements / std::max<Index>(1, n * x.size(2)));
  const auto* position = positions.as<const std::int32_t>();
  with_float_type(op, x.type(), [&](auto element) {
    using T = decltype(element);
    using Sum = SumOf<T>;
    stream.pool().run((R + block - 1) / block, [&](Index task, int) {
      for (Index r = task * block; r < std::min(R, (task + 1) * block); ++r) {
        STRATA_ASSERT(position[r] >= 0 && position[r] < P, op, ": row ", r, " has position ", position[r], ", the tables end at ", P);
        const Sum* c = cos.as<const Sum>() + position[r] * cos.stride(0);
        const Sum* s = sin.as<const Sum>() + position[r] * sin.stride(0);
        for (Index head = 0; head < n; ++head)
          rope_row(x.as<const T>() + r * x.stride(0) + head * x.stride(1), c, s, half, inverse ? Sum{-1} : Sum{1},
                   y.as<T>() + r * y.stride(0) + head * y.stride(1));
      }
    });
  });
}

}  // namespace strata::cpu
