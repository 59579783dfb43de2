#pragma once
// Disturbing whole runs: a shell beside the run, its rank processes, and the comparison of its end with an undisturbed run.
#include <string>

#include "commands/run_fixture.hpp"

namespace strata::test {

/// What a shell has to do to wait for a condition, for half a minute at most (times patience()).
std::string wait_until(const std::string& condition);
/// Runs `train` on `ranks` ranks (0: without mpirun) in the background of a shell, which goes on with `script`; $pid is the run.
CommandResult train_beside(const std::string& run, int ranks, const std::string& options, const std::string& script);
/// The rank processes of a run in the test's folder, that are neither its launcher nor its shell, as shell text.
std::string ranks_of(const std::string& run);
/// Lets `run` go on to its end and compares checkpoint and metrics with those of the run `undisturbed`.
void expect_same_end(const std::string& run, int ranks, const std::string& undisturbed, const std::string& options, int step);
/// Trains without disturbance on one rank.
void run_undisturbed(const std::string& run, const std::string& options);

}  // namespace strata::test
