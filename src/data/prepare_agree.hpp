#pragma once
// Agreement of ranks during prepare: on the first failure in input order, and on having read the same input.
#include <cstdint>
#include <optional>

#include "data/block.hpp"
#include "strata/comm/communicator.hpp"

namespace strata::data {

/// If any rank failed, throws the failure with the lowest record number on every rank (of equal ones the lowest rank's). Collective over
/// `comm`.
void throw_first_failure(Communicator& comm, const std::optional<Failure>& failure);

/// Throws DataError on every rank if one has read something else than rank 0: a file that differs between hosts, or changes meanwhile.
/// Collective.
void expect_same_input(Communicator& comm, const RecordReader& reader, const Wave& wave);

}  // namespace strata::data
