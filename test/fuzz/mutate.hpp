#pragma once
// Mutations of an input: the same seed and number give the same mutant on every machine.
#include <string>

#include "fuzz/fuzz.hpp"

namespace strata::fuzz {

/// Mutant `number` of the corpus under `seed`: one of its seeds after one to eight of: a flipped bit, a byte set, an extreme integer of 1
/// to 8 bytes in either order, a stretch removed, doubled, moved, filled or taken from another seed, a word of the format put in, digits
/// changed, the end cut off. Half of the mutants are repaired where the corpus can.
std::string mutant(const Corpus& corpus, std::uint64_t seed, std::uint64_t number);

}  // namespace strata::fuzz
