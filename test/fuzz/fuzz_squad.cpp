// Fuzz target: SQuAD's JSON, under every rule for bad questions.
#include "fuzz/fuzz.hpp"
#include "strata/data/squad.hpp"

namespace strata::fuzz {

Corpus corpus() {
  Corpus all;
  all.seeds = {R"({"version":"1.1","data":[{"title":"t","paragraphs":[{"context":"by the sea, the sea","qas":[)"
               R"({"id":"1","question":"where?","answers":[{"text":"the sea","answer_start":3},{"text":"sea","answer_start":9}]}]}]}]})",
               R"({"version":"v2.0","data":[{"paragraphs":[{"context":"caf\u00e9 \ud83d\ude80","qas":[)"
               R"({"id":"2","question":"who?","answers":[],"is_impossible":true},{"id":"3","question":" ","answers":[]}]},)"
               R"({"context":"","qas":[]}]}]})"};
  all.words = {"\"data\":[",
               "\"paragraphs\":[",
               "\"qas\":[",
               "\"answers\":[",
               "\"answer_start\":",
               "-1",
               "9223372036854775807",
               "1e99",
               "\\ud800",
               "null",
               "[[[[[[[[",
               "\xff",
               "\"id\":",
               "{}"};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  using Misplaced = SquadRules::Misplaced;
  const auto path = fuzz::scratch_file("squad.json", bytes, size);
  for (const SquadRules& rules : {SquadRules{true, false, Misplaced::stop}, SquadRules{true, true, Misplaced::move},
                                  SquadRules{true, true, Misplaced::keep}, SquadRules{false, false, Misplaced::stop}})
    fuzz::only(ExitCode::data, [&] { read_squad({path}, rules); });
  return 0;
}
