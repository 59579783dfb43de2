#pragma once
// Strategies: what every rank keeps, as a table, and the groups of ranks that follow from it.
#include <memory>
#include <string>

#include "strata/comm/communicator.hpp"
#include "strata/parallel/host_grid.hpp"

namespace strata {

/// One row of the table of design.md. No strategy has code of its own: everything follows from these.
struct Strategy {
  std::string name;
  bool shards_parameters = false;   // between uses; otherwise whole
  bool scatters_gradients = false;  // each micro-batch's gradient goes to the owners of its shards; otherwise once a step
  bool shards_optimizer = false;    // moments and what bf16 drops of the fp32 master
  bool inside_groups = false;       // all of this among the ranks of a group; groups keep the same
};

/// ddp, zero1, zero2, fsdp, hybrid. Throws InternalError for another name.
Strategy strategy_of(const std::string& name);

/// The ranks as a grid: `shards` ranks that share one copy of the state times `replicas` such groups.
class Mesh {
 public:
  /// `group`: ranks of a group of strategy hybrid; `node`: ranks whose gradients are folded before the sum leaves for others; 0: those of a
  /// host. Throws DeckError where the ranks do not fall into equal groups of consecutive ranks. Collective over `world`, which must outlive
  /// the mesh.
  Mesh(Communicator& world, const Strategy& strategy, int group = 0, int node = 0);
  const Strategy& strategy() const { return strategy_; }
  Communicator& world() const { return *world_; }
  /// Among whom each micro-batch's gradient is scattered: one rank alone under ddp and zero1.
  Communicator& shards() const { return *shards_; }
  /// Who meets once a step: everybody under ddp and zero1, one rank alone under zero2 and fsdp.
  Communicator& replicas() const { return *replicas_; }
  /// The ranks that share the parameters between uses: one rank alone where each keeps all.
  Communicator& parameters() const { return strategy_.shards_parameters ? *shards_ : *alone_; }
  /// Into how many parts the optimizer's state is cut, and which is this rank's.
  int optimizer_parts() const { return optimizer().size(); }
  int optimizer_part() const { return optimizer().rank(); }
  /// The ranks that share the optimizer's state.
  Communicator& optimizer() const;
  /// Those who reduce with one another (shards() where there is one group, otherwise replicas()) by host; null: all alike.
  const HostGrid* hosts() const { return hosts_.get(); }
  /// Whether what `group` exchanges once a step is worth hiding behind computation: between ranks of one host, messages are copies that the
  /// cores make which compute.
  bool hides(const Communicator& group) const { return hosts_ || group.local_size() < group.size(); }

 private:
  Strategy strategy_;
  Communicator* world_;
  std::unique_ptr<Communicator> alone_, group_, across_;
  Communicator *shards_, *replicas_;
  std::unique_ptr<HostGrid> hosts_;
};

/// Which leaves (micro-batches) of a step a rank computes, and when. Groups take contiguous runs of whole blocks; inside a group, rank s
/// takes the s-th leaf of each round.
class LeafRounds {
 public:
  LeafRounds(std::int64_t leaves, std::int64_t block, const Mesh& mesh);
  /// For `shards` x `replicas` ranks in general.
  LeafRounds(std::int64_t leaves, std::int64_t block, int shards, int replicas);
  /// Rounds of group `replica`, for all of its ranks.
  std::int64_t rounds(int replica) const;
  /// Leaf of rank (replica, shard) in a round; -1: it has none in this last, ragged one.
  std::int64_t leaf(int replica, int shard, std::int64_t round) const;
  /// The rank that computes a leaf.
  int rank_of(std::int64_t leaf) const;
  std::int64_t first(int replica) const;
  std::int64_t last(int replica) const { return first(replica + 1); }

 private:
  std::int64_t leaves_, block_;
  int shards_, replicas_;
};

}  // namespace strata
