// JSON with named errors.
#include "tokenizer/json_text.hpp"

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata {
using nlohmann::json;

json parse_json(const std::string& content, const std::string& source) {
  constexpr int deepest = 64;  // levels; sound files have about ten
  bool too_deep = false;
  try {
    json value = json::parse(content, [&](int depth, json::parse_event_t, json&) { return !(too_deep = too_deep || depth > deepest); });
    if (!too_deep) return value;
  } catch (const json::exception& error) {
    if (!too_deep) throw DataError(text(source, ": is not sound JSON: ", error.what()));
  }
  throw DataError(text(source, ": is nested deeper than ", deepest, " levels"));
}

json read_json_object_if_there(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return json::object();
  json value = parse_json(read_text(path), path.string());
  if (!value.is_object()) throw DataError(text(path.string(), ": a JSON object is expected, found ", value.type_name()));
  return value;
}

const json& member_or_null(const json& object, const char* name) {
  static const json null;
  if (!object.is_object()) return null;
  const auto at = object.find(name);
  return at == object.end() ? null : *at;
}

std::string shown(const json& value) {
  std::string out = value.is_string() ? "'" + value.get<std::string>() + "'" : value.dump(-1, ' ', false, json::error_handler_t::replace);
  return out.size() > 160 ? out.substr(0, 160) + "..." : out;
}

}  // namespace strata
