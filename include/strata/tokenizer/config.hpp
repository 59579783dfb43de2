#pragma once
// Settings of the deck's [tokenizer] section.
#include <cstdint>
#include <string>

namespace strata {

struct TokenizerConfig {
  std::string path;                // tokenizer.json, vocab.json + merges.txt, vocab.txt, a sentencepiece .model, or their folder
  bool train = false;              // prepare first trains a sentencepiece model on its input and writes it to path
  std::string kind = "unigram";    // unigram | bpe, for train
  std::int64_t vocabulary = 4000;  // [tokens], for train
};

}  // namespace strata
