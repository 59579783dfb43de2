#pragma once
// Tuning files: algorithms of a GPU's products, in the syntax of decks. Written by `strata measure`, named by device.tuning.
#include <filesystem>
#include <string>

#include "strata/device/tuning.hpp"

namespace strata {

/// Reads a tuning file. All mistakes are gathered and thrown as one DeckError, each with its line, what was expected and what was found.
/// Local.
Tuning read_tuning_file(const std::filesystem::path& path);
/// The same from a text; `name` is what messages call it.
Tuning parse_tuning(const std::string& name, const std::string& text);
/// The file's text. parse_tuning() gives the same algorithms back.
std::string tuning_text(const Tuning& tuning);

}  // namespace strata
