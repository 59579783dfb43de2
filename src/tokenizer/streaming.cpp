// Decoding id by id.
#include "strata/tokenizer/tokenizer.hpp"
#include "tokenizer/utf8.hpp"

namespace strata {

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
