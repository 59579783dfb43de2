// The canonical reduction: the same bits for every number of ranks, blocks and leaves, equal to the expression of the design.
#include <gtest/gtest.h>
#include <mpi.h>

#include <cstring>
#include <vector>

#include "strata/ops/elementwise.hpp"
#include "strata/parallel/reduction.hpp"
#include "strata/tensor/fold.hpp"
#include "strata/tensor/random.hpp"

namespace strata {
namespace {

constexpr std::int64_t leaf_element_salt = 7919;

ParameterSet small_set() {
  ParameterSet set;
  set.begin_unit("embedding");
  set.add("a", Shape{70, 61}, Init::normal);
  set.begin_unit("layer.0");
  set.add("b", Shape{129}, Init::ones);
  set.add("c", Shape{33, 64}, Init::normal);
  return set;
}

float leaf_value(std::int64_t leaf, std::int64_t element) {
  return static_cast<float>(
      random_normals(1, RandomPurpose::test, static_cast<std::uint64_t>(leaf * leaf_element_salt), static_cast<std::uint64_t>(element))[0]);
}

// The expression itself: leaves in order inside blocks, blocks by a tree whose left part is the largest power of two.
float tree(std::int64_t element, std::int64_t leaves, std::int64_t block, std::int64_t first, std::int64_t last) {
  if (last - first == 1) {
    float sum = leaf_value(first * block, element);
    for (std::int64_t leaf = first * block + 1; leaf < std::min(leaves, (first + 1) * block); ++leaf) sum += leaf_value(leaf, element);
    return sum;
  }
  const std::int64_t middle = first + left_part(last - first);
  return tree(element, leaves, block, first, middle) + tree(element, leaves, block, middle, last);
}

void expect_canonical(std::int64_t leaves, std::int64_t block) {
  const auto comm = make_mpi_communicator();
  const ParameterSet set = small_set();
  ThreadPool pool(1);
  Stream stream = Stream::cpu(pool);
  Arena plan;
  GradientReduction(plan, set, DType::f32, *comm, leaves, block, false);
  Arena arena(plan.used());
  GradientReduction reduction(arena, set, DType::f32, *comm, leaves, block, false);

  reduction.begin(leaves);
  for (std::int64_t leaf = reduction.first(); leaf < reduction.last(); ++leaf) {
    const View flat = reduction.leaf().flat();
    for (std::int64_t e = 0; e < flat.elements(); ++e) flat.as<float>()[e] = leaf_value(leaf, e);
    reduction.leaf_done(stream);
  }
  const View sum = reduction.finish(stream, *comm).flat();

  const std::int64_t blocks = (leaves + block - 1) / block;
  for (std::int64_t e = 0; e < sum.elements(); e += 37) {
    const float expected = tree(e, leaves, block, 0, blocks), found = sum.as<float>()[e];
    ASSERT_EQ(0, std::memcmp(&expected, &found, sizeof found)) << "leaves " << leaves << " block " << block << " element " << e;
  }
}

TEST(Reduction, EqualsTheExpressionForAnyLeavesAndRanks) {
  for (std::int64_t leaves : {1, 2, 3, 4, 5, 6, 7, 8, 11, 16}) expect_canonical(leaves, 1);
}

TEST(Reduction, EqualsTheExpressionForBlocksOfSeveralLeaves) {
  for (std::int64_t leaves : {4, 6, 7, 12}) expect_canonical(leaves, 2), expect_canonical(leaves, 3);
}

TEST(Reduction, SubtreesAreMaximalAndCoverTheRun) {
  EXPECT_EQ(aligned_subtrees(3, 9), (std::vector<TreeNode>{{0, 3}, {2, 1}, {0, 8}}));
  EXPECT_EQ(aligned_subtrees(0, 8), (std::vector<TreeNode>{{3, 0}}));
  EXPECT_TRUE(aligned_subtrees(5, 5).empty());
}

TEST(Reduction, RunsCoverEveryLeafOnce) {
  for (std::int64_t leaves = 1; leaves < 20; ++leaves)
    for (std::int64_t block = 1; block <= 3; ++block)
      for (int ranks = 1; ranks < 7; ++ranks) {
        EXPECT_EQ(first_leaf(leaves, block, 0, ranks), 0);
        EXPECT_EQ(first_leaf(leaves, block, ranks, ranks), leaves);
        for (int r = 0; r < ranks; ++r) EXPECT_LE(first_leaf(leaves, block, r, ranks), first_leaf(leaves, block, r + 1, ranks));
      }
}

}  // namespace
}  // namespace strata
