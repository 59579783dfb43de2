// Keys of [tokenizer]: the files, and training a new one.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_tokenizer() {
  using C = TokenizerConfig;
  Table<C> table("tokenizer", "How text becomes tokens.", &Settings::tokenizer);
  table
      .row("path", &C::path, Text(), "",
           "tokenizer.json, vocab.json (with merges.txt), vocab.txt (WordPiece), a sentencepiece .model, or the folder that holds one of "
           "them.")
      .required({"generate"});
  table.row("train", &C::train, Flag(), "", "prepare first trains a sentencepiece model on its input and writes it to tokenizer.path.");
  table.row("kind", &C::kind, Choice({{"unigram", "bpe"}}), "", "Kind of the sentencepiece model to train.");
  table.row("vocabulary", &C::vocabulary, Whole::between(270, 1u << 24), "tokens",
            "Size of the vocabulary to train; 256 of the tokens are single bytes.");
  return table.done();
}

}  // namespace strata::deck
