#pragma once
// Tokenizer over a sentencepiece model (Llama, Mistral): ids by the library, decoding piece by piece.
#include <memory>
#include <sentencepiece_processor.h>
#include <string>

#include "strata/tokenizer/tokenizer.hpp"
#include "tokenizer/word_cache.hpp"

namespace strata {

/// The settings inside a model file that decoding depends on; the library does not show them.
struct SentencePieceSettings {
  bool adds_first_blank = true;      // add_dummy_prefix
  bool removes_extra_blanks = true;  // remove_extra_whitespaces
  bool escapes_blanks = true;        // blanks become U+2581
  bool maps_characters = false;      // a character map (NFKC and the like)
  bool is_bpe = false;
  bool byte_fallback = false;
  std::string unknown_surface = " \xe2\x81\x87 ";  // what the unknown piece decodes to
};

/// Reads them from the serialised model (protocol buffers' wire format). DataError with `source` if it is damaged.
SentencePieceSettings read_sentencepiece_settings(std::string_view model, const std::string& source);

class SentencePieceTokenizer : public Tokenizer {
 public:
  /// DataError with `source` if the library does not take the model.
  SentencePieceTokenizer(const std::string& model, const std::string& source);

  std::vector<TokenId> encode(std::string_view text) const override;
  void encode_to(std::string_view text, std::vector<TokenId>& out) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::string bytes_of(TokenId id) const override;
  bool is_special(TokenId id) const override;
  std::int64_t vocabulary() const override { return processor_.GetPieceSize(); }
  std::optional<TokenId> id_of(std::string_view token) const override;
  std::string token_of(TokenId id) const override;
  std::optional<TokenId> eos() const override { return known(processor_.eos_id()); }
  std::optional<TokenId> bos() const override { return known(processor_.bos_id()); }
  const char* kind() const override { return "sentencepiece"; }
  std::string hash() const override { return hash_; }
  void decode_next(TokenId id, bool skip_special, DecodeState& state, std::string& out) const override;
  void decode_end(DecodeState& state, std::string& out) const override;

 private:
  static std::optional<TokenId> known(int id) { return id < 0 ? std::nullopt : std::optional(static_cast<TokenId>(id)); }
  bool has(TokenId id) const { return static_cast<std::int64_t>(id) < vocabulary(); }
  void emit_bytes(DecodeState& state, bool whole, std::string& out) const;
  void load(const std::string& model, const std::string& source);
  bool pieces_stay_inside_words() const;
  void append_by_library(std::string_view text, std::vector<TokenId>& out) const;
  void append_word(std::string_view word, WordCache& cache, std::vector<TokenId>& out) const;

  sentencepiece::SentencePieceProcessor processor_;
  SentencePieceSettings settings_;
  bool by_words_ = false;  // words can be encoded one by one, with the same ids
  std::uint64_t owner_;    // of the word caches
  std::string hash_;
};

}  // namespace strata
