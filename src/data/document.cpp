// Document: UTF-8 and JSON with messages that say where.
#include "data/document.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "strata/tokenizer/nfc.hpp"

namespace strata::data {
namespace {

std::string place(const Record& record, const std::string& file) {
  return text(file, ":", record.line, ": ");
}

/// Bytes of the well-formed character at the start of `b`; 0 if there is none (Unicode, table 3-7).
std::size_t character_bytes(const unsigned char* b, std::size_t left) {
  const auto tail = [&](std::size_t i) { return i < left && (b[i] & 0xc0) == 0x80; };
  const unsigned char c = b[0];
  if (c < 0x80) return 1;
  if (c < 0xc2 || c > 0xf4 || !tail(1)) return 0;
  if (c < 0xe0) return 2;
  if (c < 0xf0) return (c == 0xe0 && b[1] < 0xa0) || (c == 0xed && b[1] > 0x9f) || !tail(2) ? 0 : 3;
  return (c == 0xf0 && b[1] < 0x90) || (c == 0xf4 && b[1] > 0x8f) || !tail(2) || !tail(3) ? 0 : 4;
}

void expect_utf8(const Record& record, const std::string& file) {
  const std::size_t at = first_invalid_utf8(record.bytes);
  if (at == std::string::npos) return;
  const auto end = record.bytes.begin() + static_cast<std::ptrdiff_t>(at);
  const std::int64_t line = record.line + std::count(record.bytes.begin(), end, '\n');
  throw DataError(text(file, ":", line, ": the text is not UTF-8: byte ", record.offset + static_cast<std::int64_t>(at), " of the file, 0x",
                       std::hex, static_cast<int>(static_cast<unsigned char>(record.bytes[at])),
                       ", begins no valid character (convert the file, or set prepare.on_error = skip)"));
}

nlohmann::json object_of(const Record& record, const std::string& file) {
  expect_utf8(record, file);
  constexpr int deepest = 64;  // levels; the library's own functions go down level by level on the stack
  bool too_deep = false;
  try {
    auto json = nlohmann::json::parse(
        record.bytes, [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) { return !(too_deep = too_deep || depth > deepest); });
    if (too_deep) throw DataError(text(place(record, file), "the JSON is nested deeper than ", deepest, " levels"));
    if (!json.is_object()) throw DataError(text(place(record, file), "expected a JSON object, found ", json.type_name()));
    return json;
  } catch (const nlohmann::json::parse_error& error) {
    if (too_deep) throw DataError(text(place(record, file), "the JSON is nested deeper than ", deepest, " levels"));
    throw DataError(text(place(record, file), "not valid JSON (at byte ", error.byte, " of the line): ", error.what()));
  } catch (const nlohmann::json::exception& error) {
    throw DataError(text(place(record, file), "not valid JSON: ", error.what()));
  }
}

const nlohmann::json& member(const nlohmann::json& object, const std::string& field, const Record& record, const std::string& file) {
  const auto found = object.find(field);
  if (found != object.end()) return *found;
  std::string names;
  for (const auto& item : object.items())
    if (names.size() < 200) names += (names.empty() ? "" : ", ") + item.key();
  throw DataError(text(place(record, file), "there is no field \"", field, "\"; the object has: ", names.empty() ? "nothing" : names));
}

}  // namespace

std::size_t first_invalid_utf8(std::string_view bytes) {
  const auto* b = reinterpret_cast<const unsigned char*>(bytes.data());
  for (std::size_t i = 0; i < bytes.size();) {
    const std::size_t n = character_bytes(b + i, bytes.size() - i);
    if (n == 0) return i;
    i += n;
  }
  return std::string_view::npos;
}

std::string document_text(const Record& record, const std::string& file, const PrepareConfig& config) {
  std::string result;
  if (config.format == "text") {
    expect_utf8(record, file);
    result = record.bytes;
  } else {
    const nlohmann::json object = object_of(record, file);
    const nlohmann::json& value = member(object, config.field, record, file);
    if (!value.is_string())
      throw DataError(text(place(record, file), "field \"", config.field, "\" is expected to be a string and is ", value.type_name()));
    result = value.get<std::string>();
  }
  if (config.normalise != "nfc" || is_surely_nfc(result)) return result;
  std::string normal;
  append_nfc(result, normal);
  return normal;
}

std::vector<std::uint32_t> document_ids(const Record& record, const std::string& file, const PrepareConfig& config,
                                        std::int64_t vocabulary) {
  const std::string field = config.field == "text" ? "input_ids" : config.field;  // "text" is the default for jsonl
  const nlohmann::json object = object_of(record, file);
  const nlohmann::json& list = member(object, field, record, file);
  if (!list.is_array())
    throw DataError(text(place(record, file), "field \"", field, "\" is expected to be a list of token ids and is ", list.type_name()));
  std::vector<std::uint32_t> ids;
  ids.reserve(list.size());
  for (const auto& entry : list) {
    const bool whole = entry.is_number_integer();
    const bool inside = whole && (entry.is_number_unsigned() ? entry.get<std::uint64_t>() < static_cast<std::uint64_t>(vocabulary) : false);
    if (!inside)
      throw DataError(text(place(record, file), field, "[", ids.size(), "] = ", entry.dump().substr(0, 60),
                           ": expected a token id from 0 to ", vocabulary - 1));
    ids.push_back(entry.get<std::uint32_t>());
  }
  return ids;
}

}  // namespace strata::data
