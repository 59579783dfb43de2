// Who keeps whom waiting, from the news of all ranks.
#include <cmath>
#include <cstdio>

#include "strata/base/error.hpp"
#include "strata/comm/watchdog.hpp"

namespace strata {
namespace {

std::string seconds_text(double seconds) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
  return buffer;
}

std::string name_of_rank(int rank, const std::vector<std::string>& hosts) {
  const auto at = static_cast<std::size_t>(rank);
  return at < hosts.size() ? text("rank ", rank, " on host ", hosts[at]) : text("rank ", rank);
}

}  // namespace

bool watchdog_busy(const std::vector<RankNews>& news, double timeout, double silence) {
  for (const RankNews& n : news)
    if (n.known && !n.waiting && n.silent < silence && n.idle < timeout) return true;
  return false;
}

std::string watchdog_verdict(const std::vector<RankNews>& news, const std::vector<std::string>& hosts, int rank, const std::string& phase,
                             double waited, double silence) {
  constexpr int most = 4;  // named
  int missing = 0, elsewhere = 0, silent = 0;
  std::string named, others;
  for (const RankNews& n : news) {
    if (n.rank == rank) continue;
    if (!n.known) {
      ++silent;
    } else if (n.silent >= silence || !n.waiting) {
      if (++missing <= most)
        named += text(named.empty() ? "" : "; ", name_of_rank(n.rank, hosts), " has not come to '", phase, "': it was last heard in '",
                      n.phase, "' ", seconds_text(n.silent >= silence ? n.silent : n.idle), " ago",
                      n.silent >= silence ? " and has been silent since (stopped, or its host is lost)"
                                          : " and is alive there (a file system that hangs?)");
    } else if (n.phase != phase && ++elsewhere <= most) {
      others += text(others.empty() ? "" : "; ", name_of_rank(n.rank, hosts), " waits in '", n.phase, "'");
    }
  }
  if (missing > most) named += text("; and ", missing - most, " more");
  const std::string self = text("waited ", seconds_text(waited), " in '", phase, "'");
  if (missing) return text(named, ". ", name_of_rank(rank, hosts), " ", self);
  if (silent)
    return text(name_of_rank(rank, hosts), " ", self, " in vain, and there is no news of ", silent,
                " of the other ranks (did all of them start, and do all hosts see the run's folder?)");
  return text(name_of_rank(rank, hosts), " ", self, " in vain: all other ranks are alive and wait too",
              others.empty() ? "" : text(" (", others, ")"), ": the link between their hosts is lost or does not get on");
}

}  // namespace strata
