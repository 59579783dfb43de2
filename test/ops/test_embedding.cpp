// Embedding: look-up, gradient against central differences and plain loops, repeated ids, bits.
#include "ops/tolerance.hpp"
#include "strata/ops/embedding.hpp"

namespace strata::test {
namespace {

TEST(Embedding, ForwardCopiesRows) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types)
    for (const std::int64_t R : {0, 1, 3, 17, 65, 513}) {
      constexpr std::int64_t V = 37, H = 65;
      const TestIds ids(random_ids(R, V, 1));
      const TestTensor weight(type, Shape{V, H}, random_values(V * H, 2));
      TestTensor y(type, Shape{R, H}, 3);

      embedding_forward(stream, ids, weight, y);

      const Doubles got = y.values(), table = weight.values();
      for (std::int64_t r = 0; r < R; ++r)
        for (std::int64_t j = 0; j < H; ++j)
          ASSERT_EQ(got[static_cast<std::size_t>(r * H + j)], table[static_cast<std::size_t>(ids[r] * H + j)])
              << name_of(type) << " row " << r;
    }
}

TEST(Embedding, GradientEqualsCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 9, V = 5, H = 3;
  const TestIds ids({0, 4, 4, 1, 0, 4, 1, 4, 0});
  TestTensor weight(DType::f64, Shape{V, H}, random_values(V * H, 1)), dweight(DType::f64, Shape{V, H}, random_values(V * H, 2));
  const TestTensor dy(DType::f64, Shape{R, H}, random_values(R * H, 3), 2);
  const auto loss = [&] {
    TestTensor y(DType::f64, Shape{R, H});
    embedding_forward(stream, ids, weight, y);
    return dot(y.values(), dy.values());
  };

  embedding_backward(stream, dy, ids, dweight, Write::set);

  expect_gradient("weight", weight, dweight.values(), loss);
}

/// The sum of dy over the rows of each id, in order of rows, in f32 (f64).
Doubles expected_sums(const Doubles& dy, const TestIds& ids, std::int64_t R, std::int64_t V, std::int64_t H, bool in_f32) {
  Doubles sums(static_cast<std::size_t>(V * H), 0.0);
  for (std::int64_t r = 0; r < R; ++r)
    for (std::int64_t j = 0; j < H; ++j) {
      double& sum = sums[static_cast<std::size_t>(ids[r] * H + j)];
      sum += dy[static_cast<std::size_t>(r * H + j)];
      if (in_f32) sum = static_cast<double>(static_cast<float>(sum));
    }
  return sums;
}

TEST(Embedding, GradientIsTheSumInOrderOfRows) {
  for (const int threads : {1, 2, 5})
    for (const DType type : all_types)
      for (const std::int64_t R : {0, 1, 3, 17, 600}) {
        ThreadPool pool(threads);
        Stream stream = test_stream(pool);
        constexpr std::int64_t V = 41, H = 513;
        const TestIds ids(random_ids(R, V, 4));
        const TestTensor dy(type, Shape{R, H}, random_values(R * H, 5), 1), old(sum_type(type), Shape{V, H}, random_values(V * H, 6));
        TestTensor set = old, added = old;

        embedding_backward(stream, dy, ids, set, Write::set);
        embedding_backward(stream, dy, ids, added, Write::add);

        const Doubles sums = expected_sums(dy.values(), ids, R, V, H, type != DType::f64);
        EXPECT_EQ(set.values(), sums) << name_of(type) << " R " << R << " threads " << threads;
        TestTensor expected = old;
        Doubles values = old.values();
        for (std::size_t i = 0; i < values.size(); ++i) values[i] += sums[i];
        expected.set(values);
        EXPECT_EQ(added.values(), expected.values()) << name_of(type) << " R " << R << " threads " << threads;
      }
}

TEST(Embedding, AnIdOutsideTheVocabularyIsNamed) {
  if (test_gpu()) GTEST_SKIP() << "a GPU leaves out what the loader should not have let through";
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestIds ids({0, 7});
  const TestTensor weight(DType::f32, Shape{7, 2});
  TestTensor y(DType::f32, Shape{2, 2}), dweight(DType::f32, Shape{7, 2});
  try {
    embedding_forward(stream, ids, weight, y);
    FAIL() << "no error";
  } catch (const InternalError& error) {
    EXPECT_NE(std::string(error.what()).find("row 1 has id 7 of a vocabulary of 7"), std::string::npos) << error.what();
  }
  EXPECT_THROW(embedding_backward(stream, y, ids, dweight, Write::set), InternalError);
}

TEST(Embedding, PlanRemembersTheWorkspace) {
  Stream plan = Stream::plan();
  embedding_backward(plan, ConstView(nullptr, DType::bf16, Shape{512, 1024}), ConstView(nullptr, DType::i32, Shape{512}),
                     View(nullptr, DType::f32, Shape{151936, 1024}), Write::add);
  EXPECT_GE(plan.largest_workspace(), 512 * 8);
  EXPECT_EQ(plan.costs().at("embedding_backward").flops, 512.0 * 1024);
}

TEST(Embedding, SumOfWordTypeAndPosition) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t B = 3, S = 21, V = 40, H = 67;
  const std::vector<std::int32_t> id = random_ids(B * S, V, 1), kind = random_ids(B * S, 2, 2);
  const TestIds ids(id), types(kind);
  for (const DType type : all_types) {
    const TestTensor words(type, Shape{V, H}, random_values(V * H, 1)), table(type, Shape{2, H}, random_values(2 * H, 2)),
        positions(type, Shape{S + 4, H}, random_values((S + 4) * H, 3));
    TestTensor y(type, Shape{B * S, H});

    embedding_sum_forward(stream, ids, types, words, table, positions, S, y);

    const Doubles w = words.values(), t = table.values(), p = positions.values();
    Doubles expected;
    for (std::int64_t r = 0; r < B * S; ++r)
      for (std::int64_t j = 0; j < H; ++j)
        expected.push_back(w[static_cast<std::size_t>(id[static_cast<std::size_t>(r)] * H + j)] +
                           t[static_cast<std::size_t>(kind[static_cast<std::size_t>(r)] * H + j)] +
                           p[static_cast<std::size_t>(r % S * H + j)]);
    EXPECT_LT(relative_difference(y.values(), expected), 2 * rounding_of(type)) << name_of(type);
  }
  TestTensor words(DType::f32, Shape{V, H}), short_table(DType::f32, Shape{S - 1, H}), y(DType::f32, Shape{B * S, H});
  expect_internal_error("embedding_sum_forward: 63 rows in sequences of 21 with 20 positions",
                        [&] { embedding_sum_forward(stream, ids, types, words, words, short_table, S, y); });
}

}  // namespace
}  // namespace strata::test
