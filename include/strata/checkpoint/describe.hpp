#pragma once
// What is in a checkpoint, in words and as JSON: the answer of `strata inspect`.
#include <string>

#include "strata/checkpoint/reader.hpp"

namespace strata {

/// Several lines: model, step, epoch, loss, best, sizes by group, hashes and launch; with `verbose` also every tensor and the whole deck.
/// Local.
std::string describe_checkpoint(const CheckpointReader& checkpoint, bool verbose);
/// The same as one JSON object (numbers that are not finite become null); with `verbose` also "tensors". Local.
std::string describe_checkpoint_json(const CheckpointReader& checkpoint, bool verbose = false);

}  // namespace strata
