// Text reader: how files are found, decompressed and cut into records.
#include "strata/data/text_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/document.hpp"
#include "data/fake_tokenizer.hpp"
#include "strata/base/error.hpp"
#include "support/support.hpp"

namespace strata {
namespace {
using test::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::vector<std::string> texts(const std::vector<fs::path>& files, const RecordRules& rules) {
  RecordReader reader(files, rules);
  std::vector<std::string> result;
  for (Record record; reader.next(record);) result.push_back(record.bytes);
  return result;
}

std::vector<std::string> cut(const std::string& content, const RecordRules& rules) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "a.txt", content);
  return texts({folder / "a.txt"}, rules);
}

/// Text that is longer than the reader's buffer, so that lines cross it.
std::string long_text() {
  std::string result;
  for (int i = 0; result.size() < (3u << 20); ++i)
    result += "line " + std::to_string(i * 7919) + std::string(static_cast<std::size_t>(i % 90), 'x') + "\n";
  return result;
}

TEST(TextReader, CutsByLine) {
  EXPECT_THAT(cut("one\n\ntwo \r\nthree", {RecordKind::line, ""}), ElementsAre("one", "", "two ", "three"));
  EXPECT_THAT(cut("one\n", {RecordKind::line, ""}), ElementsAre("one"));
  EXPECT_THAT(cut("", {RecordKind::line, ""}), ElementsAre());
}

TEST(TextReader, CutsByBlankLine) {
  EXPECT_THAT(cut("\n \na\nb\n\n\t\r\nc\n", {RecordKind::blank_line, ""}), ElementsAre("a\nb", "c"));
}

TEST(TextReader, CutsBetweenLinesOfAText) {
  EXPECT_THAT(cut("%\na\n\nb\n%\n%\nc%\n%%\n%\r\n\n%\nlast", {RecordKind::between, "%"}), ElementsAre("a\n\nb", "c%\n%%", "last"));
}

TEST(TextReader, TakesWholeFilesAlsoEmptyOnes) {
  EXPECT_THAT(cut("a\n\nb\n", {RecordKind::file, ""}), ElementsAre("a\n\nb\n"));
  EXPECT_THAT(cut("", {RecordKind::file, ""}), ElementsAre(""));
}

TEST(TextReader, LeavesOutAByteOrderMark) {
  EXPECT_THAT(cut("\xef\xbb\xbfone\ntwo", {RecordKind::line, ""}), ElementsAre("one", "two"));
}

TEST(TextReader, DoesNotJoinFiles) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "a", "1\n%\n2"), test::write_file(folder / "b", ""), test::write_file(folder / "c", "3\n");

  EXPECT_THAT(texts({folder / "a", folder / "b", folder / "c"}, {RecordKind::between, "%"}), ElementsAre("1", "2", "3"));
}

TEST(TextReader, KnowsWhereARecordComesFrom) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "a", "x\n%\nsecond\nline\n%\nthird\n");
  RecordReader reader({folder / "a"}, {RecordKind::between, "%"});
  Record record;

  ASSERT_TRUE(reader.next(record) && reader.next(record));

  EXPECT_EQ(record.number, 1);
  EXPECT_EQ(record.line, 3);
  EXPECT_EQ(record.offset, 4);
  EXPECT_EQ(reader.place(record), (folder / "a").string() + ":3");
}

TEST(TextReader, LinesMayCrossTheBuffer) {
  const std::string content = long_text();
  const std::vector<std::string> lines = cut(content, {RecordKind::line, ""});
  std::string joined;
  for (const std::string& line : lines) joined += line + "\n";
  EXPECT_EQ(joined, content);
}

TEST(TextReader, ReadsGzipAndZstdOfSeveralParts) {
  const test::TemporaryFolder folder;
  const std::string content = long_text();
  test::write_file(folder / "a", content);
  const std::string cd = "cd " + folder.path().string() + " && ";
  ASSERT_EQ(test::run_command(
                cd + "gzip -c a > one && cat one one > a.gz && zstd -q -c a > z1 && zstd -q --no-check -c a > z2 && cat z1 z2 > a.zst")
                .status,
            0);

  const std::string twice = content + content;
  EXPECT_EQ(texts({folder / "a.gz"}, {RecordKind::file, ""})[0], twice);
  EXPECT_EQ(texts({folder / "a.zst"}, {RecordKind::file, ""})[0], twice);
  EXPECT_EQ(texts({folder / "one"}, {RecordKind::file, ""})[0], content) << "gzip is recognised by content";
}

