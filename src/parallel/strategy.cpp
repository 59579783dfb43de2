#include "strata/parallel/strategy.hpp"

#include "strata/base/error.hpp"
#include "strata/parallel/reduction_tree.hpp"

namespace strata {
namespace {

//                                 parameters  gradients  optimizer  groups
const Strategy strategies[] = {{"ddp", false, false, false, false},
                               {"zero1", false, false, true, false},
                               {"zero2", false, true, true, false},
                               {"fsdp", true, true, true, false},
                               {"hybrid", true, true, true, true}};

std::vector<int> stride(int first, int count, int step) {
  std::vector<int> ranks(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) ranks[static_cast<std::size_t>(i)] = first + i * step;
  return ranks;
}

// Ranks of a group of strategy hybrid.
int group_size(const Communicator& world, int asked) {
  const int ranks = world.size(), size = asked > 0 ? asked : world.local_size();
  if (ranks % size != 0)
    throw DeckError(text("parallel.strategy = hybrid asks for groups of equal size: ", ranks, " ranks do not divide into groups of ", size,
                         asked > 0 ? " (parallel.group)" : text(" (the ranks of ", world.host(), ")"),
                         "; start another number of ranks, or name a divisor of it in parallel.group"));
  if (asked > 0) return size;
  for (int r = 0; r < ranks; ++r)
    if (world.host_of(r) != world.host_of(r / size * size))
      throw DeckError(text("parallel.strategy = hybrid asks for ranks numbered host by host, ", size, " each; rank ", r, " is on ",
                           world.host_of(r), ", rank ", r / size * size, " on ", world.host_of(r / size * size),
                           "; start them with --map-by slot, or name the size of a group in parallel.group"));
  return size;
}

}  // namespace

Strategy strategy_of(const std::string& name) {
  for (const Strategy& strategy : strategies)
    if (strategy.name == name) return strategy;
  throw InternalError(text("there is no strategy ", name));
}

Mesh::Mesh(Communicator& world, const Strategy& strategy, int group, int node)
    : strategy_(strategy), world_(&world), alone_(make_self_communicator()) {
  shards_ = strategy.scatters_gradients ? &world : alone_.get();
  replicas_ = strategy.scatters_gradients ? alone_.get() : &world;
  const int size = strategy.inside_groups ? group_size(world, group) : world.size(), rank = world.rank();
  if (size == world.size()) {
    hosts_ = HostGrid::of(world, node);
    return;
  }
  group_ = world.subgroup(stride(rank / size * size, size, 1));
  across_ = world.subgroup(stride(rank % size, world.size() / size, size));
  shards_ = group_.get(), replicas_ = across_.get();
  if (node == 0 || (node > size && node % size == 0)) hosts_ = HostGrid::of(*across_, node / size);
}

Communicator& Mesh::optimizer() const {
  if (!strategy_.shards_optimizer) return *alone_;
  return strategy_.scatters_gradients ? *shards_ : *replicas_;
}

LeafRounds::LeafRounds(std::int64_t leaves, std::int64_t block, const Mesh& mesh)
    : LeafRounds(leaves, block, mesh.shards().size(), mesh.replicas().size()) {}

LeafRounds::LeafRounds(std::int64_t leaves, std::int64_t block, int shards, int replicas)
    : leaves_(leaves), block_(block), shards_(shards), replicas_(replicas) {}

std::int64_t LeafRounds::first(int replica) const {
  return first_leaf(leaves_, block_, replica, replicas_);
}

std::int64_t LeafRounds::rounds(int replica) const {
  return (last(replica) - first(replica) + shards_ - 1) / shards_;
}

std::int64_t LeafRounds::leaf(int replica, int shard, std::int64_t round) const {
  const std::int64_t leaf = first(replica) + round * shards_ + shard;
  return leaf < last(replica) ? leaf : -1;
}

int LeafRounds::rank_of(std::int64_t leaf) const {
  int replica = 0, beyond = replicas_;  // the last one that begins at or before the leaf
  while (beyond - replica > 1) {
    const int middle = replica + (beyond - replica) / 2;
    (first(middle) <= leaf ? replica : beyond) = middle;
  }
  return replica * shards_ + static_cast<int>((leaf - first(replica)) % shards_);
}

}  // namespace strata
