#pragma once
// Document: what a record says, as text or token ids, checked.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strata/data/config.hpp"
#include "strata/data/text_reader.hpp"

namespace strata::data {

/// Position of the first byte that is not part of well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF); npos if none.
std::size_t first_invalid_utf8(std::string_view bytes);

/// The document's text under config.format (text, or the field of a JSON object) and config.normalise. `place` is for messages. Throws
/// DataError: bytes that are not UTF-8 (with line and byte offset), invalid JSON, a missing field, a field that is not a string.
/// Thread-safe.
std::string document_text(const Record& record, const std::string& file, const PrepareConfig& config);

/// The document's ids for format ids. Throws DataError: invalid JSON, a missing field, an entry that is no whole number in [0, vocabulary),
/// with its position in the list. Thread-safe.
std::vector<std::uint32_t> document_ids(const Record& record, const std::string& file, const PrepareConfig& config,
                                        std::int64_t vocabulary);

}  // namespace strata::data
