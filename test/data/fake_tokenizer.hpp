#pragma once
// A tokenizer for tests of the data room: every byte is a token, and three tokens stand for themselves.
#include "strata/tokenizer/tokenizer.hpp"

namespace strata::test {

/// Bytes are 0-255, then <eos> 256, <bos> 257, <sep> 258.
class FakeTokenizer : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view text) const override {
    std::vector<TokenId> ids;
    encode_to(text, ids);
    return ids;
  }
  void encode_to(std::string_view text, std::vector<TokenId>& out) const override {
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  }
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::string result;
    for (const TokenId id : ids)
      if (!(skip_special && id > 255)) result += token_of(id);
    return result;
  }
  std::string bytes_of(TokenId id) const override { return token_of(id); }
  bool is_special(TokenId id) const override { return id > 255; }
  std::int64_t vocabulary() const override { return 259; }
  std::optional<TokenId> id_of(std::string_view token) const override {
    for (TokenId id = 0; id < 259; ++id)
      if (token_of(id) == token) return id;
    return std::nullopt;
  }
  std::string token_of(TokenId id) const override {
    if (id < 256) return std::string(1, static_cast<char>(id));
    return id == 256 ? "<eos>" : id == 257 ? "<bos>" : "<sep>";
  }
  std::optional<TokenId> eos() const override { return 256; }
  std::optional<TokenId> bos() const override { return 257; }
  const char* kind() const override { return "fake"; }
  std::string hash() const override { return "00112233445566778899aabbccddeeff"; }
};

/// The message of the error that `work` throws, "" if it throws none.
template <class Work>
std::string message_of(Work work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace strata::test
