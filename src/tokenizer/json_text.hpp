#pragma once
// Reading the JSON files of tokenizers: what is wrong is said with the file's name.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace strata {

/// The value of a whole JSON text; DataError with `source` and the parser's place if it is not sound.
nlohmann::json parse_json(const std::string& content, const std::string& source);

/// The file's JSON object; an empty object if there is no such file. DataError if it holds anything else.
nlohmann::json read_json_object_if_there(const std::filesystem::path& path);

/// The member, or null.
const nlohmann::json& member_or_null(const nlohmann::json& object, const char* name);

/// "null", "true", "'NFC'", ... short enough for a message.
std::string shown(const nlohmann::json& value);

}  // namespace strata
