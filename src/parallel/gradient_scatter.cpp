#include "strata/parallel/gradient_scatter.hpp"

#include <algorithm>
#include <bit>

#include "strata/base/error.hpp"
#include "strata/ops/elementwise.hpp"
#include "strata/parallel/reduction_tree.hpp"

namespace strata {
namespace {

// Whether the leaves of a host are whole subtrees in every round: rounds begin at multiples of all ranks, so it is a matter of sizes.
bool folds_first(const HostGrid* hosts, std::int64_t block) {
  return hosts && hosts->per_host() % block == 0 && std::has_single_bit(static_cast<std::uint64_t>(hosts->per_host() / block));
}

}  // namespace

GradientScatter::GradientScatter(Arena& arena, const Partition& partition, DType type, Communicator& group, const HostGrid* hosts,
                                 const Settings& settings, Fold fold, Done done)
    : partition_(partition),
      group_(group),
      hosts_(folds_first(hosts, settings.block) ? hosts : nullptr),
      block_(settings.block),
      fold_(std::move(fold)),
      done_(std::move(done)),
      windows_(arena, "gradients.window", type, Partition(partition.set()), settings.depth),
      leaf_(partition.set()),
      under_way_(partition.set().units().size(), 0) {
  const auto exchange_of = [&](Communicator& ranks) {
    const int others = ranks.size() - 1;
    return std::make_unique<PieceExchange>(arena, "workspace.scatter", type, ranks, Channel::gradients, others,
                                           shared_bucket(settings.bucket, others, partition.longest_shard()));
  };
  if (settings.fast)
    library_ = std::make_unique<LibraryScatter>(arena, partition, type, group);
  else if (hosts_)
    inside_ = exchange_of(hosts_->inside()), across_ = exchange_of(hosts_->across());
  else
    direct_ = exchange_of(group);
}

int GradientScatter::present_on(int host, const LeafRound& round) const {
  return std::clamp(round.present - hosts_->rank_of(host, 0), 0, hosts_->per_host());
}

std::vector<std::int64_t> GradientScatter::slices_of(int present) const {
  if (library_) return {present};
  if (!hosts_) return std::vector<std::int64_t>(static_cast<std::size_t>(present), 1);
  std::vector<std::int64_t> slices;
  for (int host = 0; host < hosts_->hosts() && present_on(host, {0, 0, present}) > 0; ++host)
    slices.push_back(present_on(host, {0, 0, present}));
  return slices;
}

void GradientScatter::begin_round(Stream& stream, std::int64_t leaves, const LeafRound& round) {
  stream_ = &stream, leaves_ = leaves, round_ = round;
}

bool GradientScatter::can_open(int unit) const {
  const int before = windows_.leaves_for(unit);
  return under_way_[static_cast<std::size_t>(unit)] == 0 && (before < 0 || under_way_[static_cast<std::size_t>(before)] == 0);
}

void GradientScatter::open(int unit) {
  STRATA_ASSERT(can_open(unit), "unit ", unit, " is under way");
  leaf_.place(unit, windows_.holds(unit) ? windows_.of(unit) : windows_.assign(unit));
}

void GradientScatter::close(int unit) {
  under_way_[static_cast<std::size_t>(unit)] += 1;
  const View window = windows_.of(unit);
  library_ ? add_by_library(unit, window) : inside_ ? fold_on_host(unit, window) : scatter(unit, window);
}

void GradientScatter::add_by_library(int unit, View window) {
  if (group_.rank() >= round_.present) fill(*stream_, window, 0.0);
  library_->begin(
      unit, window,
      [this, unit, round = round_](View shard) {
        fold_({round.number, unit, 0, {shard}});
      },
      [this, unit, round = round_] { retire(unit, round); });
}

void GradientScatter::retire(int unit, const LeafRound& round) {
  under_way_[static_cast<std::size_t>(unit)] -= 1;
  done_(round.number, unit);
}

// Every leaf's pieces to the owners of the shards.
void GradientScatter::scatter(int unit, View window) {
  PieceExchange::Task task;
  task.owned = [this, unit](int owner) { return std::vector<Range>{partition_.elements(unit, owner)}; };
  for (int r = 0; r < group_.size(); ++r) task.pieces.push_back(r < round_.present ? 1 : 0);
  if (group_.rank() < round_.present) task.own = {window};
  task.fold = [this, unit, round = round_](Range part, const std::vector<View>& slices) {
    fold_({round.number, unit, part.first - partition_.elements(unit).first, slices});
  };
  task.done = [this, unit, round = round_] { retire(unit, round); };
  direct_->begin(std::move(task));
}

// Pieces of the leaves of this host to the rank that has the number of their owner on its host. The sum takes the place of the own leaf's.
void GradientScatter::fold_on_host(int unit, View window) {
  PieceExchange::Task task;
  task.owned = [this, unit](int local) {
    std::vector<Range> owned;
    for (int h = 0; h < hosts_->hosts(); ++h) owned.push_back(partition_.elements(unit, hosts_->rank_of(h, local)));
    return owned;
  };
  const int present = present_on(hosts_->host(), round_);
  for (int l = 0; l < hosts_->per_host(); ++l) task.pieces.push_back(l < present ? 1 : 0);
  if (hosts_->local() < present) task.own = {window};
  const std::int64_t first = round_.first + hosts_->rank_of(hosts_->host(), 0);
  task.fold = [this, window, first, present](Range part, const std::vector<View>& slices) {
    if (present == 0) return;
    LeafCounter counter(leaves_, block_, first);
    const auto add = [&](int into, int from) {
      add_into(*stream_, slices[static_cast<std::size_t>(into)], slices[static_cast<std::size_t>(from)]);
    };
    for (int slice = 0; slice < present; ++slice) counter.push(slice, add);
    counter.fold(add);
    const View place = window.rows(part.first, part.count());
    if (hosts_->local() != 0) cast(*stream_, slices[0], place);
  };
  task.done = [this, unit, window, round = round_] { scatter_from_host(unit, window, round); };
  inside_->begin(std::move(task));
}

// What hosts have folded, to the owners.
void GradientScatter::scatter_from_host(int unit, View window, LeafRound round) {
  PieceExchange::Task task;
  task.owned = [this, unit](int host) { return std::vector<Range>{partition_.elements(unit, hosts_->rank_of(host, hosts_->local()))}; };
  for (int h = 0; h < hosts_->hosts(); ++h) task.pieces.push_back(present_on(h, round) > 0 ? 1 : 0);
  if (present_on(hosts_->host(), round) > 0) task.own = {window};
  task.fold = [this, unit, round](Range part, const std::vector<View>& slices) {
    fold_({round.number, unit, part.first - partition_.elements(unit).first, slices});
  };
  task.done = [this, unit, round] { retire(unit, round); };
  across_->begin(std::move(task));
}

bool GradientScatter::advance() {
  if (library_) return library_->advance();
  if (direct_) return direct_->advance();
  return across_->advance() || inside_->advance();
}

bool GradientScatter::idle() const {
  if (library_) return library_->idle();
  return direct_ ? direct_->idle() : inside_->idle() && across_->idle();
}

}  // namespace strata
