// Input files: names and globs of the deck as a list of files, and the rules that cut files into records.
#include <glob.h>

#include <algorithm>
#include <set>

#include "strata/base/error.hpp"
#include "strata/data/text_reader.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::string> names(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (status != 0 && status != GLOB_NOMATCH) throw DataError(text("prepare.input: ", pattern, ": a folder on the way cannot be read"));
  std::sort(names.begin(), names.end());  // by bytes: glob's own order follows the locale
  return names;
}

std::vector<std::string> files_of(const std::string& pattern) {
  if (fs::exists(pattern)) {
    if (fs::is_directory(pattern))
      throw DataError(text("prepare.input: ", pattern, " is a folder: name its files, as in ", (fs::path(pattern) / "*.txt").string()));
    return {pattern};
  }
  if (pattern.find_first_of("*?[") == std::string::npos) throw DataError(text("prepare.input: there is no file ", pattern));
  std::vector<std::string> names = matches(pattern);
  // Folders that a star happens to meet are not meant.
  names.erase(std::remove_if(names.begin(), names.end(), [](const std::string& name) { return fs::is_directory(name); }), names.end());
  if (names.empty()) throw DataError(text("prepare.input: no file matches ", pattern));
  return names;
}

}  // namespace

std::vector<fs::path> expand_inputs(const std::vector<std::string>& patterns) {
  if (patterns.empty()) throw DataError("prepare.input names no file");
  std::vector<fs::path> files;
  std::set<fs::path> seen;
  for (const std::string& pattern : patterns)
    for (const std::string& name : files_of(pattern))
      if (seen.insert(fs::path(name).lexically_normal()).second) files.emplace_back(name);
  return files;
}

RecordRules record_rules(const std::string& format, const std::string& documents) {
  if (format == "jsonl" || format == "ids") return {RecordKind::json_line, ""};
  if (format != "text") throw DeckError(text("prepare.format = ", format, ": expected text, jsonl or ids"));
  if (documents == "file") return {RecordKind::file, ""};
  if (documents == "line") return {RecordKind::line, ""};
  if (documents == "blank_line") return {RecordKind::blank_line, ""};
  const std::string prefix = "between:";
  if (documents.compare(0, prefix.size(), prefix) == 0) {
    if (documents.size() == prefix.size())
      throw DeckError("prepare.documents = between: needs the text of the separating line, as in between:%");
    return {RecordKind::between, documents.substr(prefix.size())};
  }
  throw DeckError(text("prepare.documents = ", documents, ": expected file, line, blank_line or between:TEXT"));
}

}  // namespace strata
