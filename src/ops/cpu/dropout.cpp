// Dropout on the host: one row at a time, factors made on the way.
#include "ops/cpu/dropout.hpp"

#include <cstring>

#include "ops/cpu/dropout_factors.hpp"
#include "ops/cpu/element.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index row_block = 16;

template <class T>
void drop_row(const DropoutFactors<SumOf<T>>& factors, Index i, const T* x, Index H, T* y) {
  using Sum = SumOf<T>;
  constexpr Index group = DropoutFactors<Sum>::group;
  Sum factor[group];
  for (Index first = 0; first < H; first += group) {
    const Index count = std::min(group, H - first);
    factors.row(i, first, count, factor);
    const T* from = x + first;
    T* to = y + first;
#pragma GCC ivdep
    for (Index j = 0; j < count; ++j) to[j] = static_cast<T>(static_cast<Sum>(from[j]) * factor[j]);
  }
}

}  // namespace

void dropout(Stream& stream, const ConstView& x, const Dropout& what, const View& y) {
  if (!what.drops()) {
    if (x.data() != y.data() && x.bytes() > 0) std::memcpy(y.data(), x.data(), static_cast<std::size_t>(x.bytes()));
    return;
  }
  const Index rows = x.size(0), H = x.size(1), S = rows / what.samples.elements();
  with_float_type("dropout", x.type(), [&](auto element) {
    using T = decltype(element);
    stream.pool().run((rows + row_block - 1) / row_block, [&](Index task, int) {
      for (Index r = task * row_block; r < std::min(rows, (task + 1) * row_block); ++r)
        drop_row<T>({what, r / S, 0}, r % S, x.as<const T>() + r * H, H, y.as<T>() + r * H);
    });
  });
}

}  // namespace strata::cpu
