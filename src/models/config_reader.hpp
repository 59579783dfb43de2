#pragma once
// Typed access to a config.json, with errors that name file, key, what was expected and what was found.
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

#include "strata/base/error.hpp"

namespace strata {

class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& object, std::string origin, std::string prefix = "")
      : object_(object), origin_(std::move(origin)), prefix_(std::move(prefix)) {}

  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }
  const nlohmann::json& at(const char* key) const { return object_[key]; }
  /// The table under `key`; anything else there is an error.
  ConfigReader inside(const char* key) const {
    if (!object_[key].is_object()) wrong(key, "a table of settings");
    return ConfigReader(object_[key], origin_, prefix_ + key + ".");
  }

  std::int64_t positive(const char* key) const {
    require(key, "a positive whole number");
    const auto& value = object_[key];
    if (!value.is_number_integer() || value.get<std::int64_t>() <= 0 || value.get<std::int64_t>() > (std::int64_t{1} << 31))
      wrong(key, "a positive whole number");
    return value.get<std::int64_t>();
  }
  std::int64_t positive(const char* key, std::int64_t otherwise) const { return has(key) ? positive(key) : otherwise; }
  double number(const char* key) const {
    require(key, "a number");
    if (!object_[key].is_number()) wrong(key, "a number");
    return object_[key].get<double>();
  }
  double number(const char* key, double otherwise) const { return has(key) ? number(key) : otherwise; }
  /// A number above zero, or at least zero.
  double above_zero(const char* key, double otherwise) const {
    const double value = number(key, otherwise);
    if (!(value > 0)) wrong(key, "a number above 0");
    return value;
  }
  bool flag(const char* key, bool otherwise) const {
    if (!has(key)) return otherwise;
    if (!object_[key].is_boolean()) wrong(key, "true or false");
    return object_[key].get<bool>();
  }
  std::string string(const char* key, const std::string& otherwise) const {
    if (!has(key)) return otherwise;
    if (!object_[key].is_string()) wrong(key, "a text");
    return object_[key].get<std::string>();
  }
  /// Throws: this value is known, but Strata cannot do it.
  [[noreturn]] void unsupported(const char* key, const std::string& supported) const {
    throw DataError(text(origin_, ": ", prefix_, key, " = ", object_[key].dump(), " is not supported; supported: ", supported));
  }
  [[noreturn]] void wrong(const char* key, const std::string& expected) const {
    throw DataError(text(origin_, ": ", prefix_, key, ": expected ", expected, ", found ", object_[key].dump()));
  }

 private:
  void require(const char* key, const std::string& expected) const {
    if (!has(key)) throw DataError(text(origin_, ": ", prefix_, key, " is missing: expected ", expected));
  }
  const nlohmann::json& object_;
  std::string origin_, prefix_;
};

/// The object in a config.json: nothing nested deeper than any configuration is, and no key twice, for of two values, programs differ in
/// which they take. Throws DataError.
nlohmann::json parse_config(const std::string& json, const std::string& origin);

/// The text of a config.json (or of the one in the folder `path`), and the name it goes by in messages. Throws DataError.
struct ConfigText {
  std::string json, origin;
};
ConfigText read_config(const std::filesystem::path& path);

}  // namespace strata