TEST(TextReader, TellsTruncatedAndDamagedCompression) {
  const test::TemporaryFolder folder;
  test::write_file(folder / "a", long_text());
  const std::string cd = "cd " + folder.path().string() + " && ";
  ASSERT_EQ(test::run_command(cd + "gzip -k a && zstd -q -k a").status, 0);
  const std::string gz = test::read_file(folder / "a.gz"), zst = test::read_file(folder / "a.zst");
  test::write_file(folder / "no.gz", "plain text"), test::write_file(folder / "empty.zst", "");
  const auto read = [&](const std::string& name, const std::string& content) {
    test::write_file(folder / name, content);
    return message_of([&] { texts({folder / name}, {RecordKind::line, ""}); });
  };

  for (const std::size_t left : {zst.size() - 1, zst.size() - 4, zst.size() / 2, std::size_t{20}, std::size_t{5}})
    EXPECT_THAT(read("cut.zst", zst.substr(0, left)), AllOf(HasSubstr("cut.zst"), HasSubstr("cut short"))) << left;
  EXPECT_THAT(read("cut.gz", gz.substr(0, gz.size() - 3)), AllOf(HasSubstr("cut.gz"), HasSubstr("cut short")));
  std::string damaged = zst;
  damaged[zst.size() / 2] = static_cast<char>(damaged[zst.size() / 2] ^ 0x10);
  EXPECT_THAT(read("bad.zst", damaged), HasSubstr("bad.zst"));
  EXPECT_THAT(read("junk.zst", zst + "junk"), HasSubstr("junk.zst"));
  EXPECT_THAT(message_of([&] {
                texts({folder / "no.gz"}, {RecordKind::line, ""});
              }),
              HasSubstr("expected gzip data because the name ends in .gz"));
  EXPECT_THAT(message_of([&] { texts({folder / "empty.zst"}, {RecordKind::line, ""}); }), HasSubstr("found an empty file"));
}

TEST(TextReader, ExpandsNamesAndGlobs) {
  const test::TemporaryFolder folder;
  for (const char* name : {"b.txt", "a.txt", "c.text", "odd[1].txt"}) test::write_file(folder / name, "x");
  fs::create_directory(folder / "d.txt");
  const std::string base = folder.path().string() + "/";

  EXPECT_THAT(expand_inputs({base + "c.text", base + "*.txt", base + "a.txt"}),
              ElementsAre(folder / "c.text", folder / "a.txt", folder / "b.txt", folder / "odd[1].txt"));
  EXPECT_THAT(expand_inputs({base + "odd[1].txt"}), ElementsAre(folder / "odd[1].txt")) << "a name that exists is no pattern";
  EXPECT_THAT(message_of([&] { expand_inputs({base + "*.json"}); }), HasSubstr("no file matches " + base + "*.json"));
  EXPECT_THAT(message_of([&] { expand_inputs({base + "none"}); }), HasSubstr("there is no file " + base + "none"));
  EXPECT_THAT(message_of([&] { expand_inputs({base + "d.txt"}); }), HasSubstr("is a folder"));
}

TEST(TextReader, RefusesRulesByName) {
  EXPECT_THAT(message_of([] { record_rules("text", "page"); }),
              HasSubstr("prepare.documents = page: expected file, line, blank_line or between:TEXT"));
  EXPECT_THAT(message_of([] { record_rules("csv", "line"); }), HasSubstr("prepare.format = csv: expected text, jsonl or ids"));
  EXPECT_THAT(message_of([] { record_rules("text", "between:"); }), HasSubstr("between:%"));
}

