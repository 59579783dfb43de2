// Fuzz target: token files, opened, read whole, verified and described.
#include "data/token_fixture.hpp"
#include "fuzz/h5_repair.hpp"
#include "strata/data/loader.hpp"
#include "strata/data/token_file.hpp"

namespace strata::fuzz {

Corpus corpus() {
  const test::TemporaryFolder folder;
  test::make_token_file(folder / "stream.h5", {{1, 2, 3}, {4, 5}, {6}});
  test::make_token_file(folder / "documents.h5", {{1, 2, 3}, {4, 5}, {6, 7, 8, 9, 10}}, "documents", 4);
  test::make_token_file(folder / "large.h5", {{70000, 3}, {65536}}, "stream", 0, 151936);
  return h5_corpus({test::read_file(folder / "stream.h5"), test::read_file(folder / "documents.h5"), test::read_file(folder / "large.h5")});
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  const auto path = fuzz::scratch_file("tokens.h5", bytes, size);
  is_token_file(path);
  verify_token_file(path);
  fuzz::only(ExitCode::data, [&] {
    const TokenFileReader file(path);
    describe_token_file(file);
    token_file_json(file);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(file.info().tokens));
    file.read(0, file.info().tokens, ids.data());
    file.starts_between(-1, file.info().tokens);
    const TokenSamples samples(file, file.info().sequence > 0 ? file.info().sequence : 2, true);
    dataset_facts(samples, 8);
    std::vector<std::int32_t> inputs(static_cast<std::size_t>(samples.sequence())), labels(inputs.size()), first_key(inputs.size());
    for (std::int64_t sample = 0; sample < samples.samples(); ++sample)
      samples.read(sample, inputs.data(), labels.data(), first_key.data());
  });
  return 0;
}
