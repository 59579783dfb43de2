// Norm and rotation of queries and keys in one pass: the bits of the two ops it stands for, gradients against central differences, bits.
#include "strata/ops/qk_norm_rope.hpp"

#include "ops/tolerance.hpp"
#include "strata/ops/rms_norm.hpp"
#include "strata/ops/rope.hpp"

namespace strata::test {
namespace {

constexpr double eps = 1e-6;

struct Sizes {
  std::int64_t R, nh, nkv, hd;
  std::int64_t width() const { return (nh + nkv + 1) * hd; }
  std::string str(DType type) const { return text(name_of(type), " R ", R, " nh ", nh, " nkv ", nkv, " hd ", hd); }
};

/// What both ways start from: queries, keys and something after them side by side, as a fused product leaves them.
struct Given {
  Sizes sizes;
  TestTensor x, dy, wq, wk, cos, sin;
  TestIds positions;

  Given(DType type, const Sizes& s, std::int64_t padding = 0)
      : sizes(s),
        x(type, Shape{s.R, s.width()}, random_values(s.R * s.width(), 1), padding),
        dy(type, Shape{s.R, s.width()}, random_values(s.R * s.width(), 2), padding),
        wq(type, Shape{s.hd}, random_values(s.hd, 3)),
        wk(type, Shape{s.hd}, random_values(s.hd, 4)),
        cos(sum_type(type), Shape{131, s.hd / 2}),
        sin(sum_type(type), Shape{131, s.hd / 2}),
        positions(random_ids(s.R, 131, 5)) {
    RopeConfig config;
    config.head_size = s.hd;
    rope_tables(config, cos, sin);
  }
  Rotary at() const { return {cos, sin, positions}; }
  ConstQueryKey weight() const { return {wq, wk}; }
  ConstQueryKey heads(const TestTensor& all) const {
    return {all.view().columns(0, sizes.nh * sizes.hd).split_last(sizes.nh, sizes.hd),
            all.view().columns(sizes.nh * sizes.hd, sizes.nkv * sizes.hd).split_last(sizes.nkv, sizes.hd)};
  }
  QueryKey heads(TestTensor& all) const {
    return {all.view().columns(0, sizes.nh * sizes.hd).split_last(sizes.nh, sizes.hd),
            all.view().columns(sizes.nh * sizes.hd, sizes.nkv * sizes.hd).split_last(sizes.nkv, sizes.hd)};
  }
};

/// What comes out, on a background that must stay.
struct Results {
  TestTensor y, dx, rstd_q, rstd_k, dwq, dwk;

  Results(DType type, const Given& given)
      : y(given.x),
        dx(given.dy),
        rstd_q(sum_type(type), Shape{given.sizes.R, given.sizes.nh}),
        rstd_k(sum_type(type), Shape{given.sizes.R, given.sizes.nkv}),
        dwq(sum_type(type), Shape{given.sizes.hd}),
        dwk(sum_type(type), Shape{given.sizes.hd}) {}
  QueryKey rstd() { return {rstd_q, rstd_k}; }
  QueryKey dweight() { return {dwq, dwk}; }
  Bytes bytes() const { return {y.bytes(), dx.bytes(), rstd_q.bytes(), rstd_k.bytes(), dwq.bytes(), dwk.bytes()}; }
};

Results fused(Stream& stream, DType type, const Given& given) {
  Results r(type, given);
  qk_norm_rope_forward(stream, given.heads(given.x), given.weight(), eps, given.at(), given.heads(r.y), r.rstd());
  qk_norm_rope_backward(stream, given.heads(given.dy), given.heads(given.x), given.weight(), r.rstd(), given.at(), given.heads(r.dx),
                        r.dweight());
  return r;
}

Results one_after_the_other(Stream& stream, DType type, const Given& given) {
  Results r(type, given);
  const QueryKey y = given.heads(r.y), dx = given.heads(r.dx);
  const ConstQueryKey x = given.heads(given.x), dy = given.heads(given.dy);
  const auto one = [&](ConstView from, ConstView gradient, ConstView weight, View to, View back, View rstd, View dweight) {
    rms_norm_forward(stream, from, weight, eps, to, rstd);
    rope_forward(stream, to, given.cos, given.sin, given.positions, to);
    rope_backward(stream, gradient, given.cos, given.sin, given.positions, back);
    rms_norm_backward(stream, back, from, weight, rstd, back, Write::set, dweight, Write::set);
  };
  one(x.q, dy.q, given.wq, y.q, dx.q, r.rstd_q, r.dwq);
  one(x.k, dy.k, given.wk, y.k, dx.k, r.rstd_k, r.dwk);
  return r;
}

constexpr Sizes all_sizes[] = {{1, 1, 1, 2},    {3, 2, 1, 16}, {67, 4, 2, 64},   {33, 3, 1, 6},  {70, 2, 2, 34},
                               {9, 16, 8, 128}, {5, 6, 2, 96}, {130, 2, 1, 256}, {300, 2, 1, 8}, {17, 3, 2, 80}};

TEST(QkNormRope, BitsOfTheTwoOpsThatItStandsFor) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types)
    for (const Sizes& sizes : all_sizes)
      for (const std::int64_t padding : {0, 8, 3}) {
        const Given given(type, sizes, padding);
        const Results found = fused(stream, type, given), expected = one_after_the_other(stream, type, given);
        const std::string where = text(sizes.str(type), " padding ", padding);

        const std::int64_t bytes = sizes.hd * static_cast<std::int64_t>(size_of(type));
        if (!stream.on_gpu()) {
          EXPECT_TRUE(found.bytes() == expected.bytes()) << where;
        } else if ((sizes.hd & (sizes.hd - 1)) == 0 && bytes >= 32 && bytes <= 512) {
          EXPECT_EQ(found.y.bytes(), expected.y.bytes()) << where;
          EXPECT_EQ(found.rstd_q.bytes(), expected.rstd_q.bytes()) << where;
          EXPECT_EQ(found.rstd_k.bytes(), expected.rstd_k.bytes()) << where;
          EXPECT_EQ(found.dx.bytes(), expected.dx.bytes()) << where;
        }
        // On a GPU rows are shared among threads in another way, and so sums have another order. Of heads of two the gradient is a
        // difference of nearly equal numbers.
        const double few = 2 * tolerance("rms_norm", type), kept = 2 * tolerance("rms_norm", type, true);
        EXPECT_LT(relative_difference(found.y.values(), expected.y.values()), few) << where;
        EXPECT_LT(relative_difference(found.rstd_q.values(), expected.rstd_q.values()), kept) << where;
        EXPECT_LT(relative_difference(found.rstd_k.values(), expected.rstd_k.values()), kept) << where;
        if (sizes.hd > 2) {
          EXPECT_LT(relative_difference(found.dx.values(), expected.dx.values()), few) << where;
        }
        EXPECT_LT(relative_difference(found.dwq.values(), expected.dwq.values()), kept) << where;
        EXPECT_LT(relative_difference(found.dwk.values(), expected.dwk.values()), kept) << where;
      }
}

