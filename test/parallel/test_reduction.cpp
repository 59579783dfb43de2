// The canonical reduction: the same bits for every number of ranks, blocks and leaves, equal to the expression of the design.
#include <gtest/gtest.h>
#include <mpi.h>

#include <cstring>
#include <vector>

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
  set.begin_unit("layer.0", true);
  set.add("b", Shape{129}, Init::ones);
  set.add("c", Shape{33, 640}, Init::normal);
  set.begin_unit("layer.1", true);
  set.add("d", Shape{129}, Init::ones);
  set.add("e", Shape{33, 640}, Init::normal);
  set.begin_unit("layer.2");
  set.add("f", Shape{129}, Init::ones);
  set.add("g", Shape{33, 640}, Init::normal);
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

// A leaf's gradient, unit by unit from the back, with the first unit open all the while as a tied embedding is. Units that add do so where
// they are told to; the others are set.
void give_leaf(GradientReduction& reduction, const ParameterSet& set, std::int64_t round) {
  const std::int64_t leaf = reduction.leaf_of(round);
  const FlatBuffer& gradient = reduction.begin_round(round);
  reduction.open(0);
  for (auto u = static_cast<int>(set.units().size()); u-- > 0;) {
    const Write write = u > 0 ? reduction.open(u) : Write::set;
    const View values = gradient.unit(u);
    auto* const to = values.as<float>();
    const std::int64_t offset = set.units()[static_cast<std::size_t>(u)].offset;
    for (std::int64_t e = 0; leaf >= 0 && e < values.elements(); ++e) {
      const float value = leaf_value(leaf, offset + e);
      to[e] = write == Write::add ? to[e] + value : value;
    }
    reduction.close(u);
  }
}

struct Row {
  const char* strategy;
  int group;
  int node;  // ranks that count as a host
};

// A reduction in an arena of the size it was planned with.
struct Ready {
  std::unique_ptr<Communicator> comm = make_mpi_communicator();
  Mesh mesh;
  ParameterSet set = small_set();
  ThreadPool pool{1};
  Stream stream = Stream::cpu(pool);
  Arena arena;
  GradientReduction reduction;

  Ready(const Row& row, const ReductionSettings& settings)
      : mesh(*comm, strategy_of(row.strategy), row.group, row.node),
        arena(planned(set, mesh, settings)),
        reduction(arena, set, DType::f32, mesh, settings) {}
  static std::int64_t planned(const ParameterSet& set, const Mesh& mesh, const ReductionSettings& settings) {
    Arena plan;
    GradientReduction(plan, set, DType::f32, mesh, settings);
    return plan.used();
  }
};

void expect_canonical(const Row& row, std::int64_t leaves, std::int64_t block, std::int64_t bucket = 1 << 20, bool overlap = true) {
  ReductionSettings settings;
  settings.most_leaves = leaves, settings.block = block, settings.bucket = bucket, settings.overlap = overlap;
  Ready ready(row, settings);
  GradientReduction& reduction = ready.reduction;
  const ParameterSet& set = ready.set;

  // The second step finds the buffers as the first has left them.
  for (int step = 0; step < 2; ++step) {
    reduction.begin(ready.stream, leaves);
    for (std::int64_t round = 0; round < reduction.round_count(); ++round) give_leaf(reduction, set, round), reduction.poll();
    const FlatBuffer& sum = reduction.finish();
    const std::int64_t blocks = (leaves + block - 1) / block;
    for (int u = 0; u < static_cast<int>(set.units().size()); ++u) {
      const Range own = reduction.part().elements(u), here = sum.range(u);
      for (std::int64_t e = own.first; e < own.last; e += 37) {
        const float expected = tree(set.units()[static_cast<std::size_t>(u)].offset + e, leaves, block, 0, blocks),
                    found = sum.unit(u).as<float>()[e - here.first];
        ASSERT_EQ(0, std::memcmp(&expected, &found, sizeof found))
            << row.strategy << " in groups of " << row.group << ", hosts of " << row.node << ", leaves " << leaves << " block " << block
            << " unit " << u << " element " << e;
      }
    }
  }
}

// hybrid in groups of 1 and 2: where the ranks divide.
std::vector<Row> rows() {
  std::vector<Row> all{{"ddp", 0, 0}, {"zero1", 0, 0}, {"zero2", 0, 0}, {"fsdp", 0, 0}, {"hybrid", 1, 0}};
  if (make_mpi_communicator()->size() % 2 == 0) all.push_back({"hybrid", 2, 0});
  if (make_mpi_communicator()->size() == 4)
    for (const char* strategy : {"ddp", "zero1", "zero2", "fsdp", "hybrid"}) all.push_back({strategy, 1, 2});
  return all;
}

TEST(Reduction, EqualsTheExpressionForAnyLeavesRanksAndStrategy) {
  for (const Row& row : rows())
    for (std::int64_t leaves : {1, 2, 3, 4, 5, 6, 7, 8, 11, 16}) expect_canonical(row, leaves, 1);
}

