#include "strata/parallel/replica_exchange.hpp"

#include <algorithm>
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/ops/elementwise.hpp"

namespace strata {
namespace {

// Stretches of different owners do not share a cache line.
constexpr std::int64_t alignment = 64;

// The sum of a subtree; pieces that travelled are taken as they are. Pieces come in the order of their blocks, as the tree asks for them:
// the next one is that at `next`. Adds into the leftmost piece, but into `home` where that is among them: a + b and b + a are the same
// bits.
View fold_tree(Stream& stream, const std::vector<TreeNode>& nodes, const std::vector<View>& pieces, TreeNode node, std::int64_t blocks,
               std::size_t home, std::size_t& next) {
  if (next < nodes.size() && nodes[next] == node) return pieces[next++];
  STRATA_ASSERT(node.level > 0, "block ", node.index, " of the reduction is missing");
  const TreeNode left{node.level - 1, node.index * 2}, right{node.level - 1, node.index * 2 + 1};
  View sum = fold_tree(stream, nodes, pieces, left, blocks, home, next);
  if (right.index << right.level >= blocks) return sum;
  const std::size_t middle = next;
  View other = fold_tree(stream, nodes, pieces, right, blocks, home, next);
  if (middle <= home && home < next) std::swap(sum, other);
  add_into(stream, sum, other);
  return sum;
}

// The smallest subtree that holds these pieces, which are all of its blocks that there are.
TreeNode root_of(const std::vector<TreeNode>& nodes) {
  TreeNode root = nodes.front();
  const auto end = [](TreeNode node) { return (node.index + 1) << node.level; };
  while (end(root) < end(nodes.back())) root = {root.level + 1, root.index / 2};
  return root;
}

// Whether the blocks of each host are one subtree.
bool are_subtrees(std::int64_t blocks, const HostGrid& hosts) {
  for (int h = 0; h < hosts.hosts(); ++h) {
    const std::int64_t first = first_block(blocks, h, hosts.hosts()), last = first_block(blocks, h + 1, hosts.hosts());
    if (first < last && !is_subtree(first, last, blocks)) return false;
  }
  return true;
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

// The most pieces that the others of a host bring, where hosts fold first.
std::int64_t most_pieces_on_host(std::int64_t most_blocks, const HostGrid& hosts) {
  std::int64_t most = 0;
  for (std::int64_t blocks = 1; blocks <= most_blocks; ++blocks) {
    if (!are_subtrees(blocks, hosts)) continue;
    for (int h = 0; h < hosts.hosts(); ++h) {
      std::int64_t all = 0, least = most_blocks;
      for (int l = 0; l < hosts.per_host(); ++l) {
        const int rank = hosts.rank_of(h, l), ranks = hosts.hosts() * hosts.per_host();
        const auto own = static_cast<std::int64_t>(subtree_count(first_block(blocks, rank, ranks), first_block(blocks, rank + 1, ranks)));
        all += own, least = std::min(least, own);
      }
      most = std::max(most, all - least);
    }
  }
  return most;
}

std::vector<View> views_of(const std::vector<FlatBuffer>& buffers, const std::vector<LeafCounter::Entry>& entries, int unit) {
  std::vector<View> views;
  for (const LeafCounter::Entry& entry : entries) views.push_back(buffers[static_cast<std::size_t>(entry.buffer)].unit(unit));
  return views;
}

}  // namespace

ReplicaExchange::ReplicaExchange(Arena& arena, DType type, Communicator& replicas, const HostGrid* hosts, const Partition& here,
                                 const Partition& owned, const Settings& settings)
    : replicas_(replicas), hosts_(hosts), here_(here), owned_(owned), settings_(settings) {
  std::int64_t longest = 1;
  for (int u = 0; u < static_cast<int>(here.set().units().size()); ++u)
    for (int part = 0; part < (settings.returns ? here.parts() : owned.parts()); ++part)
      longest = std::max(
          longest, settings.returns ? here.elements(u, part).count() / replicas.size() + 2 * alignment : owned.elements(u, part).count());
  const auto exchange_of = [&](Communicator& ranks, std::int64_t pieces) {
    return std::make_unique<PieceExchange>(arena, "workspace.exchange", type, ranks, Channel::sums, pieces,
                                           shared_bucket(settings.bucket, pieces, longest));
  };
  all_ = exchange_of(replicas, most_pieces(settings.most_blocks, replicas.size()));
  if (!hosts) return;
  if (const std::int64_t pieces = most_pieces_on_host(settings.most_blocks, *hosts))
    inside_ = exchange_of(hosts->inside(), pieces), across_ = exchange_of(hosts->across(), hosts->hosts() - 1);
}

void ReplicaExchange::begin_step(Stream& stream, const std::vector<FlatBuffer>& buffers, std::vector<LeafCounter::Entry> entries,
                                 std::int64_t blocks) {
  stream_ = &stream, buffers_ = &buffers, entries_ = std::move(entries), blocks_ = blocks;
  result_ = entries_.empty() ? 0 : static_cast<std::size_t>(entries_[0].buffer);
  by_rank_.clear(), on_host_.clear(), between_hosts_.clear();
  for (int r = 0; r < replicas_.size(); ++r)
    by_rank_.push_back(aligned_subtrees(first_block(blocks, r, replicas_.size()), first_block(blocks, r + 1, replicas_.size())));
  hosts_first_ = inside_ && are_subtrees(blocks, *hosts_);
  if (!hosts_first_) return;
  for (int l = 0; l < hosts_->per_host(); ++l) on_host_.push_back(by_rank_[static_cast<std::size_t>(hosts_->rank_of(hosts_->host(), l))]);
  for (int h = 0; h < hosts_->hosts(); ++h) {
    std::vector<TreeNode> all;
    for (int l = 0; l < hosts_->per_host(); ++l) {
      const auto& of_rank = by_rank_[static_cast<std::size_t>(hosts_->rank_of(h, l))];
      all.insert(all.end(), of_rank.begin(), of_rank.end());
    }
    between_hosts_.push_back(all.empty() ? all : std::vector<TreeNode>{root_of(all)});
  }
}

// A stretch of what the buffers hold of a unit.
Range ReplicaExchange::owned_by(int unit, int rank) const {
  if (!settings_.returns) return owned_.elements(unit, rank);
  const std::int64_t all = here_.elements(unit).count(), ranks = replicas_.size();
  const auto cut = [&](std::int64_t r) { return r == ranks ? all : all / alignment * r / ranks * alignment; };
  return {cut(rank), cut(rank + 1)};
}

View ReplicaExchange::place(int unit, Range part) const {
  return (*buffers_)[result_].unit(unit).rows(part.first, part.count());
}

// `rank` is this one among those who bring the nodes.
PieceExchange::Task ReplicaExchange::task_of(int unit, const Nodes& nodes, int rank, std::vector<View> own) {
  PieceExchange::Task task;
  std::vector<TreeNode> in_order;
  for (const auto& of_rank : nodes) {
    task.pieces.push_back(static_cast<int>(of_rank.size()));
    in_order.insert(in_order.end(), of_rank.begin(), of_rank.end());
  }
  // This rank's first piece lies where the sum belongs.
  const auto before = std::accumulate(task.pieces.begin(), task.pieces.begin() + rank, std::size_t{0});
  const bool in_place = task.pieces[static_cast<std::size_t>(rank)] > 0;
  task.own = std::move(own);
  task.fold = [this, unit, in_order, in_place, home = in_place ? before : in_order.size()](Range part, const std::vector<View>& slices) {
    if (in_order.empty()) return;
    std::size_t next = 0;
    const View sum = fold_tree(*stream_, in_order, slices, root_of(in_order), blocks_, home, next);
    if (!in_place) cast(*stream_, sum, place(unit, part));
  };
  return task;
}

// Ranks of this host own what the ranks of their number own on all hosts.
std::function<std::vector<Range>(int)> ReplicaExchange::owned_on_host(int unit) const {
  return [this, unit](int local) {
    std::vector<Range> owned;
    for (int h = 0; h < hosts_->hosts(); ++h) owned.push_back(owned_by(unit, hosts_->rank_of(h, local)));
    return owned;
  };
}

std::function<std::vector<Range>(int)> ReplicaExchange::owned_between_hosts(int unit) const {
  return [this, unit](int host) { return std::vector<Range>{owned_by(unit, hosts_->rank_of(host, hosts_->local()))}; };
}

void ReplicaExchange::begin(int unit) {
  hosts_first_ ? fold_on_host(unit) : fold_between_all(unit);
}

void ReplicaExchange::fold_between_all(int unit) {
  auto task = task_of(unit, by_rank_, replicas_.rank(), views_of(*buffers_, entries_, unit));
  const auto owned = [this, unit](int rank) { return std::vector<Range>{owned_by(unit, rank)}; };
  task.owned = owned;
  task.done = [this, unit, owned] {
    if (settings_.returns) give_back(replicas_, unit, owned, [] {});
  };
  all_->begin(std::move(task));
}

void ReplicaExchange::fold_on_host(int unit) {
  auto task = task_of(unit, on_host_, hosts_->local(), views_of(*buffers_, entries_, unit));
  task.owned = owned_on_host(unit);
  task.done = [this, unit] { fold_between_hosts(unit); };
  inside_->begin(std::move(task));
}

void ReplicaExchange::fold_between_hosts(int unit) {
  std::vector<View> own;
  if (!between_hosts_[static_cast<std::size_t>(hosts_->host())].empty()) own = {(*buffers_)[result_].unit(unit)};
  auto task = task_of(unit, between_hosts_, hosts_->host(), std::move(own));
  task.owned = owned_between_hosts(unit);
  task.done = [this, unit] {
    if (settings_.returns)
      give_back(hosts_->across(), unit, owned_between_hosts(unit),
                [this, unit] { give_back(hosts_->inside(), unit, owned_on_host(unit), [] {}); });
  };
  across_->begin(std::move(task));
}

// Sums of the own stretches to the others, theirs into their places: what was there has left.
void ReplicaExchange::give_back(Communicator& ranks, int unit, const std::function<std::vector<Range>(int)>& owned,
                                std::function<void()> done) {
  std::vector<Message> sends, receives;
  const auto messages = [&](std::vector<Message>& list, int peer, int owner) {
    for (const Range& stretch : owned(owner))
      for (std::int64_t at = stretch.first; at < stretch.last; at += settings_.bucket) {
        const View values = place(unit, {at, std::min(stretch.last, at + settings_.bucket)});
        list.push_back({peer, values.data(), static_cast<std::size_t>(values.bytes())});
      }
  };
  for (int other = 0; other < ranks.size(); ++other)
    if (other != ranks.rank()) messages(sends, other, ranks.rank()), messages(receives, other, other);
  returning_.push_back({ranks.begin_exchange(sends, receives, Channel::returns), std::move(done)});
}

bool ReplicaExchange::advance() {
  if (!returning_.empty() && returning_.front().transfer->done()) {
    const auto done = std::move(returning_.front().done);
    returning_.pop_front();
    done();
    return true;
  }
  return all_->advance() || (inside_ && (across_->advance() || inside_->advance()));
}

bool ReplicaExchange::idle() const {
  return returning_.empty() && all_->idle() && (!inside_ || (inside_->idle() && across_->idle()));
}

}  // namespace strata
