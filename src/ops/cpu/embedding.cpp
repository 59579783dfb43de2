// Embedding on the host: rows copied, and gradients summed by id after sorting the rows by id.
#include "ops/cpu/embedding.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "ops/cpu/element.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index zeroed_block = Index{1} << 20;  // [bytes]
constexpr Index row_block = 16;                 // rows of a copy, ids of a sum
constexpr Index column_block = 256;

/// Rows sorted by (id, row): row number in the lower half of each key. starts[i] is the first key of the i-th id that occurs.
struct Groups {
  std::uint64_t* keys = nullptr;
  Index* starts = nullptr;
  Index count = 0;

  Index id(Index group) const { return static_cast<Index>(keys[starts[group]] >> 32); }
};

Groups group_rows(const std::int32_t* ids, Index R, Index V, void* workspace) {
  Groups groups{static_cast<std::uint64_t*>(workspace), static_cast<Index*>(workspace) + R, 0};
  for (Index r = 0; r < R; ++r) {
    STRATA_ASSERT(ids[r] >= 0 && ids[r] < V, "embedding_backward: row ", r, " has id ", ids[r], " of a vocabulary of ", V);
    groups.keys[r] = static_cast<std::uint64_t>(ids[r]) << 32 | static_cast<std::uint64_t>(r);
  }
  std::sort(groups.keys, groups.keys + R);
  for (Index i = 0; i < R; ++i)
    if (i == 0 || groups.keys[i] >> 32 != groups.keys[i - 1] >> 32) groups.starts[groups.count++] = i;
  groups.starts[groups.count] = R;
  return groups;
}

/// out[j] (=|+=) the sum of rows keys[first, last) of dy, in order, for `count` columns from `column`.
template <class T>
void sum_group(const Groups& groups, Index group, const T* dy, Index stride, Index column, Index count, SumOf<T>* out, Write write) {
  std::array<SumOf<T>, column_block> sum;
  for (Index i = groups.starts[group]; i < groups.starts[group + 1]; ++i) {
    const T* from = dy + static_cast<Index>(groups.keys[i] & 0xffffffffU) * stride + column;
    const bool first = i == groups.starts[group];
    for (Index j = 0; j < count; ++j) {
      const auto value = static_cast<SumOf<T>>(from[j]);
      sum[static_cast<std::size_t>(j)] = first ? value : sum[static_cast<std::size_t>(j)] + value;
    }
  }
  for (Index j = 0; j < count; ++j)
    out[j] = write == Write::add ? out[j] + sum[static_cast<std::size_t>(j)] : sum[static_cast<std::size_t>(j)];
}

void zero(Stream& stream, const View& view) {
  const Index bytes = view.bytes();
  stream.pool().run((bytes + zeroed_block - 1) / zeroed_block, [&](Index task, int) {
    const Index first = task * zeroed_block;
    std::memset(static_cast<unsigned char*>(view.data()) + first, 0, static_cast<std::size_t>(std::min(zeroed_block, bytes - first)));
  });
}

}  // namespace

std::int64_t embedding_workspace(std::int64_t R) {
  return (2 * R + 1) * static_cast<Index>(sizeof(Index));
}

void embedding_forward(Stream& stream, const ConstView& ids, const ConstView& weight, const View& y) {
  const auto* id = ids.as<const std::int32_t>();
  const auto element = static_cast<Index>(size_of(y.type()));
  const Index R = ids.elements(), V = weight.size(0), row = weight.size(1) * element;
  stream.pool().run((R + row_block - 1) / row_block, [&](Index task, int) {
    for (Index r = task * row_block; r < std::min(R, (task + 1) * row_block); ++r) {
      STRATA_ASSERT(id[r] >= 0 && id[r] < V, "embedding_forward: row ", r, " has id ", id[r], " of a vocabulary of ", V);
      const auto* from = static_cast<const unsigned char*>(weight.data()) + id[r] * weight.stride(0) * element;
      std::memcpy(static_cast<unsigned char*>(y.data()) + r * y.stride(0) * element, from, static_cast<std::size_t>(row));
    }
  });
}

void embedding_sum_forward(Stream& stream, const ConstView& ids, const ConstView& types, const ConstView& words,
                           const ConstView& types_table, const ConstView& positions, std::int64_t S, const View& y) {
  const Index R = ids.elements(), H = y.size(1);
  const auto *id = ids.as<const std::int32_t>(), *type = types.as<const std::int32_t>();
  with_float_type("embedding_sum_forward", y.type(), [&](auto element) {
    using T = decltype(element);
    using Sum = SumOf<T>;
    stream.pool().run((R + row_block - 1) / row_block, [&](Index task, int) {
      for (Index r = task * row_block; r < std::min(R, (task + 1) * row_block); ++r) {
        STRATA_ASSERT(id[r] >= 0 && id[r] < words.size(0), "embedding_sum_forward: row ", r, " has id ", id[r], " of a vocabulary of ",
                      words.size(0));
        STRATA_ASSERT(type[r] >= 0 && type[r] < types_table.size(0), "embedding_sum_forward: row ", r, " has type ", type[r], " of ",
                      types_table.size(0));
        const T *a = words.as<const T>() + id[r] * H, *b = types_table.as<const T>() + type[r] * H,
                *c = positions.as<const T>() + r % S * H;
        T* to = y.as<T>() + r * H;
#pragma GCC ivdep
        for (Index j = 0; j < H; ++j) to[j] = static_cast<T>(static_cast<Sum>(a[j]) + static_cast<Sum>(b[j]) + static_cast<Sum>(c[j]));
      }
    });
  });
}

void embedding_backward(Stream& stream, const ConstView& dy, const ConstView& ids, const View& dweight, Write write, void* workspace) {
  const Groups groups = group_rows(ids.as<const std::int32_t>(), ids.elements(), dweight.size(0), workspace);
  const Index H = dweight.size(1), columns = (H + column_block - 1) / column_block;
  if (write == Write::set) zero(stream, dweight);
  with_float_type("embedding_backward", dy.type(), [&](auto element) {
    using T = decltype(element);
    auto* out = dweight.as<SumOf<T>>();
    stream.pool().run((groups.count + row_block - 1) / row_block * columns, [&](Index task, int) {
      const Index first = task / columns * row_block, column = task % columns * column_block;
      for (Index group = first; group < std::min(groups.count, first + row_block); ++group)
        sum_group(groups, group, dy.as<const T>(), dy.stride(0), column, std::min(column_block, H - column),
                  out + groups.id(group) * H + column, write);
    });
  });
}

}  // namespace strata::cpu
