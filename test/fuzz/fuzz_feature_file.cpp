// Fuzz target: feature files of SQuAD, opened, read whole and described.
#include "fuzz/h5_repair.hpp"
#include "strata/data/feature_file.hpp"
#include "strata/data/prepare.hpp"
#include "strata/tokenizer/tokenizer.hpp"
#include "support/support.hpp"

namespace strata::fuzz {

Corpus corpus() {
  const test::TemporaryFolder folder;
  test::write_file(folder / "in.json",
                   R"({"version":"v2.0","data":[{"paragraphs":[{"context":"a b c d e f g h the sea","qas":[)"
                   R"({"id":"1","question":"where ?","answers":[{"text":"the sea","answer_start":16}],"is_impossible":false},)"
                   R"({"id":"2","question":"who ?","answers":[],"is_impossible":true}]}]}]})");
  const auto tokenizer = load_tokenizer(test::data_file("tokenizer/small_bert"));
  PrepareConfig config;
  config.input = {folder / "in.json"}, config.output = folder / "out.h5", config.format = "squad", config.sequence = 16, config.stride = 2;
  PrepareTools tools;
  tools.tokenizer = tokenizer.get();
  prepare(*make_self_communicator(), config, {}, tools);
  return h5_corpus({test::read_file(folder / "out.h5")});
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  const auto path = fuzz::scratch_file("features.h5", bytes, size);
  is_feature_file(path);
  fuzz::only(ExitCode::data, [&] {
    const FeatureFile file(path);
    describe_feature_file(file);
    feature_file_json(file);
    const auto sequence = static_cast<std::size_t>(file.info().sequence);
    if (sequence > 100000) return;
    std::vector<std::int32_t> ids(sequence), types(sequence);
    for (std::int64_t k = 0; k < file.info().features; ++k) {
      const Feature feature = file.row(k, ids.data(), types.data());
      for (std::int64_t at = 0; at < file.info().sequence; ++at) {
        const TextRange range = file.range(k, at);
        Characters(file.context(file.question(feature.question).context)).between(range.first, range.end);
      }
    }
    for (std::int64_t q = 0; q < file.info().questions; ++q) file.features_of(q);
  });
  return 0;
}
