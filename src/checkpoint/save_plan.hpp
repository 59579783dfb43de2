#pragma once
// Private to checkpoint: whether the pieces of all ranks make whole tensors, and the datasets they go to.
#include <vector>

#include "strata/checkpoint/format.hpp"
#include "strata/comm/communicator.hpp"
#include "strata/io/h5.hpp"

namespace strata {

/// Throws DataError where the shape is impossible.
std::int64_t elements_of(const CheckpointTensor& tensor);

/// The tensors by path: the order in the file, whatever the caller's order was.
std::vector<const CheckpointTensor*> by_path(const std::vector<CheckpointTensor>& tensors);

/// Throws InternalError on every rank unless all ranks name the same tensors, each piece starts and ends where a checksum block does, and
/// the pieces cover each tensor exactly once. Collective.
void check_pieces(Communicator& comm, const std::vector<const CheckpointTensor*>& tensors);

/// Each tensor's dataset, and behind them all each tensor's checksums, in the same order.
std::vector<h5::DatasetSpec> datasets_of(const std::vector<const CheckpointTensor*>& tensors);

}  // namespace strata
