// Findings gathered, put in order, and agreed on over ranks.
#include "commands/findings.hpp"

#include <algorithm>
#include <filesystem>
#include <new>
#include <set>
#include <sstream>

#include "strata/base/log.hpp"

namespace strata {
namespace {

int order_of(const Finding& finding) {
  return finding.severity == Severity::error ? static_cast<int>(finding.kind) : 1000 + static_cast<int>(finding.severity);
}

}  // namespace

const char* name_of(Severity severity) {
  return severity == Severity::error ? "error" : severity == Severity::warning ? "warning" : "note";
}

Findings::Findings(const Deck& deck) : deck_(deck) {}

void Findings::error(ExitCode kind, const std::string& code, const std::string& key, const std::string& message,
                     const std::string& remedy) {
  add({Severity::error, kind, code, key, key.empty() ? "" : deck_.where(key), message, remedy});
}

void Findings::warning(const std::string& code, const std::string& key, const std::string& message, const std::string& remedy) {
  add({Severity::warning, ExitCode::done, code, key, key.empty() ? "" : deck_.where(key), message, remedy});
}

void Findings::note(const std::string& code, const std::string& key, const std::string& message) {
  add({Severity::note, ExitCode::done, code, key, key.empty() ? "" : deck_.where(key), message, ""});
}

void Findings::add(Finding finding) {
  for (const std::string& key : deck_.undecided())
    if (finding.key == key || finding.message.find(key) != std::string::npos) return;
  list_.push_back(std::move(finding));
}

std::string Findings::named(const std::string& key, std::string message) const {
  if (key.empty() || message.find(key) != std::string::npos) return message;
  const std::string value = deck_.value(key);
  if (message.rfind(value + ": ", 0) == 0) message.erase(0, value.size() + 2);
  return text(key, " = ", value, ": ", message);
}

bool Findings::attempt(const std::string& code, const std::string& key, const std::string& remedy, const std::function<void()>& work) {
  const auto failed = [&](ExitCode kind, const std::string& message) { error(kind, code, key, named(key, message), remedy); };
  try {
    work();
    return true;
  } catch (const Error& e) {
    failed(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    failed(ExitCode::capacity, "out of memory");
  } catch (const std::filesystem::filesystem_error& e) {
    failed(ExitCode::data, e.what());
  } catch (const std::exception& e) {
    failed(ExitCode::internal, e.what());
  }
  return false;
}

std::vector<Finding> Findings::sorted() const {
  std::vector<Finding> all = list_;
  std::stable_sort(all.begin(), all.end(), [](const Finding& a, const Finding& b) { return order_of(a) < order_of(b); });
  return all;
}

std::size_t Findings::count(Severity severity) const {
  return static_cast<std::size_t>(std::count_if(list_.begin(), list_.end(), [&](const Finding& f) { return f.severity == severity; }));
}

ExitCode Findings::exit_code() const {
  return can_start() ? ExitCode::done : sorted().front().kind;
}

std::string headline(const Finding& finding) {
  return (finding.where.empty() ? "" : finding.where + ": ") + finding.message;
}

std::string with_remedy(const Finding& finding) {
  return headline(finding) + (finding.remedy.empty() ? "" : "; " + finding.remedy);
}

std::vector<std::string> Findings::error_texts() const {
  std::vector<std::string> texts;
  for (const Finding& finding : sorted())
    if (finding.severity == Severity::error) texts.push_back(with_remedy(finding));
  return texts;
}

namespace {

constexpr char between = '\x1e';

// Rank 0's errors, then what others found besides (a file that is missing on their host).
std::vector<std::string> errors_of_all(Communicator& comm, const Findings& findings) {
  std::string mine;
  for (const std::string& entry : findings.error_texts()) mine += entry + between;
  std::vector<std::string> errors;
  std::set<std::string> said;
  const std::vector<std::string> texts = all_gather_text(comm, mine);
  for (int r = 0; r < comm.size(); ++r) {
    std::istringstream entries(texts[static_cast<std::size_t>(r)]);
    for (std::string entry; std::getline(entries, entry, between);)
      if (said.insert(entry).second) errors.push_back(r == 0 ? entry : text("rank ", r, " on ", comm.host_of(r), ": ", entry));
  }
  return errors;
}

}  // namespace

void require_start(Communicator& comm, const Findings& findings) {
  std::int64_t code = static_cast<std::int64_t>(findings.exit_code());
  if (comm.all_max(code) == 0) {
    for (const Finding& finding : findings.sorted())
      finding.severity == Severity::warning ? log_warning(with_remedy(finding)) : log_info(headline(finding));
    return;
  }
  const std::vector<std::string> errors = errors_of_all(comm, findings);
  std::string message = errors.size() == 1 ? errors[0] : text("the run cannot start, ", errors.size(), " errors:");
  for (std::size_t i = 0; errors.size() > 1 && i < errors.size(); ++i) message += "\n- " + errors[i];
  comm.broadcast(&code, sizeof code, static_cast<int>(comm.all_min(code != 0 ? comm.rank() : comm.size())));
  throw_error(static_cast<ExitCode>(code), message, true);
}

}  // namespace strata
