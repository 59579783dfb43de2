// Document: UTF-8 and JSON with messages that say where.
#include "data/document.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "strata/tokenizer/nfc.hpp"

namespace strata::data {
namespace {

std::string place(const Record& record, const std::string& file) {
  return text(file, ":", record.line, ": ");
}

/// The first byte that is not UTF-8, as "file:line: ... byte N of the file, 0x..": where to look.
std::string invalid_place(const Record& record, const std::string& file, std::size_t at) {
  const auto end = record.bytes.begin() + static_cast<std::ptrdiff_t>(at);
  const std::int64_t line = record.line + std::count(record.bytes.begin(), end, '\n');
  return text(file, ":", line, ": the text is not UTF-8: byte ", record.offset + static_cast<std::int64_t>(at), " of the file, 0x",
              std::hex, static_cast<int>(static_cast<unsigned char>(record.bytes[at])), ", begins no valid character");
}

/// The record's bytes as UTF-8, repaired into `memory` where the deck wants that.
std::string_view utf8_of(const Record& record, const std::string& file, const PrepareConfig& config, std::string& memory,
                         std::string* note) {
  const std::size_t at = first_invalid_utf8(record.bytes);
  if (at == std::string::npos) return record.bytes;
  const std::string where = invalid_place(record, file, at);
  if (config.invalid_utf8 != "replace")
    throw Utf8Error(text(where, " (convert the file, or set prepare.on_error = skip, or prepare.invalid_utf8 = replace or skip)"));
  std::int64_t replaced = 0;
  memory = repaired_utf8(record.bytes, replaced);
  if (note) *note = text(where, "; ", replaced, replaced == 1 ? " place was" : " places were", " replaced by U+FFFD in this document");
  return memory;
}

nlohmann::json object_of(const Record& record, const std::string& file, const PrepareConfig& config, std::string* note) {
  std::string memory;
  const std::string_view bytes = utf8_of(record, file, config, memory, note);
  constexpr int deepest = 64;  // levels; the library's own functions go down level by level on the stack
  bool too_deep = false;
  try {
    auto json = nlohmann::json::parse(
        bytes, [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) { return !(too_deep = too_deep || depth > deepest); });
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

bool skips(const PrepareConfig& config, const DataError& error) {
  const bool utf8 = dynamic_cast<const Utf8Error*>(&error) != nullptr;
  return (utf8 && config.invalid_utf8 != "on_error" ? config.invalid_utf8 : config.on_error) == "skip";
}

std::string document_text(const Record& record, const std::string& file, const PrepareConfig& config, std::string* note) {
  std::string result;
  if (config.format == "text") {
    std::string memory;
    result = utf8_of(record, file, config, memory, note);
  } else {
    const nlohmann::json object = object_of(record, file, config, note);
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

std::vector<std::uint32_t> document_ids(const Record& record, const std::string& file, const PrepareConfig& config, std::int64_t vocabulary,
                                        std::string* note) {
  const std::string field = config.field == "text" ? "input_ids" : config.field;  // "text" is the default for jsonl
  const nlohmann::json object = object_of(record, file, config, note);
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
