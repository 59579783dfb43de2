#pragma once
// Faults made on purpose, for tests: `run.fault` kills, stops or slows a rank at a named point, or makes a number not finite. Only builds
// with STRATA_FAULTS (the default where tests are built) contain any of it; in others STRATA_FAULT() is nothing.
#include <cstdint>
#include <limits>
#include <string>

#include "strata/build_info.hpp"

namespace strata {

/// The number of a step that is only planned, which has no faults.
inline constexpr std::int64_t planned_step = std::numeric_limits<std::int64_t>::max();

inline constexpr bool fault_injection = STRATA_FAULTS != 0;

/// What is wrong with the text of a fault; empty: nothing. The form is kind[:rank=R][:step=S][:at=POINT][:leaf=L][:seconds=X]; kinds are
///   kill   SIGKILL to this process         stop   SIGSTOP to this process       hang  sleeps for ever, alive
///   slow   sleeps `seconds` at each visit  nan    the loss of micro-batch `leaf` becomes NaN
/// Without rank every rank is meant, without step every step. nan takes step and leaf only.
std::string fault_complaint(const std::string& fault);

#if STRATA_FAULTS
/// From now on this process has this fault (empty: none). `fault` has no complaint.
void set_fault(const std::string& fault, int rank);
/// The process is at this point, in this step.
void fault_point(const char* point, std::int64_t step);
/// Whether the loss of this micro-batch is to be NaN.
bool fault_poisons(std::int64_t step, std::int64_t leaf);
#define STRATA_FAULT(point, step) ::strata::fault_point(point, step)
#else
inline void set_fault(const std::string&, int) {}
inline bool fault_poisons(std::int64_t, std::int64_t) {
  return false;
}
#define STRATA_FAULT(point, step) static_cast<void>(0)
#endif

}  // namespace strata
