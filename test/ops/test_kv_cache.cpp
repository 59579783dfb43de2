// The cache of keys and values: rows land where they belong and nothing else changes.
#include "strata/ops/kv_cache.hpp"

#include <algorithm>

#include "ops/tolerance.hpp"

namespace strata::test {
namespace {

constexpr std::int64_t B = 3, C = 9, nkv = 2;

/// What the cache holds afterwards: `old` with row r of `rows` at (sequence, position) of the list.
Doubles expected_cache(Doubles cache, const Doubles& rows, std::int64_t hd,
                       const std::vector<std::pair<std::int64_t, std::int64_t>>& places) {
  const std::int64_t width = nkv * hd;
  for (std::size_t r = 0; r < places.size(); ++r)
    std::copy_n(rows.begin() + static_cast<std::int64_t>(r) * width, width,
                cache.begin() + (places[r].first * C + places[r].second) * width);
  return cache;
}

TEST(KeyValueCache, RowsLandAtTheirPositions) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  for (const DType type : all_types)
    for (const std::int64_t hd : {1, 5, 16, 64}) {
      // Heads of a fused product: rows with a stride beyond their own.
      const TestTensor fused(type, Shape{B, 3 * nkv * hd}, random_values(B * 3 * nkv * hd, 1)),
          old(type, Shape{B, C, nkv, hd}, random_values(B * C * nkv * hd, 2), hd == 5 ? 1 : 0);
      const ConstView rows = fused.view().columns(nkv * hd, nkv * hd).split_last(nkv, hd);
      TestTensor cache = old, prefilled = old;

      store_rows(stream, rows, TestIds({8, 0, 4}), cache);
      store_rows(stream, rows, ConstView(), prefilled);

      EXPECT_EQ(cache.values(), expected_cache(old.values(), doubles_of(rows), hd, {{0, 8}, {1, 0}, {2, 4}})) << name_of(type) << " " << hd;
      EXPECT_EQ(prefilled.values(), expected_cache(old.values(), doubles_of(rows), hd, {{0, 0}, {0, 1}, {0, 2}}))
          << name_of(type) << " " << hd;
    }
}

TEST(KeyValueCache, WhatDoesNotFitIsNamed) {
  Stream plan = Stream::plan();
  const View rows(nullptr, DType::f32, Shape{4, 2, 8}), cache(nullptr, DType::f32, Shape{3, 9, 2, 8}),
      positions(nullptr, DType::i32, Shape{4});
  expect_internal_error("store_rows: 4 rows for a cache of [3, 9, 2, 8]", [&] { store_rows(plan, rows, positions, cache); });
  store_rows(plan, rows, ConstView(), cache);
  EXPECT_EQ(plan.costs().at("store_rows").bytes, 2.0 * 4 * 2 * 8 * 4);
}

}  // namespace
}  // namespace strata::test
