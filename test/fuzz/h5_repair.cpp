// Finding and repairing the checksums of HDF5 metadata.
#include "fuzz/h5_repair.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

// The library's own (Jenkins lookup3); in none of its public headers.
extern "C" std::uint32_t H5_checksum_metadata(const void* data, std::size_t bytes, std::uint32_t initial);

namespace strata::fuzz {
namespace {

constexpr std::size_t longest_block = 16384;

/// [first, first + bytes) is followed by its checksum of four bytes.
struct Block {
  std::size_t first, bytes;
};

const std::vector<std::string>& signatures() {
  static const std::vector<std::string> all = {
      "\x89HDF\r\n\x1a\n", "OHDR", "OCHK", "FRHP", "FHDB", "FHIB", "BTHD", "BTLF", "BTIN", "FSHD", "FSSE", "SMTB", "SMLI"};
  return all;
}

std::uint32_t stored(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::vector<Block> blocks_of(const std::string& file) {
  std::vector<Block> blocks;
  for (const std::string& signature : signatures())
    for (std::size_t at = file.find(signature); at != std::string::npos; at = file.find(signature, at + 1))
      for (std::size_t n = 8; n < longest_block && at + n + 4 <= file.size(); ++n)
        if (H5_checksum_metadata(file.data() + at, n, 0) == stored(file, at + n)) {
          blocks.push_back({at, n});
          break;
        }
  return blocks;
}

void repair(std::string& mutant, const std::vector<Block>& blocks) {
  for (const Block& block : blocks) {
    if (block.first + block.bytes + 4 > mutant.size()) continue;
    const std::uint32_t checksum = H5_checksum_metadata(mutant.data() + block.first, block.bytes, 0);
    std::memcpy(mutant.data() + block.first + block.bytes, &checksum, sizeof checksum);
  }
}

}  // namespace

Corpus h5_corpus(std::vector<std::string> seeds) {
  auto blocks = std::make_shared<std::vector<std::vector<Block>>>();
  for (const std::string& seed : seeds) blocks->push_back(blocks_of(seed));
  Corpus corpus{std::move(seeds), signatures(), {}};
  corpus.repair = [blocks](std::string& mutant, std::size_t seed) { repair(mutant, (*blocks)[seed]); };
  return corpus;
}

}  // namespace strata::fuzz