TEST(Reduction, EqualsTheExpressionForBlocksOfSeveralLeaves) {
  for (const Row& row : rows())
    for (std::int64_t leaves : {4, 6, 7, 12}) expect_canonical(row, leaves, 2), expect_canonical(row, leaves, 3);
}

TEST(Reduction, EqualsTheExpressionInSmallMessages) {
  for (const Row& row : rows()) expect_canonical(row, 7, 1, 4096), expect_canonical(row, 8, 1, 4096);
}

TEST(Reduction, EqualsTheExpressionWithoutOverlap) {
  for (const Row& row : rows()) expect_canonical(row, 7, 1, 1 << 20, false), expect_canonical(row, 8, 2, 1 << 20, false);
}

// The library's own order: the same sum but for rounding.
TEST(Reduction, FastIsTheSumInAnotherOrder) {
  for (const Row& row : rows())
    for (const std::int64_t leaves : {1, 3, 8}) {
      ReductionSettings settings;
      settings.most_leaves = 8, settings.fast = true;
      Ready ready(row, settings);
      GradientReduction& reduction = ready.reduction;
      const ParameterSet& set = ready.set;
      for (int step = 0; step < 2; ++step) {
        reduction.begin(ready.stream, leaves);
        for (std::int64_t round = 0; round < reduction.round_count(); ++round) give_leaf(reduction, set, round);
        const FlatBuffer& sum = reduction.finish();
        for (int u = 0; u < static_cast<int>(set.units().size()); ++u) {
          const Range own = reduction.part().elements(u), here = sum.range(u);
          for (std::int64_t e = own.first; e < own.last; e += 37)
            ASSERT_NEAR(tree(set.units()[static_cast<std::size_t>(u)].offset + e, leaves, 1, 0, leaves),
                        sum.unit(u).as<float>()[e - here.first], 1e-5)
                << row.strategy << " in groups of " << row.group << ", leaves " << leaves << " unit " << u << " element " << e;
        }
      }
    }
}

TEST(Reduction, EveryPartOfTheSumHasOneOwner) {
  const ParameterSet set = small_set();
  for (int parts = 1; parts < 9; ++parts)
    for (int u = 0; u < static_cast<int>(set.units().size()); ++u) {
      std::int64_t at = 0;
      for (int part = 0; part < parts; ++part) {
        const Range range = Partition(set, parts, part).elements(u);
        EXPECT_EQ(range.first, at);
        at = range.last;
        EXPECT_LE(Partition(set, parts, part).offset(u) + range.count(), Partition(set, parts, part).buffer_elements());
      }
      EXPECT_EQ(at, set.units()[static_cast<std::size_t>(u)].elements);
    }
}

TEST(Reduction, ShardsAreCutWhereChecksumsAre) {
  const ParameterSet set = small_set();
  for (int parts = 2; parts < 9; ++parts)
    for (int part = 0; part < parts; ++part)
      for (const Parameter& p : set.parameters()) {
        const Range own = common(Partition(set, parts, part).elements(p.unit), {p.offset, p.offset + p.elements()});
        if (own.count() == 0) continue;
        EXPECT_EQ((own.first - p.offset) % ParameterSet::block_elements, 0) << p.name;
        EXPECT_TRUE((own.last - p.offset) % ParameterSet::block_elements == 0 || own.last == p.offset + p.elements()) << p.name;
      }
}

TEST(Reduction, AStepThatIsDroppedLeavesNothingBehind) {
  for (const Row& row : rows()) {
    ReductionSettings settings;
    settings.most_leaves = 16;
    Ready ready(row, settings);
    GradientReduction& reduction = ready.reduction;
    const ParameterSet& set = ready.set;
    reduction.begin(ready.stream, 16);
    give_leaf(reduction, set, 0);
    reduction.drop();
    // One group has computed all of its leaves, and exchanges them, the others have not begun.
    reduction.begin(ready.stream, 16);
    for (std::int64_t round = 0; ready.mesh.replicas().rank() == 0 && round < reduction.round_count(); ++round)
      give_leaf(reduction, set, round);
    reduction.drop();
    reduction.begin(ready.stream, 3);
    for (std::int64_t round = 0; round < reduction.round_count(); ++round) give_leaf(reduction, set, round);
    const FlatBuffer& sum = reduction.finish();
    const Range own = reduction.part().elements(0);
    if (own.count() > 0) {
      EXPECT_EQ(sum.unit(0).as<float>()[own.first - sum.range(0).first], tree(own.first, 3, 1, 0, 3)) << row.strategy;
    }
  }
}

TEST(Reduction, EveryLeafHasOneRankAndOneRound) {
  for (std::int64_t leaves = 1; leaves < 20; ++leaves)
    for (std::int64_t block = 1; block <= 3; ++block)
      for (int shards = 1; shards <= 4; ++shards)
        for (int replicas = 1; replicas <= 3; ++replicas) {
          const LeafRounds rounds(leaves, block, shards, replicas);
          std::vector<int> seen(static_cast<std::size_t>(leaves), 0);
          for (int replica = 0; replica < replicas; ++replica)
            for (std::int64_t round = 0; round < rounds.rounds(replica); ++round)
              for (int shard = 0; shard < shards; ++shard) {
                const std::int64_t leaf = rounds.leaf(replica, shard, round);
                if (leaf < 0) continue;
                ++seen[static_cast<std::size_t>(leaf)];
                EXPECT_EQ(rounds.rank_of(leaf), replica * shards + shard);
              }
          for (int times : seen) EXPECT_EQ(times, 1);
        }
}

