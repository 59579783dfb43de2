#pragma once
// prepare for SQuAD: JSON into a feature file.
#include "strata/data/prepare.hpp"

namespace strata::data {

/// prepare() where config.format is squad. Collective over `comm`.
PrepareSummary prepare_squad(Communicator& comm, const PrepareConfig& config, const DataConfig& data, const PrepareTools& tools);

}  // namespace strata::data
