#pragma once
// Tokenizer: text to ids and back, identical to Hugging Face tokenizers and sentencepiece for the model files they read.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

using TokenId = std::uint32_t;

/// The characters (code points) [first, end) of a text. A byte that is not UTF-8 counts as a character.
struct TextRange {
  std::uint32_t first = 0, end = 0;
};

/// What frames one text or a pair of texts for a model of BERT's kind: [CLS] first [SEP] second [SEP] [PAD]...
struct PairTokens {
  TokenId cls = 0, sep = 0, pad = 0;
};

/// What streaming keeps between two ids; starts empty with every text.
struct DecodeState {
  std::string pending;   // bytes that are not a whole character yet
  bool at_start = true;  // nothing of the text has been seen
};

/// Immutable after loading; every function is thread-safe and local.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Ids of a UTF-8 text, without adding any token at either end. Bytes that are not UTF-8 survive: decode(encode(x)) == x for byte-level
  /// tokenizers without normalisation, and for sentencepiece with byte fallback up to its own normalisation.
  virtual std::vector<TokenId> encode(std::string_view text) const = 0;
  /// Appends to `out` instead of returning a new vector.
  virtual void encode_to(std::string_view text, std::vector<TokenId>& out) const = 0;
  /// Appends ids and, for each, the characters of `text` it comes from. DataError for kinds that keep no places: only "wordpiece" does.
  virtual void encode_with_ranges(std::string_view text, std::vector<TokenId>& ids, std::vector<TextRange>& ranges) const;
  /// Text of the ids, incomplete UTF-8 as U+FFFD; ids that no token has give nothing. skip_special leaves out special tokens.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special = false) const = 0;
  /// The raw bytes that one id stands for in the middle of a text (may be a part of a UTF-8 character). For streaming.
  virtual std::string bytes_of(TokenId id) const = 0;
  virtual bool is_special(TokenId id) const = 0;
  /// Highest id + 1. The model's vocabulary may be larger (padding), never smaller.
  virtual std::int64_t vocabulary() const = 0;
  /// Id of a token by its text as the files spell it ("<|im_end|>", "</s>").
  virtual std::optional<TokenId> id_of(std::string_view token) const = 0;
  /// The token as the files spell it; empty for an id that no token has.
  virtual std::string token_of(TokenId id) const = 0;
  /// End and begin of text, from tokenizer_config.json, generation_config.json or config.json beside it, or the sentencepiece model itself.
  virtual std::optional<TokenId> eos() const = 0;
  virtual std::optional<TokenId> bos() const = 0;
  /// What frames pairs of texts; none unless the tokenizer has all three.
  virtual std::optional<PairTokens> pair_tokens() const { return std::nullopt; }
  /// "byte_bpe", "sentencepiece" or "wordpiece".
  virtual const char* kind() const = 0;
  /// XXH3-128, 32 hexadecimal digits, over everything that decides ids (vocabulary, merges, scores, rules), independent of the file format
  /// it came in: equal hash, equal ids.
  virtual std::string hash() const = 0;

  /// Decodes one id more: appends to `out` what can be shown at once. decode() of a list equals decode_next() of each id, then
  /// decode_end(). The default joins bytes_of() as UTF-8.
  virtual void decode_next(TokenId id, bool skip_special, DecodeState& state, std::string& out) const;
  /// Appends what was held back, broken characters as U+FFFD, and empties the state.
  virtual void decode_end(DecodeState& state, std::string& out) const;
};

/// Loads tokenizer.json, vocab.json (+ merges.txt beside it), vocab.txt, a sentencepiece .model, or a folder that holds one of them
/// (doc/tokenizers.md says which is taken). A file that asks for a pre-tokeniser, normaliser or model that is not known here is refused by
/// name. Throws DataError.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path);

/// Turns ids that arrive one by one into text that can be shown at once: holds back incomplete UTF-8 until it is complete or certainly
/// broken. The concatenation of all pushes and finish() equals Tokenizer::decode of all ids.
class StreamingDecoder {
 public:
  explicit StreamingDecoder(const Tokenizer& tokenizer, bool skip_special = false) : tokenizer_(tokenizer), skip_special_(skip_special) {}
  /// The text that is certain after this id; may be empty.
  std::string push(TokenId id);
  /// The rest of the text; the next push starts a new one.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  DecodeState state_;
};

struct TokenizerConfig;
/// Trains a sentencepiece model of config.kind and config.vocabulary on `sentences` (deterministic, one thread, byte fallback, nothing
/// lost: identity normalisation, digits and blanks kept) and returns the serialised model file.
std::string train_sentencepiece(const TokenizerConfig& config, const std::vector<std::string>& sentences);

}  // namespace strata
