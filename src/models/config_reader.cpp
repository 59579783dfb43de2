#include "models/config_reader.hpp"

#include <set>

#include "strata/io/file.hpp"

namespace strata {

using Json = nlohmann::json;

Json parse_config(const std::string& json, const std::string& origin) {
  constexpr int deepest = 32;
  std::vector<std::set<std::string>> keys;
  std::string problem;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > deepest) problem = text("is nested deeper than ", deepest, " levels");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get_ref<const std::string&>()).second)
      problem = text("has the key \"", parsed.get_ref<const std::string&>(), "\" twice");
    return problem.empty();
  };
  try {
    Json object = Json::parse(json, watch);
    if (problem.empty() && !object.is_object()) problem = "expected a JSON object, the configuration of a model";
    if (problem.empty()) return object;
  } catch (const Json::exception& e) {
    if (problem.empty()) throw DataError(text(origin, ": not a JSON file: ", e.what()));
  }
  throw DataError(text(origin, ": ", problem));
}

ConfigText read_config(const std::filesystem::path& path) {
  const auto file = std::filesystem::is_directory(path) ? path / "config.json" : path;
  if (!std::filesystem::exists(file))
    throw DataError(text("model.config: ", file.string(), " does not exist: expected a config.json or a folder that holds one"));
  return {read_text(file, 16 << 20), file.string()};
}

}  // namespace strata