TEST(Document, FindsTheFirstByteThatIsNotUtf8) {
  const auto npos = std::string_view::npos;
  for (const char* good : {"", "plain", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_EQ(data::first_invalid_utf8(good), npos);
  for (const char* bad : {"ab\x80", "ab\xc0\xaf", "ab\xc3", "ab\xe0\x80\xaf", "ab\xed\xa0\x80", "ab\xf4\x90\x80\x80", "ab\xf5\x80\x80\x80",
                          "ab\xe2\x82", "ab\xff"})
    EXPECT_EQ(data::first_invalid_utf8(bad), 2u) << bad;
}

TEST(Document, TellsLineAndByteOfInvalidUtf8) {
  PrepareConfig config;
  const Record record{"one\ntw\xffo", 0, 0, 10, 100};
  EXPECT_THAT(message_of([&] { data::document_text(record, "f.txt", config); }),
              AllOf(HasSubstr("f.txt:11: "), HasSubstr("byte 106 of the file, 0xff")));
}

TEST(Document, ReplacesInvalidUtf8WhereTheDeckWantsIt) {
  PrepareConfig config;
  config.invalid_utf8 = "replace";
  std::string note;
  EXPECT_EQ(data::document_text({"a\xff"
                                 "b\xe2\x82 \xc3\xa4",
                                 0, 0, 4, 100},
                                "f.txt", config, &note),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd \xc3\xa4");
  EXPECT_THAT(note, AllOf(HasSubstr("f.txt:4: the text is not UTF-8: byte 101 of the file, 0xff"),
                          HasSubstr("; 2 places were replaced by U+FFFD")));
  config.format = "jsonl";
  note.clear();
  EXPECT_EQ(data::document_text({"{\"text\": \"x\x80y\"}", 0, 0, 1, 0}, "f.jsonl", config, &note), "x\xef\xbf\xbdy");
  EXPECT_THAT(note, HasSubstr("1 place was replaced"));
  note.clear();
  EXPECT_EQ(data::document_text({"{\"text\": \"sound\"}", 0, 0, 1, 0}, "f.jsonl", config, &note), "sound");
  EXPECT_EQ(note, "");
}

TEST(Document, OverflowingAndDeepJsonIsRefused) {
  PrepareConfig config;
  config.format = "ids";
  const auto read = [&](const std::string& line) {
    return message_of([&] { data::document_ids({line, 0, 0, 3, 0}, "f.jsonl", config, 100); });
  };
  EXPECT_THAT(read("{\"input_ids\": [1e999]}"), HasSubstr("f.jsonl:3: not valid JSON"));
  EXPECT_THAT(read("{\"input_ids\": [" + std::string(3000000, '[') + "]}"),
              HasSubstr("f.jsonl:3: the JSON is nested deeper than 64 levels"));
}

TEST(Document, ReadsJsonFieldsAndTellsWhatIsWrong) {
  PrepareConfig config;
  config.format = "jsonl";
  const auto read = [&](const std::string& line) { return data::document_text({line, 0, 0, 7, 0}, "f.jsonl", config); };

  EXPECT_EQ(read(R"({"a": 1, "text": "\u00e9\n"})"), "\xc3\xa9\n");
  EXPECT_THAT(message_of([&] { read(R"({"a": 1, "b": 2})"); }), HasSubstr("f.jsonl:7: there is no field \"text\"; the object has: a, b"));
  EXPECT_THAT(message_of([&] { read(R"({"text": 1})"); }), HasSubstr("f.jsonl:7: field \"text\" is expected to be a string and is number"));
  EXPECT_THAT(message_of([&] { read(R"({"text": )"); }), HasSubstr("f.jsonl:7: not valid JSON"));
  EXPECT_THAT(message_of([&] { read("[1]"); }), HasSubstr("f.jsonl:7: expected a JSON object, found array"));
}

TEST(Document, ReadsIdsBelowTheVocabulary) {
  PrepareConfig config;
  config.format = "ids";
  const auto read = [&](const std::string& line) { return data::document_ids({line, 0, 0, 3, 0}, "f.jsonl", config, 100); };

  EXPECT_THAT(read(R"({"input_ids": [0, 99, 5]})"), ElementsAre(0, 99, 5));
  EXPECT_THAT(message_of([&] { read(R"({"input_ids": [1, 100]})"); }),
              HasSubstr("f.jsonl:3: input_ids[1] = 100: expected a token id from 0 to 99"));
  for (const char* bad : {"-1", "1.0", "\"1\"", "null", "18446744073709551615", "[1]"})
    EXPECT_THAT(message_of([&] { read(std::string(R"({"input_ids": [)") + bad + "]}"); }), HasSubstr("input_ids[0] = ")) << bad;
  EXPECT_THAT(message_of([&] { read(R"({"input_ids": 3})"); }), HasSubstr("expected to be a list of token ids and is number"));
}

TEST(Document, NormalisesToNfc) {
  PrepareConfig config;
  config.normalise = "nfc";
  EXPECT_EQ(data::document_text({"cafe\xcc\x81", 0, 0, 1, 0}, "f", config), "caf\xc3\xa9");
}

}  // namespace
}  // namespace strata
