#include "strata/parallel/reduction.hpp"

#include <algorithm>
#include <thread>

#include "strata/base/error.hpp"
#include "strata/base/phase.hpp"
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

// The most buffers that a rank needs which folds its own run of blocks, over all numbers of blocks that may occur. `buffers` says how many
// for a run: counter_buffers, or adding_buffers.
std::size_t most_counter_buffers(std::int64_t most_blocks, int replicas, std::int64_t block,
                                 int (*buffers)(std::int64_t, std::int64_t, std::int64_t)) {
  // No run is longer, and none of that length needs more, wherever it begins: once that many are found the search is over.
  const std::int64_t longest = (most_blocks + replicas - 1) / replicas;
  int bound = 1, most = 1;
  for (std::int64_t begin = 0; begin < 2 * longest; ++begin) bound = std::max(bound, buffers(begin, begin + longest, block));
  for (std::int64_t blocks = most_blocks; blocks > 0 && most < bound; --blocks)
    for (int r = 0; r < replicas && most < bound; ++r)
      most = std::max(most, buffers(first_block(blocks, r, replicas), first_block(blocks, r + 1, replicas), block));
  return static_cast<std::size_t>(most);
}

}  // namespace

GradientReduction::GradientReduction(Arena& arena, const ParameterSet& set, DType type, const Mesh& mesh, const ReductionSettings& settings)
    : mesh_(mesh),
      settings_(settings),
      shards_(set, mesh.shards().size(), mesh.shards().rank()),
      optimizer_(set, mesh.optimizer_parts(), mesh.optimizer_part()) {
  take_buffers(arena, type);
  const bool groups = mesh.replicas().size() > 1;
  if (mesh.strategy().scatters_gradients && mesh.shards().size() > 1)
    scatter_ = std::make_unique<GradientScatter>(
        arena, shards_, type, mesh.shards(), groups ? nullptr : mesh.hosts(),
        GradientScatter::Settings{settings.bucket, settings.windows, settings.block, settings.fast},
        [this](const GradientScatter::Arrival& arrival) { fold_arrival(arrival); },
        [this](std::int64_t round, int unit) {
          if (round + 1 == round_count() && exchanges_early()) complete(unit);
        });
  if (groups && !fast())
    exchange_ = std::make_unique<ReplicaExchange>(
        arena, type, mesh.replicas(), mesh.hosts(), shards_, optimizer_,
        ReplicaExchange::Settings{blocks_of(settings.most_leaves, settings.block), settings.bucket, returns()});
}

// Every number of leaves up to the largest may occur (the last step of an epoch is shorter), and every rank allocates alike.
void GradientReduction::take_buffers(Arena& arena, DType type) {
  const int shards = mesh_.shards().size(), replicas = mesh_.replicas().size();
  // The library's own order needs one sum, beside the leaf that is computed. Units that add need fewer buffers.
  std::size_t most = fast() && shards == 1 ? 2 : 1, adding = 1;
  if (shards == 1 && !fast()) {
    const std::int64_t blocks = blocks_of(settings_.most_leaves, settings_.block);
    most = most_counter_buffers(blocks, replicas, settings_.block, counter_buffers);
    adding = most_counter_buffers(blocks, replicas, settings_.block, adding_buffers);
  }
  for (std::int64_t leaves = 1; shards > 1 && !fast() && leaves <= settings_.most_leaves; ++leaves) {
    const LeafRounds rounds(leaves, settings_.block, shards, replicas);
    // The rounds of one group alone begin alike, however many they are.
    const bool every_round = replicas > 1 || leaves == settings_.most_leaves;
    for (int r = 0; r < replicas; ++r)
      most = std::max(most, kept_buffers(rounds.first(r), rounds.last(r), leaves, settings_.block, shards, every_round));
  }
  if (shards > 1) adding = most;
  for (std::size_t b = 0; b < most; ++b)
    buffers_.push_back(
        FlatBuffer::take(arena, text("gradients.", b), type, shards_, [&](const Unit& unit) { return b < adding || !unit.adds; }));
}

