// Fuzz target: decks and command line overrides, from the scanner to the echo.
#include "fuzz/fuzz.hpp"

#include <algorithm>

#include "strata/deck/deck.hpp"
#include "support/support.hpp"

namespace strata::fuzz {

Corpus corpus() {
  Corpus all;
  for (const char* deck : {"quickstart.in", "qwen3-0.6b-wikitext.in"})
    all.seeds.push_back(test::read_file(test::source_dir() / "input" / deck));
  for (const auto& entry : std::filesystem::directory_iterator(test::source_dir() / "test" / "deck" / "bad"))
    if (entry.path().extension() == ".in") all.seeds.push_back(test::read_file(entry.path()));
  std::sort(all.seeds.begin(), all.seeds.end());  // a folder has no order of its own
  all.words = {"[run]", "[optimizer]\nlr = ", "${NAME}", "${",    "\"",   "\\",  "\\u", " = ", ", ", "#", "\n",
               "\r\n",  "\xef\xbb\xbf",       "\xff",    "1e999", "auto", "true"};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  const std::string input = fuzz::as_text(bytes, size);
  const Environment environment = [](const std::string& name) {
    return name == "NAME" ? std::optional<std::string>("value") : std::nullopt;
  };
  fuzz::only(ExitCode::usage, [&] { Deck::parse({}, {input.substr(0, 200)}, environment); });
  fuzz::only(ExitCode::usage, [&] {
    const Deck deck = Deck::parse({{"x.in", input}}, {}, environment);
    for (const char* command : {"prepare", "train", "evaluate", "generate", "convert"})
      fuzz::only(ExitCode::usage, [&] { validate(deck, command, 2); });
    const Deck again = Deck::parse({{"echo", deck.echo()}}, {}, environment);
    STRATA_ASSERT(again.record() == deck.record(), "an echo that reads differently");
  });
  return 0;
}
