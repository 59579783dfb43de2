#pragma once
// Private to checkpoint: the run and launch records as HDF5 attributes, and the hash that guards the former.
#include <string>
#include <vector>

#include "strata/checkpoint/format.hpp"
#include "strata/io/h5.hpp"

namespace strata {

/// Attributes of the root, /run, /run/extra and /run/launch, in the order they are written (what depends on the launch last, so that
/// nothing before it moves). Throws InternalError for texts with zero bytes, which a fixed-length text cannot hold.
std::vector<h5::AttributeSpec> checkpoint_attributes(const RunRecord& run, const LaunchRecord& launch);

/// XXH3-128 over every field of the record, in a fixed order.
std::string run_hash(const RunRecord& run);

/// Throws DataError where the file is no checkpoint, of an unknown version, or its run record does not give its hash.
void check_format(const h5::File& file);
RunRecord read_run_record(const h5::File& file);
LaunchRecord read_launch_record(const h5::File& file);

}  // namespace strata
