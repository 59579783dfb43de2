// Fuzz target: vocab.txt and tokenizer_config.json of a WordPiece tokenizer, in one input with two bytes of zero between them.
#include "fuzz/try_tokenizer.hpp"

namespace strata::fuzz {

Corpus corpus() {
  Corpus all;
  const std::string border(2, '\0'), lines = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##o\nwo\n##rld\na\n##b\n,\n!\n\n4\r\n##2";
  all.seeds = {lines, lines + border + R"({"do_lower_case":false,"tokenizer_class":"BertTokenizer","never_split":["[MASK]"]})",
               lines + border +
                   R"({"strip_accents":true,"tokenize_chinese_chars":false,"unk_token":{"content":"[UNK]"},)"
                   R"("added_tokens_decoder":{"16":{"content":"New a","special":false,"normalized":true}}})"};
  all.words = {"\n",       "##",      "[UNK]", "\"do_lower_case\":", "\"additional_special_tokens\":[",
               "[[[[[[[[", "\\ud800", "\xff",  "16777215",           border};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  const std::string all = fuzz::as_text(bytes, size);
  const std::size_t end = all.find(std::string(2, '\0'));
  const auto vocabulary = fuzz::scratch_file("vocab.txt", all.substr(0, end));
  if (end == std::string::npos)
    std::filesystem::remove(fuzz::scratch_folder() / "tokenizer_config.json");
  else
    fuzz::scratch_file("tokenizer_config.json", all.substr(end + 2));
  fuzz::try_tokenizer(vocabulary);
  return 0;
}
