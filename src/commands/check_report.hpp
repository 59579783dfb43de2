#pragma once
// What `strata check` prints: findings, facts of the run, and whether it can start.
#include <string>

#include "commands/batch_script.hpp"
#include "commands/preflight.hpp"

namespace strata {

/// For people: findings worst first, what the run is, "can start" or "cannot start: N errors".
std::string check_text(const Preflight& p);
/// The same as one JSON object: can_start, exit_code, findings, facts.
std::string check_json(const Preflight& p);

/// Compares a batch script with the deck, the batch and the steps left.
void check_script(Preflight& p, const BatchScript& script);

}  // namespace strata
