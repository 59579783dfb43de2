#pragma once
// Blocks: runs of documents of fixed size, dealt to ranks in turn and made into ids.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strata/base/error.hpp"
#include "strata/data/config.hpp"
#include "strata/data/split.hpp"
#include "strata/data/text_reader.hpp"
#include "strata/tokenizer/tokenizer.hpp"

namespace strata::data {

/// What stopped a rank, and at which record: ranks agree on the first in input order.
struct Failure {
  std::int64_t record = 0;
  ExitCode code = ExitCode::internal;
  std::string message;
};
/// The exception being handled, as a failure at `record`.
Failure current_failure(std::int64_t record);

/// Documents in input order: a block ends at 128 KiB or 4,096 records, whichever comes first, so that input alone decides where.
struct Block {
  std::vector<Record> records;
};

/// One round: the blocks of it that are this rank's.
struct Wave {
  std::vector<Block> blocks;
  std::int64_t block_count = 0;  // of all ranks
  bool last = false;
  std::optional<Failure> failure;  // of reading
};

/// Reads the next `ranks` * 128 blocks (fewer at the end) and keeps those of `rank`: block b belongs to rank b % ranks. Never throws.
/// Local.
Wave read_wave(RecordReader& reader, int rank, int ranks);

/// How a document becomes ids.
struct IdRules {
  const PrepareConfig* config = nullptr;
  const Tokenizer* tokenizer = nullptr;  // absent for format ids
  const Split* split = nullptr;
  std::int64_t vocabulary = 0;
  std::int64_t separator_id = -1;
  bool separator_before = false;
};

/// A document that was skipped or repaired, and why.
struct Noted {
  std::int64_t record = 0;
  std::string message;
};

/// A block's ids: [0] training, [1] validation.
struct BlockIds {
  std::array<std::vector<std::uint32_t>, 2> ids, lengths;
  std::int64_t text_bytes = 0;
  std::int64_t skipped_count = 0, repaired_count = 0;
  std::vector<Noted> noted;  // the first 20
  std::optional<Failure> failure;
};

/// Thread-safe, never throws: what fails is in the result.
BlockIds make_ids(const Block& block, const RecordReader& reader, const IdRules& rules);

}  // namespace strata::data
