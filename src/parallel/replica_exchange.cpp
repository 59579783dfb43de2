#include "strata/parallel/replica_exchange.hpp"

#include <algorithm>
#include <deque>

#include "strata/ops/elementwise.hpp"

namespace strata {
namespace {

// Stretches of different owners do not share a cache line.
constexpr std::int64_t alignment = 64;
// Chunks whose sums are on their way back at once.
constexpr std::size_t most_returning = 8;

View all_of(const FlatBuffer& buffer, int unit) {
  return unit < 0 ? buffer.flat() : buffer.unit(unit);
}

// The sum of a subtree; pieces that travelled are taken as they are. Adds into the leftmost piece. Pieces come in the order of their
// blocks, as the tree asks for them: the next one is that at `next`.
View fold_tree(Stream& stream, const std::vector<TreeNode>& nodes, const std::vector<View>& pieces, TreeNode node, std::int64_t blocks,
               std::size_t& next) {
  if (next < nodes.size() && nodes[next] == node) return pieces[next++];
  STRATA_ASSERT(node.level > 0, "block ", node.index, " of the reduction is missing");
  const TreeNode left{node.level - 1, node.index * 2}, right{node.level - 1, node.index * 2 + 1};
  const View sum = fold_tree(stream, nodes, pieces, left, blocks, next);
  if (right.index << right.level < blocks) add_into(stream, sum, fold_tree(stream, nodes, pieces, right, blocks, next));
  return sum;
}

}  // namespace

struct ReplicaExchange::Job {
  Stream& stream;
  const std::vector<FlatBuffer>& buffers;
  const std::vector<LeafCounter::Entry>& entries;
  const std::vector<std::vector<TreeNode>>& by_rank;
  std::int64_t blocks;
  std::size_t result;
};

ReplicaExchange::ReplicaExchange(Arena& arena, DType type, Communicator& replicas, const Partition& here, const Partition& owned,
                                 bool returns, std::int64_t most_pieces, std::int64_t bucket)
    : replicas_(replicas), returns_(returns) {
  const int ranks = replicas.size();
  if (returns) {
    Segment all{-1, {}};
    for (int r = 0; r < ranks; ++r) all.cuts.push_back(here.buffer_elements() / alignment * r / ranks * alignment);
    all.cuts.push_back(here.buffer_elements());
    segments_.push_back(all);
  } else {
    for (int u = 0; u < static_cast<int>(owned.set().units().size()); ++u) {
      Segment unit{u, {}};
      for (int r = 0; r < ranks; ++r) unit.cuts.push_back(owned.elements(u, r).first);
      unit.cuts.push_back(owned.elements(u, ranks - 1).last);
      segments_.push_back(unit);
    }
  }
  const auto longest = [&](const Segment& segment) {
    std::int64_t most = 0;
    for (std::size_t r = 0; r + 1 < segment.cuts.size(); ++r) most = std::max(most, segment.cuts[r + 1] - segment.cuts[r]);
    return most;
  };
  std::int64_t most = 1;
  for (const Segment& segment : segments_) most = std::max(most, longest(segment));
  // Many pieces share the room that eight have.
  chunk_elements_ = std::min(most, std::max<std::int64_t>(4096, std::min(bucket, 8 * bucket / std::max<std::int64_t>(most_pieces, 1))));
  for (const Segment& segment : segments_)
    for (std::int64_t at = 0; at < longest(segment); at += chunk_elements_) chunks_.push_back({&segment, at});
  for (View& buffer : buffers_)
    buffer = take(arena, "workspace.exchange", type, Shape{std::max<std::int64_t>(most_pieces, 1), chunk_elements_});
}

Range ReplicaExchange::part_of(const Chunk& chunk, int owner) const {
  const auto& cuts = chunk.segment->cuts;
  const std::int64_t begin = cuts[static_cast<std::size_t>(owner)], end = cuts[static_cast<std::size_t>(owner) + 1];
  return {std::min(end, begin + chunk.at), std::min(end, begin + chunk.at + chunk_elements_)};
}

std::unique_ptr<Transfer> ReplicaExchange::begin(const Job& job, std::size_t k) const {
  const Chunk& chunk = chunks_[k];
  std::vector<Message> sends, receives;
  for (int owner = 0; owner < replicas_.size(); ++owner) {
    const Range part = part_of(chunk, owner);
    if (owner == replicas_.rank() || !part.count()) continue;
    for (const LeafCounter::Entry& entry : job.entries) {
      const View piece = all_of(job.buffers[static_cast<std::size_t>(entry.buffer)], chunk.segment->unit).rows(part.first, part.count());
      sends.push_back({owner, piece.data(), static_cast<std::size_t>(piece.bytes())});
    }
  }
  std::int64_t row = 0;
  if (const std::int64_t mine = part_of(chunk, replicas_.rank()).count())
    for (int from = 0; from < replicas_.size(); ++from)
      for (std::size_t p = 0; from != replicas_.rank() && p < job.by_rank[static_cast<std::size_t>(from)].size(); ++p) {
        const View to = buffers_[k % 2].rows(row++, 1).reshaped(Shape{chunk_elements_}).rows(0, mine);
        receives.push_back({from, to.data(), static_cast<std::size_t>(to.bytes())});
      }
  return replicas_.begin_exchange(sends, receives, Channel::sums);
}

// The own part of a chunk, of which all pieces are here; set in its place of the result.
View ReplicaExchange::fold(const Job& job, std::size_t k) const {
  const Chunk& chunk = chunks_[k];
  const Range part = part_of(chunk, replicas_.rank());
  if (!part.count()) return View();
  std::vector<TreeNode> nodes;
  std::vector<View> pieces;
  std::int64_t row = 0;
  bool in_place = false;  // the leftmost piece, into which all others are added, lies where the result does
  for (int from = 0; from < replicas_.size(); ++from) {
    const auto& theirs = job.by_rank[static_cast<std::size_t>(from)];
    for (std::size_t p = 0; p < theirs.size(); ++p) {
      if (nodes.empty()) in_place = from == replicas_.rank() && static_cast<std::size_t>(job.entries[p].buffer) == job.result;
      nodes.push_back(theirs[p]);
      if (from == replicas_.rank())  // one's own stay where they are: nobody else has this stretch
        pieces.push_back(
            all_of(job.buffers[static_cast<std::size_t>(job.entries[p].buffer)], chunk.segment->unit).rows(part.first, part.count()));
      else
        pieces.push_back(buffers_[k % 2].rows(row++, 1).reshaped(Shape{chunk_elements_}).rows(0, part.count()));
    }
  }
  int top = 0;
  while (std::int64_t{1} << top < job.blocks) ++top;
  std::size_t next = 0;
  const View sum = fold_tree(job.stream, nodes, pieces, TreeNode{top, 0}, job.blocks, next);
  const View place = all_of(job.buffers[job.result], chunk.segment->unit).rows(part.first, part.count());
  if (!in_place) cast(job.stream, sum, place);
  return place;
}

std::unique_ptr<Transfer> ReplicaExchange::begin_return(const Job& job, const Chunk& chunk, View sum) const {
  std::vector<Message> sends, receives;
  for (int other = 0; other < replicas_.size(); ++other) {
    if (other == replicas_.rank()) continue;
    if (sum.given()) sends.push_back({other, sum.data(), static_cast<std::size_t>(sum.bytes())});
    const Range part = part_of(chunk, other);
    if (!part.count()) continue;
    const View place = all_of(job.buffers[job.result], chunk.segment->unit).rows(part.first, part.count());
    receives.push_back({other, place.data(), static_cast<std::size_t>(place.bytes())});
  }
  return replicas_.begin_exchange(sends, receives, Channel::sums);
}

void ReplicaExchange::run(Stream& stream, const std::vector<FlatBuffer>& buffers, const std::vector<LeafCounter::Entry>& entries,
                          const std::vector<std::vector<TreeNode>>& by_rank, std::int64_t blocks, std::size_t result) {
  const Job job{stream, buffers, entries, by_rank, blocks, result};
  // While a chunk is folded the next one travels, and the sums of those before go back. A place of the result that others fill has been
  // sent before: its chunk's exchange is over.
  std::deque<std::unique_ptr<Transfer>> returning;
  std::unique_ptr<Transfer> coming = chunks_.empty() ? nullptr : begin(job, 0);
  for (std::size_t k = 0; k < chunks_.size(); ++k) {
    coming->wait();
    if (k + 1 < chunks_.size()) coming = begin(job, k + 1);
    const View sum = fold(job, k);
    if (returns_) returning.push_back(begin_return(job, chunks_[k], sum));
    // Thousands of chunks to thousands of ranks are not all under way at once. Who is waited for here waits for earlier chunks only.
    if (returning.size() > most_returning) returning.front()->wait(), returning.pop_front();
  }
  for (const auto& transfer : returning) transfer->wait();
}

}  // namespace strata
