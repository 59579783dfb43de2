#include "strata/parallel/host_grid.hpp"

namespace strata {
namespace {

std::vector<int> every(int first, int count, int step) {
  std::vector<int> ranks;
  for (int i = 0; i < count; ++i) ranks.push_back(first + i * step);
  return ranks;
}

// Whether each run of `per_host` ranks is on one host.
bool host_by_host(const Communicator& group, int per_host) {
  for (int r = 0; r < group.size(); ++r)
    if (group.host_of(r) != group.host_of(r / per_host * per_host)) return false;
  return true;
}

}  // namespace

std::unique_ptr<HostGrid> HostGrid::of(Communicator& group, int per_host) {
  // Every rank decides alike: the first host's ranks are counted, not this one's.
  int size = per_host;
  if (per_host == 0)
    while (size < group.size() && group.host_of(size) == group.host_of(0)) ++size;
  if (size < 2 || size >= group.size() || group.size() % size != 0) return nullptr;
  if (per_host == 0 && !host_by_host(group, size)) return nullptr;
  return std::unique_ptr<HostGrid>(new HostGrid(group, size));
}

HostGrid::HostGrid(Communicator& group, int per_host)
    : inside_(group.subgroup(every(group.rank() / per_host * per_host, per_host, 1))),
      across_(group.subgroup(every(group.rank() % per_host, group.size() / per_host, per_host))) {}

}  // namespace strata
