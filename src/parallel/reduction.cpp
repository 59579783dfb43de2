#include "strata/parallel/reduction.hpp"

#include <algorithm>

#include "strata/ops/elementwise.hpp"

namespace strata {
namespace {

// Buffers that hold a group's counter after each round, or after the last one only; the leaf being computed not counted.
std::size_t kept_buffers(std::int64_t first, std::int64_t last, std::int64_t leaves, std::int64_t block, int shards, bool every_round) {
  std::size_t most = 1;
  for (std::int64_t next = every_round ? first : std::max(first, last - 1); next < last;) {
    next = std::min(next + shards, last);
    const bool whole = next % block == 0 || next == leaves;
    most = std::max(most, subtree_count(first / block, whole ? blocks_of(next, block) : next / block) + (whole ? 0 : 1));
  }
  return most;
}

// Pieces every replica brings to a reduction over `blocks` blocks.
std::vector<std::vector<TreeNode>> pieces_by_replica(std::int64_t blocks, int replicas) {
  std::vector<std::vector<TreeNode>> all;
  for (int r = 0; r < replicas; ++r)
    all.push_back(aligned_subtrees(first_block(blocks, r, replicas), first_block(blocks, r + 1, replicas)));
  return all;
}

// The most pieces that the others bring, over all numbers of leaves that may occur.
std::int64_t most_pieces(std::int64_t most_blocks, int replicas) {
  std::size_t most = 1;
  for (std::int64_t blocks = 1; blocks <= most_blocks; ++blocks) {
    std::size_t all = 0, least = static_cast<std::size_t>(-1);
    const std::int64_t share = blocks / replicas;
    // first_block() of one rank after the other, without divisions: thousands of blocks and ranks are counted here.
    std::int64_t begin = 0, rest = 0;
    for (int r = 0; r < replicas; ++r) {
      std::int64_t end = begin + share;
      if ((rest += blocks % replicas) >= replicas) rest -= replicas, end += 1;
      const std::size_t own = subtree_count(begin, end);
      all += own, least = std::min(least, own), begin = end;
    }
    most = std::max(most, all - least);
  }
  return static_cast<std::int64_t>(most);
}

// The most buffers that a rank needs which folds its own run of blocks, over all numbers of blocks that may occur.
std::size_t most_counter_buffers(std::int64_t most_blocks, int replicas, std::int64_t block) {
  // No run is longer, and none of that length needs more, wherever it begins: once that many are found the search is over.
  const std::int64_t longest = (most_blocks + replicas - 1) / replicas;
  int bound = 1, most = 1;
  for (std::int64_t begin = 0; begin < 2 * longest; ++begin) bound = std::max(bound, counter_buffers(begin, begin + longest, block));
  for (std::int64_t blocks = most_blocks; blocks > 0 && most < bound; --blocks)
    for (int r = 0; r < replicas && most < bound; ++r)
      most = std::max(most, counter_buffers(first_block(blocks, r, replicas), first_block(blocks, r + 1, replicas), block));
  return static_cast<std::size_t>(most);
}

}  // namespace

GradientReduction::GradientReduction(Arena& arena, const ParameterSet& set, DType type, const Mesh& mesh, const ReductionSettings& settings)
    : mesh_(mesh),
      settings_(settings),
      shards_(set, mesh.shards().size(), mesh.shards().rank()),
      optimizer_(set, mesh.optimizer_parts(), mesh.optimizer_part()) {
  take_buffers(arena, type);
  if (mesh.strategy().scatters_gradients && mesh.shards().size() > 1)
    scatter_ = std::make_unique<GradientScatter>(arena, shards_, type, mesh.shards(), settings.bucket, settings.windows, settings.overlap,
                                                 [this](const GradientScatter::Arrival& arrival) { fold_arrival(arrival); });
  Communicator& replicas = mesh.replicas();
  if (replicas.size() > 1 && !fast())
    exchange_ =
        std::make_unique<ReplicaExchange>(arena, type, replicas, shards_, optimizer_, returns(),
                                          most_pieces(blocks_of(settings.most_leaves, settings.block), replicas.size()), settings.bucket);
}

// Every number of leaves up to the largest may occur (the last step of an epoch is shorter), and every rank allocates alike.
void GradientReduction::take_buffers(Arena& arena, DType type) {
  const int shards = mesh_.shards().size(), replicas = mesh_.replicas().size();
  std::size_t most = fast() ? 2 : 1;
  if (shards == 1 && !fast()) most = most_counter_buffers(blocks_of(settings_.most_leaves, settings_.block), replicas, settings_.block);
  for (std::int64_t leaves = 1; shards > 1 && leaves <= settings_.most_leaves; ++leaves) {
    const LeafRounds rounds(leaves, settings_.block, shards, replicas);
    // The rounds of one group alone begin alike, however many they are.
    const bool every_round = replicas > 1 || leaves == settings_.most_leaves;
    for (int r = 0; r < replicas; ++r)
      most = std::max(most, kept_buffers(rounds.first(r), rounds.last(r), leaves, settings_.block, shards, every_round));
  }
  for (std::size_t b = 0; b < most; ++b) buffers_.push_back(FlatBuffer::take(arena, text("gradients.", b), type, shards_));
}

void GradientReduction::begin(Stream& stream, std::int64_t leaves) {
  stream_ = &stream;
  leaves_ = leaves;
  rounds_ = LeafRounds(leaves, settings_.block, mesh_.shards().size(), mesh_.replicas().size());
  counter_ = LeafCounter(leaves, settings_.block, rounds_.first(mesh_.replicas().rank()));
  at_round_.clear(), present_.clear();
  sums_ = 0;
}

const FlatBuffer& GradientReduction::begin_round(std::int64_t round) {
  if (!scatter_) {
    leaf_buffer_ = fast() ? static_cast<int>(sums_) : counter_.free_buffer();
    return buffers_[static_cast<std::size_t>(leaf_buffer_)];
  }
  // What this round does to the counter, as bookkeeping: every piece of every unit goes the same way when it comes.
  at_round_.push_back(counter_);
  const int replica = mesh_.replicas().rank();
  int present = 0;
  while (present < mesh_.shards().size() && rounds_.leaf(replica, present, round) >= 0) ++present;
  present_.push_back(present);
  count_round(
      counter_, present, [](int, int) {}, [](int, int) {});
  scatter_->begin_round(static_cast<std::int64_t>(at_round_.size()) - 1, present);
  return scatter_->leaf();
}

void GradientReduction::count_round(LeafCounter& counter, int present, LeafCounter::Add add, LeafCounter::Add copy) const {
  const auto kept = static_cast<int>(buffers_.size());
  for (int slice = 0; slice < present; ++slice) counter.push(kept + slice, add);
  for (int buffer : counter.used()) {
    if (buffer < kept) continue;
    const int to = counter.free_buffer();
    STRATA_ASSERT(to < kept, "the gradient counter has no free buffer");
    copy(to, buffer);
    counter.rename(buffer, to);
  }
}

void GradientReduction::fold_arrival(const GradientScatter::Arrival& arrival) {
  const auto kept = static_cast<int>(buffers_.size());
  const auto view_of = [&](int buffer) {
    if (buffer >= kept) return arrival.slices[static_cast<std::size_t>(buffer - kept)];
    return buffers_[static_cast<std::size_t>(buffer)].unit(arrival.unit).rows(arrival.first, arrival.slices[0].elements());
  };
  LeafCounter counter = at_round_[static_cast<std::size_t>(arrival.round)];
  count_round(
      counter, present_[static_cast<std::size_t>(arrival.round)],
      [&](int into, int from) { add_into(*stream_, view_of(into), view_of(from)); },
      [&](int to, int from) { cast(*stream_, view_of(from), view_of(to)); });
}

void GradientReduction::open(int unit) {
  if (scatter_) scatter_->open(unit);
}

void GradientReduction::close(int unit) {
  if (scatter_) scatter_->close(unit);
}

void GradientReduction::poll() {
  if (scatter_) scatter_->poll();
}

void GradientReduction::end_round() {
  if (scatter_) return;
  const auto add = [&](int into, int from) {
    add_into(*stream_, buffers_[static_cast<std::size_t>(into)].flat(), buffers_[static_cast<std::size_t>(from)].flat());
  };
  if (!fast()) return counter_.push(leaf_buffer_, add);
  if (sums_) add(0, leaf_buffer_);  // one running sum
  sums_ = 1;
}

void GradientReduction::drop() {
  if (scatter_) scatter_->finish();
}

const FlatBuffer& GradientReduction::finish() {
  if (scatter_) scatter_->finish();
  if (fast()) return finish_fast();
  if (!exchange_) {
    counter_.fold([&](int into, int from) {
      add_into(*stream_, buffers_[static_cast<std::size_t>(into)].flat(), buffers_[static_cast<std::size_t>(from)].flat());
    });
    return buffers_[static_cast<std::size_t>(counter_.entries().at(0).buffer)];
  }
  const std::int64_t blocks = blocks_of(leaves_, settings_.block);
  const std::size_t result = counter_.entries().empty() ? 0 : static_cast<std::size_t>(counter_.entries()[0].buffer);
  exchange_->run(*stream_, buffers_, counter_.entries(), pieces_by_replica(blocks, mesh_.replicas().size()), blocks, result);
  return buffers_[result];
}

const FlatBuffer& GradientReduction::finish_fast() {
  const View sum = buffers_[0].flat();
  if (!sums_) fill(*stream_, sum, 0.0);
  if (mesh_.replicas().size() == 1) return buffers_[0];
  if (sum.type() == DType::f32)
    mesh_.replicas().all_reduce_sum_fast(sum.as<float>(), static_cast<std::size_t>(sum.elements()));
  else
    mesh_.replicas().all_reduce_sum_fast(sum.as<double>(), static_cast<std::size_t>(sum.elements()));
  return buffers_[0];
}

}  // namespace strata
