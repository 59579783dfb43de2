// Fuzz target: vocab.json, merges.txt and tokenizer_config.json, in one input with two bytes of zero between them.
#include "fuzz/small_vocabulary.hpp"
#include "fuzz/try_tokenizer.hpp"

namespace strata::fuzz {

Corpus corpus() {
  Corpus all;
  const std::string border(2, '\0');
  all.seeds = {small_vocabulary() + border + "#version: 0.2\nh e\nl l\nhe ll\no o\n" + border +
                   R"({"tokenizer_class":"Qwen2Tokenizer","eos_token":"<|im_end|>","bos_token":null,)"
                   R"("added_tokens_decoder":{"260":{"content":"<|im_end|>","special":true}}})",
               small_vocabulary() + border + "h e\r\nl l\r\n" + border + R"({"tokenizer_class":"GPT2Tokenizer"})",
               small_vocabulary() + border + "h e"};
  all.words = {"#version", " ", "\n", "\"content\"", "\"eos_token\":{\"content\":", "[[[[[[[[", "\\ud800", "\xff", "16777215", border};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  std::string rest = fuzz::as_text(bytes, size);
  const auto take = [&] {
    const std::size_t end = rest.find(std::string(2, '\0'));
    std::string part = rest.substr(0, end);
    rest.erase(0, end == std::string::npos ? rest.size() : end + 2);
    return part;
  };
  const auto vocabulary = fuzz::scratch_file("vocab.json", take());
  fuzz::scratch_file("merges.txt", take());
  if (rest.empty())
    std::filesystem::remove(fuzz::scratch_folder() / "tokenizer_config.json");
  else
    fuzz::scratch_file("tokenizer_config.json", rest);
  fuzz::try_tokenizer(vocabulary);
  return 0;
}