TEST(Reduction, SubtreesAreMaximalAndCoverTheRun) {
  EXPECT_EQ(aligned_subtrees(3, 9), (std::vector<TreeNode>{{0, 3}, {2, 1}, {0, 8}}));
  EXPECT_EQ(aligned_subtrees(0, 8), (std::vector<TreeNode>{{3, 0}}));
  EXPECT_TRUE(aligned_subtrees(5, 5).empty());
}

// The short arithmetic against the definition.
TEST(Reduction, CountsOfSubtreesAreThoseOfTheTree) {
  for (std::int64_t first = 0; first < 70; ++first)
    for (std::int64_t last = first; last < first + 140; ++last) {
      ASSERT_EQ(subtree_count(first, last), aligned_subtrees(first, last).size()) << first << " .. " << last;
      for (const std::int64_t block : {1, 2}) {
        std::size_t most = 1;
        for (std::int64_t b = first; b < last; ++b) most = std::max(most, aligned_subtrees(first, b).size() + (block > 1 ? 2 : 1));
        ASSERT_EQ(counter_buffers(first, last, block), static_cast<int>(most)) << first << " .. " << last << " block " << block;
        // Units that add: a leaf stays by itself only where it begins a block, and, of blocks of one, where its number is even.
        most = 1;
        for (std::int64_t b = first; b < last; ++b)
          if (block > 1 || b % 2 == 0 || b == first) most = std::max(most, aligned_subtrees(first, b).size() + 1);
        ASSERT_EQ(adding_buffers(first, last, block), static_cast<int>(most)) << first << " .. " << last << " block " << block;
      }
    }
}

// What a counter says of its next leaf is what it does then, and its buffers are enough.
TEST(Reduction, LeavesAreAddedWhereTheCounterSays) {
  for (const std::int64_t block : {1, 2, 3})
    for (std::int64_t leaves = 1; leaves < 40; ++leaves)
      for (std::int64_t first = 0; first < leaves; first += block) {
        LeafCounter counter(leaves, block, first);
        for (std::int64_t leaf = first; leaf < leaves; ++leaf) {
          const int own = counter.free_buffer(), target = counter.target();
          if (target < 0) {
            ASSERT_LT(own, adding_buffers(first / block, blocks_of(leaves, block), block)) << leaf << " of " << first << " .. " << leaves;
          }
          int added_to = -1;
          counter.push(own, [&](int into, int from) {
            if (from == own) added_to = into;
          });
          ASSERT_EQ(added_to, target) << leaf << " of " << first << " .. " << leaves << " block " << block;
        }
      }
}

// In fp32 the second of two micro-batches needs no buffer for the units that add.
TEST(Reduction, UnitsThatAddNeedFewerBuffers) {
  const ParameterSet set = small_set();
  const auto comm = make_plan_communicator(1, 1);
  const Mesh mesh(*comm, strategy_of("ddp"), 0);
  const auto bytes = [&](std::int64_t leaves, bool fast) {
    ReductionSettings settings;
    settings.most_leaves = leaves, settings.fast = fast;
    Arena plan;
    GradientReduction(plan, set, DType::f32, mesh, settings);
    return plan.used();
  };
  const std::int64_t alone = bytes(1, false), adding = set.units()[1].elements + set.units()[2].elements;
  for (const bool fast : {false, true}) {
    EXPECT_LE(bytes(2, fast), 2 * alone - 4 * adding) << fast;
    EXPECT_GT(bytes(2, fast), alone) << fast;
  }
}

// Thousands of ranks are planned in no time.
TEST(Reduction, BuffersOfManyRanksAreThoseOfEveryNumberOfLeaves) {
  const ParameterSet set = small_set();
  for (const int ranks : {1, 2, 3, 5, 8, 12})
    for (const std::int64_t most : {1, 7, 16, 29})
      for (const std::int64_t block : {1, 2, 3}) {
        const auto comm = make_plan_communicator(ranks, ranks);
        const Mesh mesh(*comm, strategy_of("ddp"), 0);
        ReductionSettings settings;
        settings.most_leaves = most, settings.block = block;
        Arena plan;
        GradientReduction(plan, set, DType::f32, mesh, settings);
        int expected = 1;
        for (std::int64_t leaves = 1; leaves <= most; ++leaves)
          for (int r = 0; r < ranks; ++r) {
            const std::int64_t blocks = blocks_of(leaves, block);
            expected = std::max(expected, counter_buffers(first_block(blocks, r, ranks), first_block(blocks, r + 1, ranks), block));
          }
        const auto buffers = std::count_if(plan.entries().begin(), plan.entries().end(),
                                           [](const ArenaEntry& entry) { return entry.name.rfind("gradients.", 0) == 0; });
        EXPECT_EQ(buffers, expected) << ranks << " ranks, " << most << " leaves, blocks of " << block;
      }
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
