// Reading and checking recorded references.
#include "tokenizer/golden.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "support/support.hpp"

namespace strata::test {
namespace {
constexpr std::array<std::uint32_t, 64> round_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
}  // namespace

void Sha256::block(const unsigned char* data) {
  std::uint32_t w[64];
  for (int i = 0; i < 16; ++i)
    w[i] = static_cast<std::uint32_t>(data[4 * i]) << 24 | data[4 * i + 1] << 16 | data[4 * i + 2] << 8 | data[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    const auto s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
    const auto s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (std::size_t i = 0; i < 64; ++i) {
    const auto t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) + round_constants[i] + w[i];
    const auto t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const std::uint32_t added[8] = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < 8; ++i) state_[i] += added[i];
}

void Sha256::add(std::string_view bytes) {
  length_ += bytes.size();
  rest_ += bytes;
  std::size_t at = 0;
  for (; rest_.size() - at >= 64; at += 64) block(reinterpret_cast<const unsigned char*>(rest_.data()) + at);
  rest_.erase(0, at);
}

void Sha256::add_number(std::uint32_t value) {
  const char bytes[4] = {static_cast<char>(value), static_cast<char>(value >> 8), static_cast<char>(value >> 16),
                         static_cast<char>(value >> 24)};
  add({bytes, 4});
}

void Sha256::add_ids(std::span<const TokenId> ids) {
  std::string bytes;
  for (const TokenId id : ids)
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(id >> (8 * i)));
  add(bytes);
}

std::string Sha256::hex() {
  const std::uint64_t bits = length_ * 8;
  add(std::string(1, '\x80'));
  while (rest_.size() != 56) add(std::string(1, '\0'));
  std::string length;
  for (int i = 7; i >= 0; --i) length.push_back(static_cast<char>(bits >> (8 * i)));
  add(length);
  std::string out;
  for (const std::uint32_t word : state_)
    for (int i = 28; i >= 0; i -= 4) out.push_back("0123456789abcdef"[word >> i & 15]);
  return out;
}

std::string utf8_of(std::uint32_t c) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0 | c >> 6), byte(0x80 | (c & 63))};
  if (c < 0x10000) return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
  return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 63)), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
}

std::string sweep_block(const Tokenizer& tokenizer, std::uint32_t block) {
  Sha256 hash;
  for (std::uint32_t c = block * 4096; c < (block + 1) * 4096; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    const auto ids = tokenizer.encode("a" + utf8_of(c) + "b " + utf8_of(c) + "1");
    hash.add_number(static_cast<std::uint32_t>(ids.size()));
    hash.add_ids(ids);
  }
  return hash.hex().substr(0, 16);
}

nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_file(path));
}

std::string streamed(const Tokenizer& tokenizer, std::span<const TokenId> ids, bool skip_special) {
  StreamingDecoder decoder(tokenizer, skip_special);
  std::string out;
  for (const TokenId id : ids) out += decoder.push(id);
  return out + decoder.finish();
}

void expect_cases(const Tokenizer& tokenizer, const nlohmann::json& reference) {
  const auto expect_decoded = [&](const nlohmann::json& row) {
    const auto ids = row["ids"].get<std::vector<TokenId>>();
    const auto decoded = row["decoded"].get<std::string>();
    EXPECT_EQ(tokenizer.decode(ids), decoded) << row.dump();
    EXPECT_EQ(streamed(tokenizer, ids), decoded) << row.dump();
    const auto skipped = row.value("decoded_skip_special", decoded);
    if (!row.contains("decoded_skip_special") && tokenizer.kind() == std::string("sentencepiece"))
      return;  // recorded with special tokens only
    EXPECT_EQ(tokenizer.decode(ids, true), skipped) << row.dump();
    EXPECT_EQ(streamed(tokenizer, ids, true), skipped) << row.dump();
  };
  ASSERT_FALSE(reference["cases"].empty());
  for (const auto& row : reference["cases"]) {
    EXPECT_EQ(tokenizer.encode(row["text"].get<std::string>()), row["ids"].get<std::vector<TokenId>>())
        << row["text"].dump().substr(0, 500);
    expect_decoded(row);
  }
  for (const auto& row : reference["decodes"]) expect_decoded(row);
}

void expect_sweep(const Tokenizer& tokenizer, const nlohmann::json& reference) {
  const auto& blocks = reference["sweep"];
  ASSERT_EQ(blocks.size(), 272u);
  for (std::uint32_t k = 0; k < 272; ++k)
    EXPECT_EQ(sweep_block(tokenizer, k), blocks[k].get<std::string>()) << "code points from " << k * 4096;
}

std::string random_text(std::mt19937_64& random, bool valid) {
  static const char* const pieces[] = {" ",
                                       "  ",
                                       "\n",
                                       "\r\n",
                                       "\t",
                                       "a",
                                       "the",
                                       " The",
                                       "'s",
                                       "'LL",
                                       "'\xc5\xbf",
                                       "7",
                                       "1234",
                                       "!",
                                       "...",
                                       "<|endoftext|>",
                                       "<|im_end|>",
                                       "<s>",
                                       "\xcc\x81",
                                       "e\xcc\x81",
                                       "\xc3\xa9",
                                       "\xe4\xbd\xa0\xe5\xa5\xbd",
                                       "\xc2\xa0",
                                       "\xe2\x80\x83",
                                       "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9",
                                       "\xd7\xa9\xd6\xb7\xd7\x81",
                                       "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8",
                                       "\xcc\xa3\xcc\x87",
                                       "\xe0\xa5\x98",
                                       "\xcd\x84"};
  std::string out;
  const int count = static_cast<int>(random() % 40);
  for (int i = 0; i < count; ++i) {
    const auto kind = random() % 8;
    if (kind < 5)
      out += pieces[random() % std::size(pieces)];
    else if (kind == 5 && !valid)
      out.push_back(static_cast<char>(random() % 256));
    else if (kind == 6)
      out += utf8_of(static_cast<std::uint32_t>(random() % 0xd800));
    else
      out.push_back(static_cast<char>(32 + random() % 95));
  }
  return out;
}

}  // namespace strata::test
