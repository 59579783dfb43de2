// Sentencepiece models: encoding is the library's; decoding follows its rules one piece at a time, so that it can stream.
#include "tokenizer/sentencepiece_model.hpp"

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "tokenizer/utf8.hpp"

namespace strata {
namespace {

constexpr std::string_view blank_mark = "\xe2\x96\x81";  // U+2581 stands for a blank inside pieces

/// The byte of a byte piece, which is spelled <0x0A>.
char byte_of_piece(const std::string& piece) {
  return static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16));
}

void append_with_blanks(std::string_view piece, std::string& out) {
  for (std::size_t at; (at = piece.find(blank_mark)) != std::string_view::npos; piece.remove_prefix(at + blank_mark.size())) {
    out += piece.substr(0, at);
    out += ' ';
  }
  out += piece;
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(const std::string& model, const std::string& source) {
  settings_ = read_sentencepiece_settings(model, source);
  load(model, source);
  hash_ = xxh3_128(model.data(), model.size());
  owner_ = WordCache::new_owner();
  by_words_ = settings_.is_bpe && settings_.byte_fallback && settings_.escapes_blanks && !settings_.maps_characters &&
              !settings_.removes_extra_blanks && pieces_stay_inside_words();
}

/// The library reports most of what is wrong, and throws for the rest (a piece without a letter, say).
void SentencePieceTokenizer::load(const std::string& model, const std::string& source) {
  std::string problem;
  try {
    const auto status = processor_.LoadFromSerializedProto(model);
    if (!status.ok()) problem = status.ToString();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  if (!problem.empty()) throw DataError(text(source, ": the sentencepiece library does not take this model: ", problem));
}

/// Whether blanks occur only at the beginning of pieces (or in pieces of blanks alone). Merging then never joins what lies on both sides of
/// the beginning of a word, so the words of a text are independent of each other.
bool SentencePieceTokenizer::pieces_stay_inside_words() const {
  for (int id = 0; id < processor_.GetPieceSize(); ++id) {
    std::string_view piece = processor_.IdToPiece(id);
    while (piece.substr(0, blank_mark.size()) == blank_mark) piece.remove_prefix(blank_mark.size());
    if (piece.find(blank_mark) != std::string_view::npos || piece.find(' ') != std::string_view::npos) return false;
  }
  return true;
}

void SentencePieceTokenizer::append_by_library(std::string_view text, std::vector<TokenId>& out) const {
  static thread_local std::vector<int> ids;
  const auto status = processor_.Encode(absl::string_view(text.data(), text.size()), &ids);
  if (!status.ok()) throw DataError(strata::text("sentencepiece could not encode a text of ", text.size(), " bytes: ", status.ToString()));
  out.insert(out.end(), ids.begin(), ids.end());
}

void SentencePieceTokenizer::append_word(std::string_view word, WordCache& cache, std::vector<TokenId>& out) const {
  if (word.empty() || word.size() > WordCache::longest_word) return append_by_library(word, out);
  const auto key = WordCache::key_of(word.data(), word.size());
  if (const auto* known = cache.find(key)) {
    out.insert(out.end(), known->ids, known->ids + known->count);
    return;
  }
  const std::size_t before = out.size();
  append_by_library(word, out);
  cache.put(key, std::span<const TokenId>(out).subspan(before));
}

/// A word begins at the first of a run of blanks. Where the model puts a blank before every text, that one stands for the first of the run.
void SentencePieceTokenizer::encode_to(std::string_view text, std::vector<TokenId>& out) const {
  if (!by_words_) return append_by_library(text, out);
  WordCache& cache = WordCache::of_thread(owner_);
  std::size_t begin = 0;
  for (std::size_t at = text.find(' '); at != std::string_view::npos && at + 1 < text.size(); at = text.find(' ', at + 1)) {
    // U+2581 in the text itself counts as a blank; the last blank of the text has nothing behind it that the model would put a blank
    // before.
    const bool goes_on = at == 0 || text[at - 1] == ' ' || text.substr(0, at).ends_with(blank_mark);
    if (goes_on) continue;
    append_word(text.substr(begin, at - begin), cache, out);
    begin = settings_.adds_first_blank ? at + 1 : at;
  }
  append_word(text.substr(begin), cache, out);
}

std::vector<TokenId> SentencePieceTokenizer::encode(std::string_view text) const {
  std::vector<TokenId> ids;
  encode_to(text, ids);
  return ids;
}

/// Text from the bytes held back, each byte that is no part of a character as one U+FFFD. Unless `whole`, an unfinished
/// character stays.
void SentencePieceTokenizer::emit_bytes(DecodeState& state, bool whole, std::string& out) const {
  const char *at = state.pending.data(), *end = at + state.pending.size();
  while (at < end) {
    std::string ignored;
    const std::string_view left(at, static_cast<std::size_t>(end - at));
    const auto c = utf8::decode(at, end);
    if (c.code < utf8::raw_byte)
      out.append(at, c.bytes);
    else if (!whole && utf8::append_lossy(left, false, ignored) == 0)
      break;  // may become a character with the next byte
    else
      out += "\xef\xbf\xbd";
    at += c.bytes;
  }
  state.pending.erase(0, static_cast<std::size_t>(at - state.pending.data()));
}

void SentencePieceTokenizer::decode_next(TokenId id, bool skip_special, DecodeState& state, std::string& out) const {
  if (!has(id)) return;
  const int piece_id = static_cast<int>(id);
  if (processor_.IsByte(piece_id)) {
    state.pending.push_back(byte_of_piece(processor_.IdToPiece(piece_id)));
    state.at_start = false;
    emit_bytes(state, false, out);
    return;
  }
  emit_bytes(state, true, out);
  if (processor_.IsControl(piece_id) || (skip_special && is_special(id))) return;
  if (processor_.IsUnknown(piece_id)) {
    out += settings_.unknown_surface;
    state.at_start = false;
    return;
  }
  std::string_view piece = processor_.IdToPiece(piece_id);
  // The blank that encoding put (or may have put) before the text goes again; all of them where the model removes extra blanks.
  const bool drops = settings_.adds_first_blank || settings_.removes_extra_blanks;
  const bool first_blank = state.at_start && drops && piece.substr(0, blank_mark.size()) == blank_mark;
  if (first_blank) piece.remove_prefix(blank_mark.size());
  state.at_start = state.at_start && piece.empty() && (!first_blank || settings_.removes_extra_blanks);
  append_with_blanks(piece, out);
}

void SentencePieceTokenizer::decode_end(DecodeState& state, std::string& out) const {
  emit_bytes(state, true, out);
  state = DecodeState();
}

std::string SentencePieceTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string out;
  DecodeState state;
  for (const TokenId id : ids) decode_next(id, skip_special, state, out);
  decode_end(state, out);
  return out;
}

std::string SentencePieceTokenizer::bytes_of(TokenId id) const {
  DecodeState state;
  state.at_start = false;
  if (has(id) && processor_.IsByte(static_cast<int>(id))) return std::string(1, byte_of_piece(processor_.IdToPiece(static_cast<int>(id))));
  std::string out;
  decode_next(id, false, state, out);
  return out;
}

bool SentencePieceTokenizer::is_special(TokenId id) const {
  return has(id) && (processor_.IsControl(static_cast<int>(id)) || processor_.IsUnknown(static_cast<int>(id)));
}

std::optional<TokenId> SentencePieceTokenizer::id_of(std::string_view token) const {
  const int id = processor_.PieceToId(absl::string_view(token.data(), token.size()));
  return processor_.IdToPiece(id) == token ? std::optional(static_cast<TokenId>(id)) : std::nullopt;
}

std::string SentencePieceTokenizer::token_of(TokenId id) const {
  return has(id) ? processor_.IdToPiece(static_cast<int>(id)) : std::string();
}

}  // namespace strata
