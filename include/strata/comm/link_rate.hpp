#pragma once
// How fast messages travel between ranks, through the communicator that training uses.
#include <cstdint>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/device/gpu.hpp"

namespace strata {

/// Two ranks, one sending to the other while all others wait.
struct LinkRate {
  int from = 0, to = 0;
  bool same_host = true;
  double latency = 0;    // [s] of 8 bytes one way: half a round trip
  double bandwidth = 0;  // [bytes/s] of one message of link_bytes
};
inline constexpr std::int64_t link_bytes = std::int64_t{8} << 20;

/// With `gpu`, whose memory `comm` knows (comm/gpu_communicator.hpp), data lies there; otherwise in the host's.
/// Pairs that tell most: each rank and the next one, and rank 0 with the first rank of every other host; at most `most`. One rank: none.
/// Collective; the result is the same on every rank.
std::vector<LinkRate> link_rates(Communicator& comm, int most, Gpu* gpu = nullptr);
/// Bytes that reach each rank per second in an all-gather of `bytes` bytes per rank; 0 for one rank. Collective, the same on every rank.
double gather_rate(Communicator& comm, std::int64_t bytes, Gpu* gpu = nullptr);

}  // namespace strata
