#pragma once
// SQuAD predictions scored without a model.
#include "strata/commands/command.hpp"

namespace strata {

/// `strata evaluate` with evaluate.score: prints the scores, and writes them to evaluate.output where that is given. Collective.
int score_predictions(Session& session);

}  // namespace strata
