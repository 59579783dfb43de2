#pragma once
// The profile of a run: time by op and phase against its floor, as a table for people and for tools.
#include <cstdint>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/device/peaks.hpp"
#include "strata/device/stream.hpp"

namespace strata {

/// Names of the phases that are no op.
namespace phase {
inline constexpr const char* data = "waiting for data";
inline constexpr const char* gradients = "gradient exchange";  // with the wait for ranks that are not there yet
inline constexpr const char* sums = "sums over ranks";         // counts, losses, norm: a few bytes each, and the wait
inline constexpr const char* optimizer = "optimizer, not in an op";
inline constexpr const char* checkpoint = "checkpoint";
inline constexpr const char* validation = "validation";
inline constexpr const char* log = "log and metrics";
inline constexpr const char* other = "not in an op";
}  // namespace phase

/// One row: means over ranks, per step.
struct ProfileLine {
  std::string name;
  double calls = 0, seconds = 0;  // per step
  double share = 0;               // of the step
  double flops = 0, bytes = 0;    // per step
  double floor = 0;               // [s] max(flops / peak flops, bytes / peak bytes); 0: it has none
  double slowest = 0;             // [s] of the rank that took longest
  int slowest_rank = 0;
};

struct Profile {
  std::int64_t steps = 0;
  double step_seconds = 0;  // mean over ranks; the sum of all lines
  int ranks = 1;
  Peaks peaks;                     // of one rank
  std::vector<ProfileLine> lines;  // the one that loses most against its floor first
};

/// The profile of `steps` steps. Collective; the result is whole on every rank.
Profile gather_profile(Communicator& comm, const ProfileRows& rows, std::int64_t steps, const Peaks& peaks);
/// For the log and plan.txt: a heading, one line per row, the sum.
std::string profile_table(const Profile& profile);
/// For profile.csv: op,calls_per_step,ms_per_step,share,gflops_per_s,gbytes_per_s,floor_ms,time_over_floor,slowest_ms,slowest_rank
std::string profile_csv(const Profile& profile);

}  // namespace strata
