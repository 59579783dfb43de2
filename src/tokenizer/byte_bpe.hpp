#pragma once
// Byte-level BPE: the tokenizer of Qwen, GPT-2 and Llama 3, put together from its parts.
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "strata/tokenizer/tokenizer.hpp"
#include "tokenizer/bpe.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/spellings.hpp"

namespace strata {

/// What the files say, whatever their form.
struct ByteBpeParts : TokenizerParts {
  std::vector<Merge> merges;  // by rank
  SplitRule rule = SplitRule::qwen2;
  bool nfc = false;
  bool ignore_merges = false;  // a word that is a token is taken whole
};

class ByteBpeTokenizer : public Tokenizer {
 public:
  /// DataError if a byte has no token, or an added token and the vocabulary disagree about an id.
  explicit ByteBpeTokenizer(const ByteBpeParts& parts);

  std::vector<TokenId> encode(std::string_view text) const override;
  void encode_to(std::string_view text, std::vector<TokenId>& out) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::string bytes_of(TokenId id) const override;
  bool is_special(TokenId id) const override { return spellings_.is_special(id); }
  std::int64_t vocabulary() const override { return static_cast<std::int64_t>(spellings_.size()); }
  std::optional<TokenId> id_of(std::string_view token) const override;
  std::string token_of(TokenId id) const override { return spellings_.of(id); }
  std::optional<TokenId> eos() const override { return eos_; }
  std::optional<TokenId> bos() const override { return bos_; }
  const char* kind() const override { return "byte_bpe"; }
  std::string hash() const override { return hash_; }

 private:
  void encode_unmarked(std::string_view text, WordCache& cache, std::vector<TokenId>& out) const;
  void encode_words(std::string_view text, WordCache& cache, std::vector<TokenId>& out) const;

  SplitRule rule_;
  bool nfc_;
  Spellings spellings_;
  std::vector<std::string> bytes_;                     // by id
  std::unordered_map<std::string_view, TokenId> ids_;  // of the texts in spellings_
  AddedTokenFinders added_;
  std::unique_ptr<Bpe> bpe_;
  std::optional<TokenId> eos_, bos_;
  std::string hash_;
  std::uint64_t owner_;  // of the word caches
};

/// Reads a parsed tokenizer.json.
ByteBpeParts read_tokenizer_json(const nlohmann::json& root, const std::string& source);

/// Reads vocab.json and merges.txt, with added tokens and the class from tokenizer_config.json, added_tokens.json and config.json in
/// `beside`.
ByteBpeParts read_vocab_and_merges(const std::filesystem::path& vocab, const std::filesystem::path& merges,
                                   const std::filesystem::path& beside);

}  // namespace strata
