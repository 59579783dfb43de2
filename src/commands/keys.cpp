// strata keys: the deck's keys.
#include <cstdio>

#include "strata/commands/command.hpp"
#include "strata/deck/keys.hpp"

namespace strata {

int run_keys(Session& session) {
  const std::string section = session.line.words.empty() ? "" : session.line.words[0];
  const std::string page = session.line.markdown ? keys_markdown() : session.line.json ? keys_json(section) : keys_text(section);
  std::fputs(page.c_str(), stdout);
  return 0;
}

}  // namespace strata
