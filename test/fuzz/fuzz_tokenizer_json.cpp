// Fuzz target: tokenizer.json.
#include "fuzz/small_vocabulary.hpp"
#include "fuzz/try_tokenizer.hpp"
#include "support/support.hpp"

namespace strata::fuzz {

Corpus corpus() {
  Corpus all;
  const std::string around =
      R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},"decoder":{"type":"ByteLevel"},)"
      R"("post_processor":{"type":"ByteLevel"},"added_tokens":[{"id":260,"content":"<|endoftext|>","special":true,"normalized":false}],)";
  all.seeds = {
      "{" + around + R"("normalizer":null,"model":{"type":"BPE","vocab":)" + small_vocabulary() +
          R"(,"merges":["h e","l l",["he","ll"],"o o"]}})",
      "{" + around + R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"}]},"model":{"ignore_merges":true,"vocab":)" +
          small_vocabulary() + R"(,"merges":[]}})",
      test::read_file(test::data_file("tokenizer/small_qwen/tokenizer.json")),
      R"({"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},)"
      R"("pre_tokenizer":{"type":"BertPreTokenizer"},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},)"
      R"("added_tokens":[{"id":0,"content":"[UNK]","special":true},{"id":6,"content":"B a","normalized":true}],)"
      R"("model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,)"
      R"("vocab":{"[UNK]":0,"h":1,"##e":2,"hello":3,"a":4,"##a":5}}})"};
  all.words = {"\"Sequence\"", "\"normalizers\":[", "\"pretokenizers\":[", "\"Split\"", "\"Regex\"", "[[[[[[[[[[", "{\"a\":{\"a\":",
               "null",         "\"merges\"",        "\"vocab\"",           "\"id\":",   "\\ud800",   "\xff",       "16777215"};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  strata::fuzz::try_tokenizer(strata::fuzz::scratch_file("tokenizer.json", bytes, size));
  return 0;
}
