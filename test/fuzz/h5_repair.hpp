#pragma once
// HDF5 metadata carries checksums, which an attacker sets right: mutants of HDF5 files get theirs set right as well.
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"

namespace strata::fuzz {

/// The corpus of HDF5 seeds: their blocks of metadata under a checksum are found by trying every length behind every signature.
Corpus h5_corpus(std::vector<std::string> seeds);

}  // namespace strata::fuzz
