#pragma once
// What a code point is to the pre-tokenisers and to NFC, in one byte, found with one read.
#include <array>
#include <cstdint>
#include <vector>

#include "tokenizer/utf8.hpp"

namespace strata::unicode {

enum Class : std::uint8_t { other = 0, letter = 1, number = 2, space = 3 };
constexpr std::uint8_t class_mask = 3;
/// NFC may change this character, or join or reorder it with those before it.
constexpr std::uint8_t moves = 4;

/// Properties of every code point and, behind them, of the 256 raw bytes (`other`). Built on first use; thread-safe.
const std::uint8_t* properties();
constexpr std::size_t property_count = utf8::raw_byte + 256;

/// Canonical combining class of Unicode 9; 0 for starters.
std::uint8_t combining_class(std::uint32_t code);

/// Appends the full canonical decomposition of one code point.
void decompose(std::uint32_t code, std::vector<std::uint32_t>& out);

/// The primary composite of two code points, 0 if there is none.
std::uint32_t compose(std::uint32_t first, std::uint32_t second);

}  // namespace strata::unicode
