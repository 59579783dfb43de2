// What tokenizers do unless they know better: decoding id by id, no places of tokens.
#include "strata/tokenizer/tokenizer.hpp"

#include "strata/base/error.hpp"
#include "tokenizer/utf8.hpp"

namespace strata {

void Tokenizer::encode_with_ranges(std::string_view, std::vector<TokenId>&, std::vector<TextRange>&) const {
  throw DataError(text("the tokenizer is of the kind '", kind(),
                       "', which does not say where in the text a token lies: question answering ",
                       "needs WordPiece (vocab.txt, or a tokenizer.json with that model)"));
}

void Tokenizer::decode_next(TokenId id, bool skip_special, DecodeState& state, std::string& out) const {
  if (skip_special && is_special(id)) return;
  state.at_start = false;
  state.pending += bytes_of(id);
  state.pending.erase(0, utf8::append_lossy(state.pending, false, out));
}

void Tokenizer::decode_end(DecodeState& state, std::string& out) const {
  utf8::append_lossy(state.pending, true, out);
  state = DecodeState();
}

std::string StreamingDecoder::push(TokenId id) {
  std::string out;
  tokenizer_.decode_next(id, skip_special_, state_, out);
  return out;
}

std::string StreamingDecoder::finish() {
  std::string out;
  tokenizer_.decode_end(state_, out);
  return out;
}

}  // namespace strata
