#pragma once
// Document: what a record says, as text or token ids, checked.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strata/base/error.hpp"
#include "strata/base/utf8.hpp"
#include "strata/data/config.hpp"
#include "strata/data/text_reader.hpp"

namespace strata::data {

using strata::first_invalid_utf8;

/// Bytes that are not UTF-8 where the deck does not want them replaced.
struct Utf8Error : DataError {
  explicit Utf8Error(const std::string& m) : DataError(m) {}
};

/// The document's text under config.format (text, or the field of a JSON object) and config.normalise. `file` is for messages. Bytes that
/// are not UTF-8 are a Utf8Error (with line and byte offset), or under prepare.invalid_utf8 = replace become U+FFFD, and `note`, if given,
/// says where. Throws DataError: invalid JSON, a missing field, a field that is not a string. Thread-safe.
std::string document_text(const Record& record, const std::string& file, const PrepareConfig& config, std::string* note = nullptr);

/// The document's ids for format ids. Throws DataError: invalid JSON, a missing field, an entry that is no whole number in [0, vocabulary),
/// with its position in the list. Thread-safe.
std::vector<std::uint32_t> document_ids(const Record& record, const std::string& file, const PrepareConfig& config, std::int64_t vocabulary,
                                        std::string* note = nullptr);

/// Whether what is wrong with a document leaves it out (true) or stops prepare: prepare.invalid_utf8 for a Utf8Error, else
/// prepare.on_error.
bool skips(const PrepareConfig& config, const DataError& error);

}  // namespace strata::data
