#include "strata/commands/command_line.hpp"

#include "strata/base/error.hpp"

namespace strata {

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  for (const std::string& a : arguments) {
    if (a == "--json")
      line.json = true;
    else if (a == "--verify")
      line.verify = true;
    else if (a == "--compare")
      line.overrides.push_back("--plan.compare=true");
    else if (a == "--help" || a == "-h")
      line.help = true;
    else if (a == "--version")
      line.version = true;
    else if (a == "--markdown")
      line.markdown = true;
    else if (a.rfind("--", 0) == 0 && a.find('.') != std::string::npos)
      line.overrides.push_back(a);
    else if (a.rfind("-", 0) == 0 && a.size() > 1)
      throw DeckError(text("unknown option ", a, ": expected --section.key=value, --json, --verify, --compare, --help or --version"));
    else if (line.command.empty())
      line.command = a;
    else
      line.words.push_back(a);
  }
  return line;
}

}  // namespace strata