// So many that a thread of a GPU adds several to its part of dweight.
TEST(QkNormRope, SumsOverManyHeads) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const Given given(DType::f32, {1420, 4, 2, 256});

  const Results found = fused(stream, DType::f32, given), expected = one_after_the_other(stream, DType::f32, given);

  const double kept = 2 * tolerance("rms_norm", DType::f32, true);
  EXPECT_LT(relative_difference(found.dx.values(), expected.dx.values()), 2 * tolerance("rms_norm", DType::f32));
  EXPECT_LT(relative_difference(found.dwq.values(), expected.dwq.values()), kept);
  EXPECT_LT(relative_difference(found.dwk.values(), expected.dwk.values()), kept);
}

TEST(QkNormRope, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  Given given(DType::f64, {3, 2, 1, 6});
  const Results found = fused(stream, DType::f64, given);
  TestTensor y = given.dy;  // what is beside the heads adds a constant to the loss
  const auto loss = [&] {
    qk_norm_rope_forward(stream, given.heads(given.x), given.weight(), eps, given.at(), given.heads(y), {});
    return dot(y.values(), given.dy.values());
  };
  // Gradients of queries and keys lie beside the third part, of which the loss does not know.
  TestTensor dx = found.dx;
  for (std::int64_t r = 0; r < 3; ++r)
    for (std::int64_t j = 3 * 6; j < 4 * 6; ++j) dx.set(r * 4 * 6 + j, 0);

  expect_gradient("x", given.x, dx.values(), loss);
  expect_gradient("the queries' weight", given.wq, found.dwq.values(), loss);
  expect_gradient("the keys' weight", given.wk, found.dwk.values(), loss);
}

TEST(QkNormRope, InPlaceIsTheSameAndTheRestIsLeftAlone) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types) {
    const Given given(type, {70, 4, 2, 32}, 8);
    const Results apart = fused(stream, type, given);
    TestTensor x = given.x, dy = given.dy;
    Results here(type, given);

    qk_norm_rope_forward(stream, given.heads(x), given.weight(), eps, given.at(), given.heads(x), {});
    qk_norm_rope_backward(stream, given.heads(dy), given.heads(given.x), given.weight(), Results(apart).rstd(), given.at(), given.heads(dy),
                          here.dweight());

    EXPECT_EQ(x.bytes(), apart.y.bytes());
    EXPECT_EQ(dy.bytes(), apart.dx.bytes());
    EXPECT_EQ(here.dwq.bytes(), apart.dwq.bytes());
    EXPECT_EQ(here.dwk.bytes(), apart.dwk.bytes());
    const auto beside = [](const TestTensor& all) { return doubles_of(all.view().columns(6 * 32, 32)); };
    EXPECT_EQ(beside(x), beside(given.x));
    EXPECT_EQ(beside(dy), beside(given.dy));
  }
}

