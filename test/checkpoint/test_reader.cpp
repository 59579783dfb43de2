// Reading checkpoints: every field comes back, any piece of any tensor, and what is damaged or unknown is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/sample.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/checkpoint/writer.hpp"
#include "strata/io/file.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using namespace strata::test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Reader : public ::testing::Test {
 protected:
  Reader() {
    Sample sample(0, 1);
    write_checkpoint(*make_self_communicator(), path(), sample.tensors(), sample_run(), sample_launch(), true);
  }
  std::filesystem::path path() const { return folder_ / "a.h5"; }
  void flip(std::int64_t offset) {
    const FileHandle file(path(), FileHandle::Mode::write_existing);
    unsigned char byte = 0;
    file.read_at(&byte, 1, offset);
    byte ^= 4;
    file.write_at(&byte, 1, offset);
  }
  std::string open_error(const std::string& name) {
    return message_of<DataError>([&] { CheckpointReader reader(folder_ / name); });
  }
  TemporaryFolder folder_;
};

TEST_F(Reader, GivesBackTheRunRecord) {
  const CheckpointReader reader(path());
  const RunRecord& run = reader.run();
  const RunRecord expected = sample_run();

  EXPECT_EQ(run.step, expected.step);
  EXPECT_EQ(run.cursor, expected.cursor);
  EXPECT_EQ(run.tokens, expected.tokens);
  EXPECT_EQ(run.epoch, expected.epoch);
  EXPECT_EQ(run.seed, expected.seed);
  EXPECT_EQ(run.loss, expected.loss);
  EXPECT_TRUE(std::isnan(run.validation_loss));
  EXPECT_EQ(run.best_metric, expected.best_metric);
  EXPECT_EQ(run.best_step, expected.best_step);
  EXPECT_EQ(run.bad_validations, expected.bad_validations);
  EXPECT_EQ(run.deck, expected.deck);
  EXPECT_EQ(run.model_config, expected.model_config);
  EXPECT_EQ(run.compute, expected.compute);
  EXPECT_EQ(run.version, expected.version);
  EXPECT_EQ(run.dataset_hash, expected.dataset_hash);
  EXPECT_EQ(run.validation_hash, expected.validation_hash);
  EXPECT_EQ(run.tokenizer_hash, expected.tokenizer_hash);
  EXPECT_EQ(run.extra, expected.extra);
  EXPECT_EQ(reader.launch().strategy, "fsdp");
  EXPECT_EQ(reader.launch().threads, 2);
  EXPECT_EQ(reader.launch().written, "2026-11-21 12:00:00");
}

TEST_F(Reader, ReadsAnyStretch) {
  const CheckpointReader reader(path());
  const SampleTensor tensor = sample_tensors()[0];
  const std::vector<unsigned char> all = sample_bytes(tensor);
  const std::int64_t n = tensor.elements();
  for (const auto& [first, count] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {0, n}, {0, 1}, {n - 1, 1}, {4095, 2}, {4096, 4096}, {1, n - 2}, {8191, 4098}, {n, 0}, {5, 0}, {4000, 20000}}) {
    std::vector<unsigned char> back(static_cast<std::size_t>(2 * count));
    reader.read(tensor.path, first, count, back.data());
    EXPECT_EQ(back, std::vector<unsigned char>(all.begin() + 2 * first, all.begin() + 2 * (first + count))) << first << ' ' << count;
  }
}

TEST_F(Reader, KnowsItsTensors) {
  const CheckpointReader reader(path());

  EXPECT_EQ(reader.tensors().size(), sample_tensors().size());
  EXPECT_TRUE(reader.has("/model/model.norm.weight"));
  EXPECT_FALSE(reader.has("/model/nothing"));
  EXPECT_FALSE(reader.has("/run"));
  EXPECT_EQ(reader.info("/model/model.embed_tokens.weight").type, DType::bf16);
  EXPECT_THAT(message_of<DataError>([&] { reader.info("/model/nothing"); }), HasSubstr("a.h5: there is no tensor /model/nothing"));
  char buffer[8];
  EXPECT_THAT(message_of<DataError>([&] { reader.read("/model/model.norm.weight", 70, 8, buffer); }),
              HasSubstr("8 elements from 70 are asked of a tensor of 77"));
}

TEST_F(Reader, AFlippedBitIsFoundAndNamed) {
  const h5::DatasetInfo info = CheckpointReader(path()).info("/model/model.layers.0.mlp.up_proj.weight");
  flip(info.offset + 2 * (2 * 4096 + 17));  // in block 2
  flip(info.offset + 2 * (3 * 4096));       // in block 3
  flip(info.offset + 2 * (info.elements() - 1));

  const CheckpointReader reader(path());
  EXPECT_THAT(reader.verify(), ElementsAre("/model/model.layers.0.mlp.up_proj.weight: elements 8192..16383 differ from their checksum",
                                           "/model/model.layers.0.mlp.up_proj.weight: elements 32768..33409 differ from their checksum"));
  std::vector<char> buffer(2 * 10000);
  reader.read("/model/model.layers.0.mlp.up_proj.weight", 0, 8192, buffer.data());
  EXPECT_THAT(message_of<DataError>([&] { reader.read("/model/model.layers.0.mlp.up_proj.weight", 8000, 193, buffer.data()); }),
              HasSubstr("up_proj.weight: elements 8192..12287 differ from their checksum"));
}