void GradientReduction::begin(Stream& stream, std::int64_t leaves) {
  stream_ = &stream;
  leaves_ = leaves, round_ = -1;
  rounds_ = LeafRounds(leaves, settings_.block, mesh_.shards().size(), mesh_.replicas().size());
  counter_ = LeafCounter(leaves, settings_.block, rounds_.first(mesh_.replicas().rank()));
  at_round_.clear(), present_.clear();
  next_complete_ = static_cast<int>(shards_.set().units().size()) - 1;
}

LeafRound GradientReduction::leaf_round(std::int64_t round) const {
  const int replica = mesh_.replicas().rank();
  LeafRound r{round, rounds_.leaf(replica, 0, round), 0};
  while (r.present < mesh_.shards().size() && rounds_.leaf(replica, r.present, round) >= 0) ++r.present;
  return r;
}

const FlatBuffer& GradientReduction::begin_round(std::int64_t round) {
  round_ = round;
  const LeafRound leaves = leaf_round(round);
  // What this round does to the counter, as bookkeeping: every unit, and every piece of it, goes the same way when it comes.
  at_round_.push_back(counter_), present_.push_back(leaves.present);
  leaf_buffer_ = fast() ? (round > 0 ? 1 : 0) : counter_.free_buffer();
  target_ = scatter_ ? -1 : fast() ? leaf_buffer_ - 1 : counter_.target();
  if (!fast())
    count_round(
        counter_, leaves.present, [](int, int) {}, [](int, int) {});
  if (!scatter_) {
    leaf_ = FlatBuffer(shards_.set());
    for (int u = 0; u < static_cast<int>(shards_.set().units().size()); ++u)
      leaf_.place(u, buffers_[static_cast<std::size_t>(adds(u) ? target_ : leaf_buffer_)].unit(u));
    return leaf_;
  }
  scatter_->begin_round(*stream_, leaves_, leaves);
  return scatter_->leaf();
}

// Slices that arrive are numbered after the buffers; a leaf that is computed here alone is in its buffer.
void GradientReduction::count_round(LeafCounter& counter, int present, LeafCounter::Add add, LeafCounter::Add copy) const {
  if (!scatter_) return counter.push(counter.free_buffer(), add);
  const auto kept = static_cast<int>(buffers_.size());
  int slice = kept;
  for (const std::int64_t leaves : scatter_->slices_of(present)) {
    if (leaves == 1)
      counter.push(slice++, add);
    else
      counter.push_subtree(slice++, leaves, add);
  }
  for (int buffer : counter.used()) {
    if (buffer < kept) continue;
    const int to = counter.free_buffer();
    STRATA_ASSERT(to < kept, "the gradient counter has no free buffer");
    copy(to, buffer);
    counter.rename(buffer, to);
  }
}

