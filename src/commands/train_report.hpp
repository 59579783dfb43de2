#pragma once
// What `strata train` says it will do.
#include "commands/preflight.hpp"
#include "strata/optim/schedule.hpp"

namespace strata {

/// Data and a first sample of it, validation, steps and learning rate, and what the run writes, into the log. Everything that preflight
/// finds must be there.
void log_training_data(const Preflight& run, const Schedule& schedule);

}  // namespace strata
