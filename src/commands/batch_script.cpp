// Batch scripts read line by line: directives, the launcher's line, traps.
#include "commands/batch_script.hpp"

#include <algorithm>
#include <charconv>
#include <regex>
#include <sstream>

namespace strata {
namespace {

std::int64_t whole(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size() && value >= 0 ? value : -1;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream in(line);
  for (std::string word; in >> word;) {
    if (word.front() == '#') break;
    words.push_back(word);
  }
  return words;
}

std::string long_name(char letter) {
  switch (letter) {
    case 'N':
      return "nodes";
    case 'n':
      return "ntasks";
    case 'c':
      return "cpus-per-task";
    case 't':
      return "time";
    default:
      return std::string(1, letter);
  }
}

bool ends_with(const std::string& word, const std::string& end) {
  return word.size() >= end.size() && word.compare(word.size() - end.size(), end.size(), end) == 0;
}

bool is_launcher(const std::string& word) {
  for (const char* name : {"mpirun", "mpiexec", "srun", "orterun"})
    if (word == name || ends_with(word, std::string("/") + name)) return true;
  return false;
}

/// The number behind -n, -np, --np, -c or --ntasks; 0: none, or a variable.
int ranks_of(const std::vector<std::string>& words, std::size_t launcher) {
  for (std::size_t i = launcher + 1; i < words.size() && words[i].front() == '-'; ++i) {
    const std::string& word = words[i];
    const bool count = word == "-n" || word == "-np" || word == "--np" || word == "--ntasks";
    if (count && i + 1 < words.size())
      return static_cast<int>(std::max<std::int64_t>(0, std::min<std::int64_t>(whole(words[i + 1]), 1 << 20)));
    if (word.rfind("--ntasks=", 0) == 0)
      return static_cast<int>(std::max<std::int64_t>(0, std::min<std::int64_t>(whole(word.substr(9)), 1 << 20)));
    // An option with its value behind a blank: the value is no option.
    if (i + 1 < words.size() && words[i + 1].front() != '-' && !count && word.find('=') == std::string::npos) ++i;
  }
  return 0;
}

}  // namespace

BatchScript::BatchScript(std::string path, const std::string& content) : path_(std::move(path)) {
  std::istringstream lines(content);
  std::string joined;
  int number = 0, first = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.rfind("#SBATCH", 0) == 0) {
      commands_ ? ignored_.push_back(number) : read_directive(line.substr(7), number);
      continue;
    }
    if (joined.empty()) first = number;
    joined += line;
    if (!joined.empty() && joined.back() == '\\') {
      joined.back() = ' ';
      continue;
    }
    read_command(joined, first);
    joined.clear();
  }
}

void BatchScript::read_directive(const std::string& text, int line) {
  const std::vector<std::string> words = words_of(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.size() < 2 || word[0] != '-') continue;
    const bool is_long = word[1] == '-';
    const std::size_t equals = word.find('=');
    std::string name = is_long ? word.substr(2, equals == std::string::npos ? equals : equals - 2) : long_name(word[1]), value;
    if (is_long && equals != std::string::npos)
      value = word.substr(equals + 1);
    else if (!is_long && word.size() > 2)
      value = word.substr(word[2] == '=' ? 3 : 2);
    else if (i + 1 < words.size() && words[i + 1][0] != '-')
      value = words[++i];
    options_[name] = {value, line};
  }
}

void BatchScript::read_command(const std::string& text, int line) {
  const std::vector<std::string> words = words_of(text);
  if (words.empty()) return;
  commands_ = true;
  if (words[0] == "trap" && text.find("USR1") != std::string::npos) traps_usr1_ = true;
  if (text.find("scontrol requeue") != std::string::npos) requeues_ = true;
  const auto launcher = std::find_if(words.begin(), words.end(), is_launcher);
  if (launcher == words.end() || std::find(launcher, words.end(), "train") == words.end()) return;
  const auto at = static_cast<std::size_t>(launcher - words.begin());
  launcher_ = {launcher->substr(launcher->rfind('/') == std::string::npos ? 0 : launcher->rfind('/') + 1), line, ranks_of(words, at), text};
}

std::int64_t BatchScript::number(const std::string& option) const {
  const auto found = options_.find(option);
  return found == options_.end() ? 0 : std::max<std::int64_t>(0, std::min<std::int64_t>(whole(found->second.text), 1 << 20));
}

std::string BatchScript::at(int line) const {
  return path_ + ":" + std::to_string(line);
}

std::string BatchScript::where(const std::string& option) const {
  const auto found = options_.find(option);
  return found == options_.end() ? path_ : at(found->second.line);
}

int BatchScript::nodes() const {
  return static_cast<int>(number("nodes"));
}

int BatchScript::tasks() const {
  if (number("ntasks") > 0) return static_cast<int>(number("ntasks"));
  const std::int64_t nodes = std::max<std::int64_t>(1, number("nodes")), per_node = number("ntasks-per-node");
  if (per_node > 0) return static_cast<int>(std::min<std::int64_t>(nodes * per_node, 1 << 20));
  return number("nodes") > 0 ? this->nodes() : 0;
}

int BatchScript::ranks_per_host() const {
  const int per_node = static_cast<int>(number("ntasks-per-node")), hosts = std::max(1, nodes());
  if (per_node > 0) return std::max(1, std::min(per_node, ranks()));
  return ranks() > 0 ? (ranks() + hosts - 1) / hosts : 0;
}

std::int64_t BatchScript::time_limit() const {
  return has("time") ? slurm_seconds(options_.at("time").text) : 0;
}

std::int64_t BatchScript::memory_per_host() const {
  if (has("mem")) return std::max<std::int64_t>(0, slurm_bytes(options_.at("mem").text));
  if (!has("mem-per-cpu")) return 0;
  return std::max<std::int64_t>(0, slurm_bytes(options_.at("mem-per-cpu").text)) * std::max(1, threads()) * std::max(1, ranks_per_host());
}

std::int64_t slurm_seconds(const std::string& time) {
  if (time == "UNLIMITED" || time == "INFINITE" || time == "0") return 0;
  static const std::regex with_days("([0-9]{1,6})-([0-9]{1,2})(?::([0-9]{1,2}))?(?::([0-9]{1,2}))?"),
      without("([0-9]{1,9})(?::([0-9]{1,2}))?(?::([0-9]{1,2}))?");
  std::smatch m;
  const auto part = [&](std::size_t i) { return m[i].matched ? whole(m[i]) : 0; };
  if (std::regex_match(time, m, with_days)) return part(1) * 86400 + part(2) * 3600 + part(3) * 60 + part(4);
  if (!std::regex_match(time, m, without)) return -1;
  return m[3].matched ? part(1) * 3600 + part(2) * 60 + part(3) : part(1) * 60 + part(2);
}

std::int64_t slurm_bytes(const std::string& size) {
  static const std::regex form("([0-9]{1,9})([KkMmGgTt]?)");
  std::smatch m;
  if (!std::regex_match(size, m, form)) return -1;
  const std::string unit = m[2];
  const int power = unit.empty() || unit == "M" || unit == "m" ? 20
                    : unit == "K" || unit == "k"               ? 10
                    : unit == "G" || unit == "g"               ? 30
                                                               : 40;
  return std::min(whole(m[1]), (std::int64_t{1} << 62) >> power) << power;
}

}  // namespace strata