void GradientReduction::fold_arrival(const GradientScatter::Arrival& arrival) {
  if (fast()) {  // one running sum
    const View sum = buffers_[0].unit(arrival.unit);
    return arrival.round == 0 ? cast(*stream_, arrival.slices[0], sum) : add_into(*stream_, sum, arrival.slices[0]);
  }
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

// What is added when a unit of a leaf is there that was computed here alone.
void GradientReduction::count_leaf(LeafCounter::Add add) const {
  if (fast()) {  // one running sum
    if (leaf_buffer_ != 0) add(0, leaf_buffer_);
    return;
  }
  LeafCounter counter = at_round_.back();
  counter.push(leaf_buffer_, add);
}

void GradientReduction::describe_round(std::vector<std::int64_t>& text) const {
  if (scatter_) return scatter_->describe(text);
  text.push_back(leaf_buffer_), text.push_back(target_);
  count_leaf([&](int into, int from) { text.push_back(into), text.push_back(from); });
}

// A unit of the leaf that was computed here alone.
void GradientReduction::fold_leaf(int unit) {
  const auto add = [&](int into, int from) {
    if (from == leaf_buffer_ && adds(unit)) return;  // done as it was made
    add_into(*stream_, buffers_[static_cast<std::size_t>(into)].unit(unit), buffers_[static_cast<std::size_t>(from)].unit(unit));
  };
  count_leaf(add);
  if (round_ + 1 == round_count() && exchanges_early()) complete(unit);
}

// All leaves of this rank's group are in the sum of the unit.
void GradientReduction::complete(int unit) {
  STRATA_ASSERT(unit == next_complete_, "unit ", unit, " is complete before unit ", next_complete_);
  --next_complete_;
  if (fast()) return;
  if (exchange_) {
    if (unit + 1 == static_cast<int>(shards_.set().units().size()))
      exchange_->begin_step(*stream_, buffers_, counter_.entries(), blocks_of(leaves_, settings_.block));
    return exchange_->begin(unit);
  }
  LeafCounter counter = counter_;
  counter.fold([&](int into, int from) {
    add_into(*stream_, buffers_[static_cast<std::size_t>(into)].unit(unit), buffers_[static_cast<std::size_t>(from)].unit(unit));
  });
}

// Units that no round of this rank has completed: it has none, has dropped them, or exchanges after all of them.
void GradientReduction::complete_rest() {
  while (next_complete_ >= 0) complete(next_complete_);
}

Write GradientReduction::open(int unit) {
  if (scatter_) wait([&] { return scatter_->can_open(unit); }), scatter_->open(unit);
  return adds(unit) ? Write::add : Write::set;
}

void GradientReduction::close(int unit) {
  scatter_ ? scatter_->close(unit) : fold_leaf(unit);
  if (settings_.overlap) return poll();
  wait([&] { return !scatter_ || scatter_->idle(); });
}

// One move of what is under way; what it folds polls again.
bool GradientReduction::advance() {
  if (moving_) return false;
  moving_ = true;
  const bool moved = (scatter_ && scatter_->advance()) || (exchange_ && exchange_->advance());
  moving_ = false;
  return moved;
}

void GradientReduction::poll() {
  while (advance()) {
  }
}

void GradientReduction::wait(FunctionRef<bool()> over) {
  const Phase::Wait waiting;
  while (!over())
    if (advance())
      Phase::tick();
    else
      std::this_thread::yield();
}

void GradientReduction::drop() {
  if (scatter_) wait([&] { return scatter_->idle(); });
  // Others may be exchanging already what this rank has not: they are given whatever is there.
  const auto units = static_cast<int>(shards_.set().units().size());
  if (exchange_ && mesh_.world().all_max(next_complete_ + 1 < units ? 1 : 0) != 0) {
    while (counter_.next() < rounds_.last(mesh_.replicas().rank())) begin_round(round_ + 1);
    complete_rest();
    wait([&] { return exchange_->idle(); });
  }
}

const FlatBuffer& GradientReduction::finish() {
  if (scatter_) wait([&] { return scatter_->idle(); });
  if (fast()) return finish_fast();
  complete_rest();
  if (!exchange_) return buffers_[static_cast<std::size_t>(counter_.entries().at(0).buffer)];
  wait([&] { return exchange_->idle(); });
  return buffers_[exchange_->result()];
}

const FlatBuffer& GradientReduction::finish_fast() {
  const View sum = buffers_[0].flat();
  if (round_count() == 0) fill(*stream_, sum, 0.0);
  if (mesh_.replicas().size() == 1) return buffers_[0];
  if (sum.type() == DType::f32)
    mesh_.replicas().all_reduce_sum_fast(sum.as<float>(), static_cast<std::size_t>(sum.elements()));
  else
    mesh_.replicas().all_reduce_sum_fast(sum.as<double>(), static_cast<std::size_t>(sum.elements()));
  return buffers_[0];
}

}  // namespace strata
