#pragma once
// What the tokenizer tests share: recorded references, their hashes, random texts.
#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strata/tokenizer/tokenizer.hpp"

namespace strata::test {

/// SHA-256 (FIPS 180-4), because the references are recorded with it.
class Sha256 {
 public:
  void add(std::string_view bytes);
  void add_number(std::uint32_t value);  // little-endian
  void add_ids(std::span<const TokenId> ids);
  std::string hex();

 private:
  void block(const unsigned char* data);
  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::string rest_;
  std::uint64_t length_ = 0;
};

/// UTF-8 of one code point.
std::string utf8_of(std::uint32_t code);

/// First 16 digits of the hash of block k of the sweep over all code points: texts "a" c "b " c "1", number of ids and ids of each.
std::string sweep_block(const Tokenizer& tokenizer, std::uint32_t block);

/// The JSON file at `path`.
nlohmann::json read_json(const std::filesystem::path& path);

/// Checks every case and every decode of a recorded reference, streaming included.
void expect_cases(const Tokenizer& tokenizer, const nlohmann::json& reference);

/// Checks all 272 hashes of reference["sweep"].
void expect_sweep(const Tokenizer& tokenizer, const nlohmann::json& reference);

/// All ids pushed through a StreamingDecoder.
std::string streamed(const Tokenizer& tokenizer, std::span<const TokenId> ids, bool skip_special = false);

/// A text of pieces that tokenizers find hard: letters of many scripts, marks, blanks, digits, apostrophes, bytes that are not UTF-8 unless
/// `valid`, special tokens.
std::string random_text(std::mt19937_64& random, bool valid);

}  // namespace strata::test