TEST_F(Reader, ADamagedChecksumIsFound) {
  const h5::File file(path());
  flip(file.dataset("/checksums/model/model.norm.weight").offset + 3);
  EXPECT_THAT(CheckpointReader(path()).verify(), ElementsAre("/model/model.norm.weight: elements 0..76 differ from their checksum"));
}

TEST_F(Reader, ADamagedRunRecordIsFound) {
  const std::string bytes = read_file(path());
  for (const std::string& part : {std::string("runs/"), std::string("qwen3"), std::string("fedcba98"), std::string("cosine")}) {
    const auto at = static_cast<std::int64_t>(bytes.find(part));
    flip(at);
    EXPECT_NE(open_error("a.h5"), "no error") << part;
    flip(at);
  }
  EXPECT_EQ(open_error("a.h5"), "no error");
}

/// A file with a checkpoint's structure, made by hand, with one thing different.
class Strange : public Reader {
 protected:
  std::vector<h5::AttributeSpec> attributes() {
    const h5::File file(path());
    std::vector<h5::AttributeSpec> result;
    for (const char* group : {"/", "/run", "/run/extra", "/run/launch"})
      for (const std::string& name : file.attribute_names(group)) result.push_back({group, name, file.attribute(group, name)});
    return result;
  }
  std::string refusal(const std::vector<h5::DatasetSpec>& datasets, const std::vector<h5::AttributeSpec>& all) {
    std::filesystem::remove(folder_ / "b.h5");
    h5::create_file(folder_ / "b.h5", datasets, all);
    return open_error("b.h5");
  }
  std::string refusal_with(const std::string& name, const h5::AttributeValue& value) {
    auto all = attributes();
    for (h5::AttributeSpec& spec : all)
      if (spec.name == name) spec.value = value;
    return refusal({}, all);
  }
};

TEST_F(Strange, FormatVersionAndRecord) {
  EXPECT_EQ(refusal({}, attributes()), "no error");
  EXPECT_THAT(refusal({}, {}), HasSubstr("is not a Strata checkpoint"));
  EXPECT_THAT(refusal_with("format", std::string("strata tokens")), HasSubstr("is not a Strata checkpoint"));
  EXPECT_THAT(refusal_with("version", std::int64_t{2}),
              HasSubstr("format version 2, this program reads 1 to 1: it was written by a newer Strata"));
  EXPECT_THAT(refusal_with("version", std::int64_t{0}), HasSubstr("format version 0"));
  EXPECT_THAT(refusal_with("step", std::int64_t{501}), HasSubstr("the run record under /run does not give its hash"));
  EXPECT_THAT(refusal_with("loss", 1.0), HasSubstr("does not give its hash"));
  EXPECT_THAT(refusal_with("schedule", std::string("linear")), HasSubstr("does not give its hash"));
  EXPECT_THAT(refusal_with("step", std::string("five")), HasSubstr("attribute step of /run is expected to be an integer"));
  EXPECT_EQ(refusal_with("hosts", std::string("elsewhere")), "no error");
}

TEST_F(Strange, ChecksumsOfTheWrongShape) {
  const h5::DatasetSpec w = {"/model/w", DType::f32, {5000}};
  EXPECT_EQ(refusal({w, {"/checksums/model/w", DType::u8, {2, 16}}}, attributes()), "no error");
  EXPECT_THAT(refusal({w}, attributes()), HasSubstr("/model/w has no checksums"));
  EXPECT_THAT(refusal({w, {"/checksums/model/w", DType::u8, {1, 16}}}, attributes()),
              HasSubstr("/checksums/model/w is expected to be u8 of shape [2, 16]"));
  EXPECT_THAT(refusal({w, {"/checksums/model/w", DType::f32, {2, 16}}}, attributes()), HasSubstr("expected to be u8"));
  EXPECT_THAT(refusal({{"/checksums/model/w", DType::u8, {2, 16}}}, attributes()), HasSubstr("checksums of 1 tensors, but 0 tensors"));
}

TEST_F(Strange, AllZerosIsNotSoundData) {
  // What a killed writer without the temporary name would leave: structure, and zeros for data and checksums.
  refusal({{"/model/w", DType::f32, {5000}}, {"/checksums/model/w", DType::u8, {2, 16}}}, attributes());
  EXPECT_THAT(CheckpointReader(folder_ / "b.h5").verify(), ElementsAre("/model/w: elements 0..4999 differ from their checksum"));
}

}  // namespace