TEST(QkNormRope, AddedGradientsAreTheFinishedOnesThenAdded) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types) {
    const Given given(type, {70, 4, 2, 32});
    const Results apart = fused(stream, type, given);
    Results here = apart;
    here.dwq = TestTensor(sum_type(type), Shape{32}, random_values(32, 8)), here.dwk = here.dwq;
    Doubles expected_q = here.dwq.values(), expected_k = expected_q;

    qk_norm_rope_backward(stream, given.heads(given.dy), given.heads(given.x), given.weight(), here.rstd(), given.at(),
                          given.heads(here.dx), here.dweight(), Write::add);

    // Two f32 values added in f64 and rounded to f32 give the f32 sum.
    const Doubles dwq = apart.dwq.values(), dwk = apart.dwk.values();
    for (std::size_t j = 0; j < 32; ++j) expected_q[j] += dwq[j], expected_k[j] += dwk[j];
    EXPECT_EQ(here.dwq.bytes(), TestTensor(sum_type(type), Shape{32}, expected_q).bytes());
    EXPECT_EQ(here.dwk.bytes(), TestTensor(sum_type(type), Shape{32}, expected_k).bytes());
    EXPECT_EQ(here.dx.bytes(), apart.dx.bytes());
  }
}

TEST(QkNormRope, BitsDoNotDependOnThreads) {
  for (const DType type : all_types) {
    const Given given(type, {517, 4, 2, 64});
    expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) { return fused(stream, type, given).bytes(); });
  }
}

TEST(QkNormRope, PlanRecordsCostAndWorkspace) {
  Stream stream = Stream::plan();
  const QueryKey x = {View(nullptr, DType::bf16, Shape{130, 4, 64}), View(nullptr, DType::bf16, Shape{130, 2, 64})};
  const View weight(nullptr, DType::bf16, Shape{64}), dweight(nullptr, DType::f32, Shape{64}), table(nullptr, DType::f32, Shape{9, 32});
  const QueryKey rstd = {View(nullptr, DType::f32, Shape{130, 4}), View(nullptr, DType::f32, Shape{130, 2})};
  const Rotary at = {table, table, View(nullptr, DType::i32, Shape{130})};

  qk_norm_rope_forward(stream, x, {weight, weight}, eps, at, x, rstd);
  qk_norm_rope_backward(stream, x, x, {weight, weight}, rstd, at, x, {dweight, dweight});

  const double elements = 130 * 6 * 64, rows = 130 * 6;
  EXPECT_EQ(stream.largest_workspace(), (9 + 5) * 64 * 4);  // 520 and 260 heads in blocks of 64
  EXPECT_EQ(stream.costs().at("qk_norm_rope_forward").flops, 7 * elements + 4 * rows);
  EXPECT_EQ(stream.costs().at("qk_norm_rope_forward").bytes, 2 * 2 * elements + 2 * 64 * 2 + 4 * rows + 4 * 130);
  EXPECT_EQ(stream.costs().at("qk_norm_rope_backward").flops, 12 * elements);
}

TEST(QkNormRope, WrongShapesAndPositionsAreNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  Given given(DType::f32, {2, 2, 1, 8});
  TestTensor y = given.x, odd(DType::f32, Shape{7});
  const ConstQueryKey x = given.heads(given.x);

  expect_internal_error("weight has shape [7], expected [8]", [&] {
    qk_norm_rope_forward(stream, x, {given.wq, odd}, eps, given.at(), given.heads(y), {});
  });
  expect_internal_error("k has shape [1", [&] {
    qk_norm_rope_forward(stream, {x.q, ConstView(x.q).rows(0, 1)}, given.weight(), eps, given.at(), given.heads(y), {});
  });
  const TestIds beyond({1, 131});
  const Rotary at = {given.cos, given.sin, beyond};
  if (!stream.on_gpu())
    return expect_internal_error("row 1 has position 131, the tables end at 131",
                                 [&] { qk_norm_rope_forward(stream, x, given.weight(), eps, at, given.heads(y), {}); });
  // A GPU cannot throw; what it turns there is not a number, which the run then reports.
  qk_norm_rope_forward(stream, x, given.weight(), eps, at, given.heads(y), {});
  EXPECT_FALSE(std::isnan(doubles_of(given.heads(y).q)[0]));
  EXPECT_TRUE(std::isnan(doubles_of(given.heads(y).q)[2 * 8]));
  const TestTensor large(DType::f32, Shape{1, 1, 258}), wide(DType::f32, Shape{258}), table(DType::f32, Shape{1, 129});
  TestTensor to(DType::f32, Shape{1, 1, 258});
  expect_internal_error("heads of 258 elements, on a GPU they have at most 256", [&] {
    qk_norm_rope_forward(stream, {large, large}, {wide, wide}, eps, {table, table, TestIds({0})}, {to, to}, {});
  });
}

}  // namespace
}  // namespace strata::test
