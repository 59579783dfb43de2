#pragma once
// What the tokenizer targets do with a tokenizer that loads.
#include "fuzz/fuzz.hpp"
#include "strata/tokenizer/tokenizer.hpp"

namespace strata::fuzz {

/// Loads, asks everything, encodes awkward texts and decodes what came out and ids at the edges.
inline void try_tokenizer(const std::filesystem::path& path) {
  only(ExitCode::data, [&] {
    const auto tokenizer = load_tokenizer(path);
    const auto size = static_cast<TokenId>(tokenizer->vocabulary());
    tokenizer->hash(), tokenizer->eos(), tokenizer->bos(), tokenizer->id_of("<s>");
    for (const TokenId id : {0u, 1u, size / 2, size - 1, size, 0x7fffffffu, 0xffffffffu}) {
      tokenizer->token_of(id), tokenizer->bytes_of(id), tokenizer->is_special(id);
      tokenizer->decode(std::vector<TokenId>{id, id});
    }
    for (const std::string& sample :
         {std::string(), std::string("Hello, wo\xc3\xa4rld 42!\n\n  a\tb"), std::string("\xe2\x96\x81\xff\xc3\xe2\x82"),
          std::string("a\0b", 3), std::string(300, ' ') + std::string(300, 'a'), std::string("\xef\xbc\xa1\xcc\x81\xea\xb0\x80")}) {
      tokenizer->decode(tokenizer->encode(sample));
      if (std::string(tokenizer->kind()) != "wordpiece") continue;
      std::vector<TokenId> ids;
      std::vector<TextRange> ranges;
      tokenizer->encode_with_ranges(sample, ids, ranges);
      if (ids != tokenizer->encode(sample) || ranges.size() != ids.size()) std::abort();
    }
  });
}

}  // namespace strata::fuzz
