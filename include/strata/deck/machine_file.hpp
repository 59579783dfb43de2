#pragma once
// Machine files: what a machine can do, in the syntax of decks. Written by `strata measure`, read by the profile and by `strata plan`.
#include <filesystem>
#include <string>

#include "strata/device/machine.hpp"

namespace strata {

/// Reads a machine file. All mistakes (unknown or repeated keys, values that are no positive numbers, product names that are none, keys
/// that are missing) are gathered and thrown as one DeckError, each with its line. Local.
Machine read_machine_file(const std::filesystem::path& path);
/// The same from a text; `name` is what messages call it.
Machine parse_machine(const std::string& name, const std::string& text);
/// The file's text, with a comment behind every key. parse_machine() gives the same machine back, to the digits written.
std::string machine_text(const Machine& machine);

}  // namespace strata
