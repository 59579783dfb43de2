#pragma once
// WordPiece: the tokenizer of BERT, put together from its parts.
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "strata/tokenizer/tokenizer.hpp"
#include "tokenizer/bert_text.hpp"
#include "tokenizer/spellings.hpp"

namespace strata {

/// What the files say, whatever their form.
struct WordPieceParts : TokenizerParts {
  BertRules rules;
  std::string unknown = "[UNK]";
  std::string prefix = "##";        // of a piece that continues a word
  std::int64_t longest_word = 100;  // [characters] longer ones are unknown
  bool cleanup = true;              // decoding: no blank before , . ! ? and English short forms
  std::optional<PairTokens> pair;
};

/// A word is the longest piece that it begins with, then the longest continuing piece, and so on; unknown as a whole if one is missing.
class WordPieceTokenizer : public Tokenizer {
 public:
  /// DataError if the unknown token is missing, or an added token and the vocabulary disagree about an id.
  explicit WordPieceTokenizer(const WordPieceParts& parts);

  std::vector<TokenId> encode(std::string_view text) const override;
  void encode_to(std::string_view text, std::vector<TokenId>& out) const override;
  void encode_with_ranges(std::string_view text, std::vector<TokenId>& ids, std::vector<TextRange>& ranges) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::string bytes_of(TokenId id) const override;
  bool is_special(TokenId id) const override { return spellings_.is_special(id); }
  std::int64_t vocabulary() const override { return static_cast<std::int64_t>(spellings_.size()); }
  std::optional<TokenId> id_of(std::string_view token) const override;
  std::string token_of(TokenId id) const override { return spellings_.of(id); }
  std::optional<TokenId> eos() const override { return eos_; }
  std::optional<TokenId> bos() const override { return bos_; }
  std::optional<PairTokens> pair_tokens() const override { return pair_; }
  const char* kind() const override { return "wordpiece"; }
  std::string hash() const override { return hash_; }
  void decode_next(TokenId id, bool skip_special, DecodeState& state, std::string& out) const override;

 private:
  struct Output;
  using Pieces = std::unordered_map<std::string_view, TokenId>;

  void fill_pieces();
  void encode_into(std::string_view text, Output& out) const;
  std::uint32_t encode_unmarked(std::string_view text, std::uint32_t place, Output& out) const;
  void encode_letters(const std::vector<BertLetter>& letters, Output& out) const;
  void encode_words(const std::vector<BertLetter>& letters, std::size_t from, std::size_t to, Output& out) const;
  void encode_word(const BertLetter* letters, std::size_t count, Output& out) const;
  /// Longest piece that [begin, end) of the word starts with; its end in `end`.
  std::optional<TokenId> longest_piece(const Pieces& pieces, const Output& out, std::size_t begin, std::size_t& end) const;
  std::string shown(TokenId id, bool first) const;

  BertRules rules_;
  std::string prefix_;
  std::size_t longest_word_;
  bool cleanup_;
  Spellings spellings_;
  Pieces whole_, continuing_;
  std::size_t longest_bytes_ = 0;                          // of a piece
  std::unordered_map<TokenId, std::string> normal_texts_;  // of added tokens that are found normalised: they decode as that
  AddedTokenFinders added_;
  TokenId unknown_;
  std::optional<TokenId> eos_, bos_;
  std::optional<PairTokens> pair_;
  std::string hash_;
};

/// Reads vocab.txt, one token per line, with its rules from tokenizer_config.json and added_tokens.json in `beside`.
WordPieceParts read_vocab_lines(const std::filesystem::path& vocab, const std::filesystem::path& beside);

/// Whether a parsed tokenizer.json describes WordPiece.
bool is_wordpiece_json(const nlohmann::json& root);

/// Reads such a tokenizer.json; what lies beside it names its special tokens.
WordPieceParts read_wordpiece_json(const nlohmann::json& root, const std::string& source, const std::filesystem::path& beside);

}  // namespace strata
