// Fuzz target: sentencepiece models.
#include <sentencepiece_trainer.h>

#include "fuzz/try_tokenizer.hpp"
#include "support/support.hpp"

namespace strata::fuzz {
namespace {

/// A small model by the library itself; with a table of characters to map, whose lookup structure lies in the file.
std::string model(const std::string& kind, bool maps_characters) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "the tide counts seven ships and " + std::to_string(i * 7919) + " lamps; the road is long\n";
  const test::TemporaryFolder folder;
  test::write_file(folder / "text", text);
  test::write_file(folder / "rules", "41\t61\nE9\t65 301\nFF21\t41\n");
  std::string options = "--input=" + (folder / "text").string() + " --model_prefix=" + (folder / "m").string() + " --model_type=" + kind +
                        " --vocab_size=300 --byte_fallback=true --hard_vocab_limit=false --num_threads=1 --minloglevel=3";
  if (maps_characters) options += " --normalization_rule_tsv=" + (folder / "rules").string();
  if (!sentencepiece::SentencePieceTrainer::Train(options).ok()) throw std::runtime_error("no model for the fuzz target");
  return test::read_file(folder / "m.model");
}

}  // namespace

Corpus corpus() {
  return {{model("unigram", true), model("bpe", false), model("bpe", true)},
          {"<0x41>", "\xe2\x96\x81", "<unk>", std::string(3, '\0'), "\xff"},
          {}};
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  strata::fuzz::try_tokenizer(strata::fuzz::scratch_file("m.model", bytes, size));
  return 0;
}
