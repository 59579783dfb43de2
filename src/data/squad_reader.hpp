#pragma once
// SQuAD reader: one parsed file after the other into SquadData.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_set>

#include "strata/data/characters.hpp"
#include "strata/data/squad.hpp"

namespace strata::data {

/// The whole content of a file, decompressed. DataError over 4 GiB.
std::string whole_content(const std::filesystem::path& path);

class SquadReader {
 public:
  explicit SquadReader(const SquadRules& rules) : rules_(rules) {}
  /// Adds what the JSON text `content` of file `name` holds. DataError.
  void add(const std::string& content, const std::string& name);
  SquadData finish();

 private:
  using Json = nlohmann::json;
  void add_paragraph(const Json& paragraph, const std::string& place);
  void add_question(const Json& question, const std::string& place);
  SquadQuestion parse_question(const Json& question, const std::string& place) const;
  std::string fault_of(const SquadQuestion& question) const;
  std::string settle_answer(SquadAnswer& answer, const Characters& context, const std::string& whole);
  void note(const std::string& problem);

  SquadRules rules_;
  SquadData data_;
  std::string file_;
  std::unordered_set<std::string> ids_;
};

}  // namespace strata::data
