// WordPiece: added tokens, words, longest pieces; and back.
#include "tokenizer/wordpiece.hpp"

#include <algorithm>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "tokenizer/utf8.hpp"

namespace strata {
namespace {

void put(std::string& out, std::string_view value) {
  out += std::to_string(value.size());
  out += ':';
  out += value;
}

/// Everything that decides ids, in one order of its own.
std::string hash_of(const WordPieceParts& parts) {
  std::string all;
  put(all, "strata wordpiece 1");
  put(all, text(parts.rules.lowercase, parts.rules.strip_accents, parts.rules.chinese, " ", std::to_string(parts.longest_word)));
  put(all, parts.unknown), put(all, parts.prefix);
  for (const auto& [id, spelling] : parts.vocabulary) put(all, std::to_string(id)), put(all, spelling);
  put(all, "added");
  std::vector<AddedToken> added = parts.added;
  std::sort(added.begin(), added.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const AddedToken& token : added) put(all, std::to_string(token.id)), put(all, token.content), put(all, token.normalized ? "1" : "0");
  return xxh3_128(all.data(), all.size());
}

void replace_all(std::string& in, std::string_view from, std::string_view to) {
  for (std::size_t at = in.find(from); at != std::string::npos; at = in.find(from, at + to.size())) in.replace(at, from.size(), to);
}

/// What Hugging Face tokenizers does to each token with its blank, in its order.
void clean_up(std::string& token) {
  static constexpr std::pair<const char*, const char*> rules[] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                                                  {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                                                  {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : rules) replace_all(token, from, to);
}

std::string spelled(const std::vector<BertLetter>& letters) {
  std::string out;
  for (const BertLetter& letter : letters) utf8::append(letter.code, out);
  return out;
}

}  // namespace

/// Where ids go, the ranges where they are wanted, and the word at hand.
struct WordPieceTokenizer::Output {
  std::vector<TokenId>& ids;
  std::vector<TextRange>* ranges;
  std::string word;
  std::vector<std::uint32_t> starts;  // [bytes] of each letter in `word`, and its length behind the last
  void put(TokenId id, std::uint32_t first, std::uint32_t end) {
    ids.push_back(id);
    if (ranges) ranges->push_back({first, end});
  }
};

WordPieceTokenizer::WordPieceTokenizer(const WordPieceParts& parts)
    : rules_(parts.rules),
      prefix_(parts.prefix),
      longest_word_(static_cast<std::size_t>(parts.longest_word)),
      cleanup_(parts.cleanup),
      spellings_(parts),
      added_(parts,
             [this](const AddedToken& token) {
               std::vector<BertLetter> letters;
               bert_normalise(rules_, token.content, 0, letters);
               return normal_texts_[token.id] = spelled(letters);
             }),
      eos_(parts.eos),
      bos_(parts.bos),
      pair_(parts.pair),
      hash_(hash_of(parts)) {
  const auto unknown = strata::id_of(parts, parts.unknown);
  if (!unknown)
    throw DataError(text(parts.source, ": the token for unknown words, '", parts.unknown, "', is expected in the vocabulary: is it a ",
                         "WordPiece vocabulary, one token per line?"));
  unknown_ = *unknown;
  fill_pieces();
}

/// Of a spelling that stands twice the later line counts, as in Hugging Face's readers.
void WordPieceTokenizer::fill_pieces() {
  whole_.reserve(spellings_.size());
  for (std::size_t id = 0; id < spellings_.size(); ++id) {
    const std::string_view spelling = spellings_.texts()[id];
    if (spelling.empty()) continue;
    whole_.insert_or_assign(spelling, static_cast<TokenId>(id));
    if (spelling.size() > prefix_.size() && spelling.substr(0, prefix_.size()) == prefix_)
      continuing_.insert_or_assign(spelling.substr(prefix_.size()), static_cast<TokenId>(id));
    longest_bytes_ = std::max(longest_bytes_, spelling.size());
  }
}

std::vector<TokenId> WordPieceTokenizer::encode(std::string_view text) const {
  std::vector<TokenId> ids;
  encode_to(text, ids);
  return ids;
}

void WordPieceTokenizer::encode_to(std::string_view text, std::vector<TokenId>& out) const {
  Output output{out, nullptr, {}, {}};
  encode_into(text, output);
}

void WordPieceTokenizer::encode_with_ranges(std::string_view text, std::vector<TokenId>& ids, std::vector<TextRange>& ranges) const {
  if (text.size() > UINT32_MAX) throw DataError(strata::text("a text of ", text.size(), " bytes is too long for token positions"));
  Output output{ids, &ranges, {}, {}};
  encode_into(text, output);
}

void WordPieceTokenizer::encode_into(std::string_view text, Output& out) const {
  std::size_t at = 0;
  std::uint32_t place = 0;
  while (const auto match = added_.verbatim.find(text, at)) {
    place += encode_unmarked(text.substr(at, match->begin - at), place, out);
    const auto characters = static_cast<std::uint32_t>(utf8::count(text.substr(match->begin, match->end - match->begin)));
    out.put(match->id, place, place + characters);
    place += characters;
    at = match->end;
  }
  encode_unmarked(text.substr(at), place, out);
}

std::uint32_t WordPieceTokenizer::encode_unmarked(std::string_view text, std::uint32_t place, Output& out) const {
  constexpr std::size_t stretch = std::size_t{1} << 16;  // [bytes] normalised at once, to the next blank: long texts stay in small memory
  std::vector<BertLetter> letters;
  const std::uint32_t begin = place;
  while (!text.empty()) {
    std::size_t stop = text.size();
    if (added_.normalized.empty() && stop > stretch) stop = std::min(stop, text.find(' ', stretch));
    letters.clear();
    place += bert_normalise(rules_, text.substr(0, stop), place, letters);
    encode_letters(letters, out);
    text.remove_prefix(stop);
  }
  return place - begin;
}

void WordPieceTokenizer::encode_letters(const std::vector<BertLetter>& letters, Output& out) const {
  if (added_.normalized.empty()) return encode_words(letters, 0, letters.size(), out);
  const std::string normal = spelled(letters);
  const auto letters_in = [&](std::size_t from, std::size_t to) { return utf8::count(std::string_view(normal).substr(from, to - from)); };
  std::size_t at = 0, letter = 0;
  while (const auto match = added_.normalized.find(normal, at)) {
    const std::size_t first = letter + letters_in(at, match->begin), end = first + letters_in(match->begin, match->end);
    encode_words(letters, letter, first, out);
    out.put(match->id, letters[first].place, letters[end - 1].place + 1);
    letter = end, at = match->end;
  }
  encode_words(letters, letter, letters.size(), out);
}

void WordPieceTokenizer::encode_words(const std::vector<BertLetter>& letters, std::size_t from, std::size_t to, Output& out) const {
  while (from < to) {
    if (letters[from].code == ' ') {
      ++from;
      continue;
    }
    const std::size_t end = std::min(to, bert_word_end(letters, from));
    encode_word(letters.data() + from, end - from, out);
    from = end;
  }
}

std::optional<TokenId> WordPieceTokenizer::longest_piece(const Pieces& pieces, const Output& out, std::size_t begin,
                                                         std::size_t& end) const {
  const std::string_view word = out.word;
  while (end > begin + 1 && out.starts[end] - out.starts[begin] > longest_bytes_) --end;
  for (; end > begin; --end)
    if (const auto found = pieces.find(word.substr(out.starts[begin], out.starts[end] - out.starts[begin])); found != pieces.end())
      return found->second;
  return std::nullopt;
}

void WordPieceTokenizer::encode_word(const BertLetter* letters, std::size_t count, Output& out) const {
  const auto unknown = [&] { out.put(unknown_, letters[0].place, letters[count - 1].place + 1); };
  if (count > longest_word_) return unknown();
  out.word.clear(), out.starts.clear();
  for (std::size_t i = 0; i < count; ++i) {
    out.starts.push_back(static_cast<std::uint32_t>(out.word.size()));
    utf8::append(letters[i].code, out.word);
  }
  out.starts.push_back(static_cast<std::uint32_t>(out.word.size()));
  const std::size_t before = out.ids.size();
  for (std::size_t at = 0; at < count;) {
    std::size_t end = count;
    const auto id = longest_piece(at == 0 ? whole_ : continuing_, out, at, end);
    if (!id) {
      out.ids.resize(before);
      if (out.ranges) out.ranges->resize(before);
      return unknown();
    }
    out.put(*id, letters[at].place, letters[end - 1].place + 1);
    at = end;
  }
}

/// The text of a token with the blank before it, as it stands in a decoded text.
std::string WordPieceTokenizer::shown(TokenId id, bool first) const {
  const auto normal = normal_texts_.find(id);
  std::string token = normal != normal_texts_.end() ? normal->second : token_of(id);
  if (!first) token = !prefix_.empty() && token.compare(0, prefix_.size(), prefix_) == 0 ? token.substr(prefix_.size()) : " " + token;
  if (cleanup_) clean_up(token);
  return token;
}

std::string WordPieceTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string out;
  DecodeState state;
  for (const TokenId id : ids) decode_next(id, skip_special, state, out);
  return out;
}

void WordPieceTokenizer::decode_next(TokenId id, bool skip_special, DecodeState& state, std::string& out) const {
  if (token_of(id).empty() || (skip_special && is_special(id))) return;
  utf8::append_lossy(shown(id, state.at_start), true, out);
  state.at_start = false;
}

std::string WordPieceTokenizer::bytes_of(TokenId id) const {
  return token_of(id).empty() ? std::string() : shown(id, false);
}

std::optional<TokenId> WordPieceTokenizer::id_of(std::string_view token) const {
  const auto found = whole_.find(token);
  return found == whole_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace strata
