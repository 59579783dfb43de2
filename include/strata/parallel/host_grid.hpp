#pragma once
// Host grid: the ranks of a group as hosts times ranks of a host, for sums that are folded inside a host before they leave it.
#include <memory>

#include "strata/comm/communicator.hpp"

namespace strata {

/// Rank h * per_host() + l of the group is rank l of host h.
class HostGrid {
 public:
  /// `per_host`: so many consecutive ranks count as a host; 0: those that are on one. Null unless there are several hosts with several
  /// ranks each, equally many, numbered host by host. Collective over `group`.
  static std::unique_ptr<HostGrid> of(Communicator& group, int per_host = 0);
  int hosts() const { return across_->size(); }
  int per_host() const { return inside_->size(); }
  int host() const { return across_->rank(); }
  int local() const { return inside_->rank(); }
  int rank_of(int host, int local) const { return host * per_host() + local; }
  /// The ranks of this host.
  Communicator& inside() const { return *inside_; }
  /// One rank of each host: those of this rank's number on it.
  Communicator& across() const { return *across_; }

 private:
  HostGrid(Communicator& group, int per_host);
  std::unique_ptr<Communicator> inside_, across_;
};

}  // namespace strata
