#pragma once
// The smallest vocabulary of a byte-level BPE: all bytes and four merges.
#include <string>

#include "tokenizer/byte_alphabet.hpp"

namespace strata::fuzz {

/// As a JSON object.
inline std::string small_vocabulary() {
  std::string all = "{";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string spelling = spell_bytes(std::string(1, static_cast<char>(byte)));
    all += "\"" + std::string(spelling == "\"" || spelling == "\\" ? "\\" : "") + spelling + "\":" + std::to_string(byte) + ",";
  }
  return all + R"("he":256,"ll":257,"hell":258,"oo":259})";
}

}  // namespace strata::fuzz
