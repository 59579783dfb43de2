#pragma once
// Packing pass of prepare: from every rank's id store into one token file.
#include <cstdint>

#include "data/id_store.hpp"
#include "data/token_writer.hpp"
#include "strata/data/packing.hpp"
#include "strata/data/prepare.hpp"

namespace strata::data {

/// What a token file will hold, known before it is made.
struct PackedSize {
  std::int64_t tokens = 0, entries = 0, padding = 0, documents = 0, source_tokens = 0;
};

/// Runs the packing over all lengths without writing. Collective over `comm`.
PackedSize measure_packing(Communicator& comm, const IdStore& store, std::int64_t blocks, PackMode mode, std::int64_t sequence, bool wrap);

/// Fills tokens, documents (and lengths) of `writer`: every rank copies its own documents and writes its stretch of the rest. Collective
/// over `comm`.
void write_packed(Communicator& comm, const IdStore& store, std::int64_t blocks, PackMode mode, const TokenFileInfo& info,
                  TokenWriter& writer);

}  // namespace strata::data
