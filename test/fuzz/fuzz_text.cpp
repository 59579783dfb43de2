// Fuzz target: prepare's inputs, plain, gzip and zstd, under every rule for documents and every format. The first byte chooses the rule.
#include "data/document.hpp"
#include "fuzz/fuzz.hpp"
#include "support/support.hpp"

namespace strata::fuzz {
namespace {

std::string packed(const std::string& content, const std::string& program) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "in", content);
  const bool made = test::run_command(program + " -c '" + (folder / "in").string() + "' > '" + (folder / "out").string() + "'").status == 0;
  return made ? test::read_file(folder / "out") : content;
}

}  // namespace

Corpus corpus() {
  Corpus all;
  const std::string lines = "one line\r\n\n  \nanother, w\xc3\xa4r\xe2\x82\xac\n%\nlast";
  const std::string json = "{\"text\": \"a \\u00e4 \\n b\", \"n\": 1}\n\n{\"text\": \"\\ud83d\\ude00\"}\n";
  const std::string ids = "{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": []}\n{\"input_ids\": [99]}\n";
  for (const char rule : {0, 1, 2, 3}) all.seeds.push_back(rule + lines);
  all.seeds.push_back(std::string(1, 4) + json);
  all.seeds.push_back(std::string(1, 5) + ids);
  for (const char* program : {"gzip", "zstd -q"}) {
    all.seeds.push_back(std::string(1, 1) + packed(lines, program));
    all.seeds.push_back(std::string(1, 4) + packed(json + json + json, program));
  }
  all.words = {"\xef\xbb\xbf",
               "\x1f\x8b\x08",
               "\x28\xb5\x2f\xfd",
               std::string("\x50\x2a\x4d\x18\xff\xff\xff\xff"),
               "\xed\xa0\x80",
               "\xf4\x90\x80\x80",
               "\"text\": ",
               "\"input_ids\": [",
               std::string(5000, '['),
               "\\ud800",
               "\n%\n",
               "\r",
               std::string(1, '\0')};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  if (size == 0) return 0;
  const int rule = bytes[0] % 6;
  const char* const documents[] = {"file", "line", "blank_line", "between:%"};
  PrepareConfig config;
  config.format = rule < 4 ? "text" : rule == 4 ? "jsonl" : "ids";
  config.documents = rule < 4 ? documents[rule] : "file";
  config.normalise = size % 2 == 0 ? "nfc" : "none";
  const auto path = fuzz::scratch_file("input", bytes + 1, size - 1);
  fuzz::only(ExitCode::data, [&] {
    RecordReader reader({path}, record_rules(config.format, config.documents));
    for (Record record; reader.next(record);)
      fuzz::only(ExitCode::data, [&] {
        if (config.format == "ids")
          data::document_ids(record, path.string(), config, 100);
        else
          data::document_text(record, path.string(), config);
      });
    reader.progress();
  });
  return 0;
}
