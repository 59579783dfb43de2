#pragma once
// Replica exchange: once a step, groups that have folded their own leaves fold their pieces over groups.
#include <memory>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/device/stream.hpp"
#include "strata/parallel/flat_buffer.hpp"
#include "strata/parallel/reduction_tree.hpp"

namespace strata {

/// Every rank of `replicas` owns a stretch of what they all have pieces of. Pieces of a stretch come to its owner, who adds them in the
/// order of the tree; with `returns`, the sums then go to everybody.
class ReplicaExchange {
 public:
  /// Takes "workspace.exchange" for two chunks of at most `bucket` elements of at most `most_pieces` pieces of others. `here` is what of
  /// every unit the buffers hold. Without `returns`, rank r owns part r of `owned`; with it, equal stretches.
  ReplicaExchange(Arena& arena, DType type, Communicator& replicas, const Partition& here, const Partition& owned, bool returns,
                  std::int64_t most_pieces, std::int64_t bucket);
  /// `entries` are this rank's pieces, in `buffers`; `by_rank` the subtrees that every rank brings; `blocks` those of the step. The own
  /// stretch of the sum (with returns: all of it) is set in buffers[result]. Collective over the replicas.
  void run(Stream& stream, const std::vector<FlatBuffer>& buffers, const std::vector<LeafCounter::Entry>& entries,
           const std::vector<std::vector<TreeNode>>& by_rank, std::int64_t blocks, std::size_t result);

 private:
  /// A stretch of a buffer that is cut up among the owners: a unit, or all of the buffer (-1).
  struct Segment {
    int unit;
    std::vector<std::int64_t> cuts;  // [elements] by rank, and the end
  };
  /// One chunk of every owner's stretch of a segment.
  struct Chunk {
    const Segment* segment;
    std::int64_t at;
  };
  struct Job;
  Range part_of(const Chunk& chunk, int owner) const;
  std::unique_ptr<Transfer> begin(const Job& job, std::size_t k) const;
  View fold(const Job& job, std::size_t k) const;
  std::unique_ptr<Transfer> begin_return(const Job& job, const Chunk& chunk, View sum) const;

  Communicator& replicas_;
  bool returns_;
  std::vector<Segment> segments_;
  std::vector<Chunk> chunks_;
  std::int64_t chunk_elements_ = 0;
  View buffers_[2];
};

}  // namespace strata
