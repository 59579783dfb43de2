#pragma once
// The command line: strata <command> [deck ...] [--section.key=value ...] [--flags].
#include <string>
#include <vector>

namespace strata {

struct CommandLine {
  std::string command;                 // "train"; empty with --help or --version alone
  std::vector<std::string> words;      // deck files; for inspect and keys, their argument
  std::vector<std::string> overrides;  // "--section.key=value"
  bool json = false, verify = false, help = false, version = false, markdown = false;
};

/// Throws DeckError for a flag that does not exist, with the nearest one.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

}  // namespace strata
