// Byte-level BPE: added tokens, normalisation, words, merges; and back.
#include "tokenizer/byte_bpe.hpp"

#include <algorithm>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "strata/tokenizer/nfc.hpp"
#include "tokenizer/utf8.hpp"
#include "tokenizer/word_cache.hpp"

namespace strata {
namespace {

std::array<TokenId, 256> ids_of_bytes(const ByteBpeParts& parts) {
  std::array<std::optional<TokenId>, 256> found;
  for (const auto& [id, spelling] : parts.vocabulary)
    if (const std::string bytes = bytes_of_spelling(spelling); bytes.size() == 1 && spelling == spell_bytes(bytes))
      found[static_cast<unsigned char>(bytes[0])] = id;
  std::array<TokenId, 256> ids{};
  for (std::size_t b = 0; b < 256; ++b) {
    if (!found[b])
      throw DataError(text(parts.source, ": no token stands for the byte ", b, " ('", spell_bytes(std::string(1, static_cast<char>(b))),
                           "'): text with it could not be encoded. Byte-level BPE is expected to have all 256 bytes in its vocabulary"));
    ids[b] = *found[b];
  }
  return ids;
}

/// Bytes -> id of every token of the vocabulary, where words are taken whole.
std::unordered_map<std::string, TokenId> whole_words(const ByteBpeParts& parts) {
  std::unordered_map<std::string, TokenId> words;
  if (parts.ignore_merges)
    for (const auto& [id, spelling] : parts.vocabulary)
      if (std::string bytes = bytes_of_spelling(spelling); spelling == spell_bytes(bytes)) words.emplace(std::move(bytes), id);
  return words;
}

void put_number(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}
void put_text(std::string& out, std::string_view value) {
  put_number(out, value.size());
  out += value;
}

/// Everything that decides ids, in one order of its own. Whether an added token is searched before or after normalisation decides nothing
/// where there is no normalisation and all are searched together.
std::string hash_of(const ByteBpeParts& parts) {
  std::string all;
  put_text(all, "strata byte_bpe 1");
  put_text(all, name_of(parts.rule));
  put_number(all, parts.nfc);
  put_number(all, parts.ignore_merges);
  put_number(all, parts.vocabulary.size());
  for (const auto& [id, spelling] : parts.vocabulary) put_number(all, id), put_text(all, spelling);
  put_number(all, parts.merges.size());
  for (const Merge& merge : parts.merges) put_number(all, merge.left), put_number(all, merge.right), put_number(all, merge.whole);
  std::vector<AddedToken> added = parts.added;
  std::sort(added.begin(), added.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  const bool alike = std::all_of(added.begin(), added.end(), [&](const auto& t) { return t.normalized == added[0].normalized; });
  for (const AddedToken& token : added)
    put_number(all, token.id), put_text(all, token.content), put_number(all, token.normalized && (parts.nfc || !alike));
  return xxh3_128(all.data(), all.size());
}

}  // namespace

ByteBpeTokenizer::ByteBpeTokenizer(const ByteBpeParts& parts)
    : rule_(parts.rule),
      nfc_(parts.nfc),
      spellings_(parts),
      added_(parts,
             [this](const AddedToken& token) {
               std::string content;
               nfc_ ? append_nfc(token.content, content) : void(content = token.content);
               return content;
             }),
      bpe_(std::make_unique<Bpe>(ids_of_bytes(parts), parts.merges, whole_words(parts))),
      eos_(parts.eos),
      bos_(parts.bos),
      hash_(hash_of(parts)),
      owner_(WordCache::new_owner()) {
  for (const std::string& spelling : spellings_.texts()) bytes_.push_back(bytes_of_spelling(spelling));
  ids_.reserve(spellings_.size());
  for (std::size_t id = 0; id < spellings_.size(); ++id)
    if (const std::string& spelling = spellings_.texts()[id]; !spelling.empty()) ids_.emplace(spelling, static_cast<TokenId>(id));
  for (const auto& [name, id] : {std::pair{"end", eos_}, std::pair{"begin", bos_}})
    if (id && token_of(*id).empty())
      throw DataError(
          text(parts.source, ": the files beside it give ", *id, " as the id of the ", name, " of text, but no token has that id"));
}

std::vector<TokenId> ByteBpeTokenizer::encode(std::string_view text) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 8);
  encode_to(text, ids);
  return ids;
}

void ByteBpeTokenizer::encode_to(std::string_view text, std::vector<TokenId>& out) const {
  WordCache& cache = WordCache::of_thread(owner_);
  std::size_t at = 0;
  while (const auto match = added_.verbatim.find(text, at)) {
    encode_unmarked(text.substr(at, match->begin - at), cache, out);
    out.push_back(match->id);
    at = match->end;
  }
  encode_unmarked(text.substr(at), cache, out);
}

void ByteBpeTokenizer::encode_unmarked(std::string_view text, WordCache& cache, std::vector<TokenId>& out) const {
  std::string composed;
  if (nfc_ && !is_surely_nfc(text)) {
    append_nfc(text, composed);
    text = composed;
  }
  std::size_t at = 0;
  while (const auto match = added_.normalized.find(text, at)) {
    encode_words(text.substr(at, match->begin - at), cache, out);
    out.push_back(match->id);
    at = match->end;
  }
  encode_words(text.substr(at), cache, out);
}

void ByteBpeTokenizer::encode_words(std::string_view text, WordCache& cache, std::vector<TokenId>& out) const {
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    const char* stop = end_of_word(rule_, at, end);
    bpe_->append(std::string_view(at, static_cast<std::size_t>(stop - at)), cache, out);
    at = stop;
  }
}

std::string ByteBpeTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes, out;
  for (const TokenId id : ids)
    if (id < bytes_.size() && !(skip_special && is_special(id))) bytes += bytes_[id];
  out.reserve(bytes.size());
  utf8::append_lossy(bytes, true, out);
  return out;
}

std::string ByteBpeTokenizer::bytes_of(TokenId id) const {
  return id < bytes_.size() ? bytes_[id] : std::string();
}

std::optional<TokenId> ByteBpeTokenizer::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace strata
