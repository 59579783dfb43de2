#pragma once
// Findings: everything that is wrong or worth knowing before a run, gathered, ordered, and told.
#include <functional>
#include <string>
#include <vector>

#include "strata/base/error.hpp"
#include "strata/comm/communicator.hpp"
#include "strata/deck/deck.hpp"

namespace strata {

enum class Severity { error, warning, note };
/// "error", "warning", "note".
const char* name_of(Severity severity);

struct Finding {
  Severity severity = Severity::error;
  ExitCode kind = ExitCode::usage;  // of an error: what a run would end with
  std::string code;                 // what programs tell findings by: "data.missing"
  std::string key;                  // the deck key to change; empty: none
  std::string where;                // "input/x.in:12", "command line", "default", "jobs/x.sbatch:7"; empty: nowhere in particular
  std::string message;              // what was expected and what was found
  std::string remedy;               // what to do; may be empty
};

class Findings {
 public:
  /// The deck says where each key was given. What follows from a key whose own value is a mistake (Deck::undecided) is no finding.
  explicit Findings(const Deck& deck);

  void error(ExitCode kind, const std::string& code, const std::string& key, const std::string& message, const std::string& remedy = "");
  void warning(const std::string& code, const std::string& key, const std::string& message, const std::string& remedy = "");
  void note(const std::string& code, const std::string& key, const std::string& message);
  /// Leaves out what follows from a mistake; tell() does not.
  void add(Finding finding);
  void tell(Finding finding) { list_.push_back(std::move(finding)); }
  /// Runs `work`; an exception becomes an error of its kind, whose message names the key and its value. True if there was none.
  bool attempt(const std::string& code, const std::string& key, const std::string& remedy, const std::function<void()>& work);

  /// Errors by kind (deck, data, capacity), then warnings, then notes; in each the order in which they were found.
  std::vector<Finding> sorted() const;
  std::size_t count(Severity severity) const;
  bool can_start() const { return count(Severity::error) == 0; }
  /// done, or the kind of the first error.
  ExitCode exit_code() const;
  /// Every error as one line or two, in order, with its remedy.
  std::vector<std::string> error_texts() const;

 private:
  std::string named(const std::string& key, std::string message) const;
  const Deck& deck_;
  std::vector<Finding> list_;
};

/// "input/x.in:12: message", without the remedy.
std::string headline(const Finding& finding);
/// "input/x.in:12: message; remedy"
std::string with_remedy(const Finding& finding);
/// Throws what any rank has found on every rank, rank 0's errors first; what others found besides (a file that is missing on their host) is
/// added with rank and host. Without errors rank 0 logs warnings and notes. Collective over `comm`.
void require_start(Communicator& comm, const Findings& findings);

}  // namespace strata
