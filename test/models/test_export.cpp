// The way of weights out to a Hugging Face folder and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "support/kept_weights.hpp"

namespace strata::test {
namespace {

using ::testing::ElementsAre;

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

WeightSource source_of(const Kept& kept) {
  return [&kept](int p, std::int64_t first, std::span<float> values) { kept.store.load(p, first, values); };
}

TEST(Export, ComesBackWithTheSameBits) {
  const CausalConfig config = wide();  // an embedding of several pieces
  for (DType compute : {DType::f32, DType::bf16}) {
    Kept kept(config, compute), again(config, compute);
    random_weights(kept.stream, kept.set(), 0.02, 42, kept.store);
    const TemporaryFolder folder;
    export_weights(folder / "new" / "model", config, kept.set(), source_of(kept), DType::f32, "");
    const CausalConfig back = read_model_config(folder / "new" / "model");
    EXPECT_EQ(back.V, config.V);
    EXPECT_EQ(back.rope.theta, config.rope.theta);
    EXPECT_EQ(back.tied, config.tied);
    load_weights(again.stream, SafetensorsReader(folder / "new" / "model"), back, again.set(), again.store);
    EXPECT_TRUE(again.bits() == kept.bits()) << name_of(compute);
  }
}

TEST(Export, InBf16IsRounded) {
  Kept kept(small()), again(small());
  random_weights(kept.stream, kept.set(), 0.02, 42, kept.store);
  const TemporaryFolder folder;
  export_weights(folder.path(), small(), kept.set(), source_of(kept), DType::bf16, "");
  EXPECT_EQ(read_json(folder / "config.json").at("dtype"), "bfloat16");
  const SafetensorsReader file(folder.path());
  EXPECT_EQ(file.tensors().at("model.norm.weight").type, DType::bf16);
  EXPECT_EQ(file.tensors().count("lm_head.weight"), 0u);  // tied: written once
  load_weights(again.stream, file, small(), again.set(), again.store);
  const auto exact = kept.values(0), rounded = again.values(0);
  for (std::size_t i = 0; i < exact.size(); ++i) ASSERT_EQ(rounded[i], static_cast<float>(BFloat16(exact[i])));
}

TEST(Export, ConfigurationNamesTypeAndArchitecture) {
  nlohmann::json json = nlohmann::json::parse(small().json);
  json.erase("architectures");
  json["torch_dtype"] = "bfloat16";
  json["a_key_of_tomorrow"] = 7;
  const CausalConfig config = parse_model_config(json.dump(), "made");
  Kept kept(config);
  const TemporaryFolder folder;
  export_weights(folder.path(), config, kept.set(), source_of(kept), DType::f32, "");
  const nlohmann::json written = read_json(folder / "config.json");
  EXPECT_EQ(written.at("dtype"), "float32");
  EXPECT_FALSE(written.contains("torch_dtype"));
  EXPECT_EQ(written.at("architectures"), nlohmann::json::array({"Qwen3ForCausalLM"}));
  EXPECT_EQ(written.at("a_key_of_tomorrow"), 7);
}

TEST(Export, TokenizerFilesComeAlong) {
  Kept kept(small());
  const TemporaryFolder folder, tokenizer;
  write_file(tokenizer / "tokenizer.json", "{}");
  write_file(tokenizer / "notes.txt", "private");
  export_weights(folder.path(), small(), kept.set(), source_of(kept), DType::f32, tokenizer.path());
  EXPECT_EQ(read_file(folder / "tokenizer.json"), "{}");
  EXPECT_FALSE(std::filesystem::exists(folder / "notes.txt"));
  write_file(tokenizer / "m.model", "pieces");
  export_weights(folder.path(), small(), kept.set(), source_of(kept), DType::f32, tokenizer / "m.model");
  EXPECT_EQ(read_file(folder / "tokenizer.model"), "pieces");
}

TEST(Export, OneThatFailsOrIsRefusedLeavesTheFolderAsItWas) {
  Kept kept(small());
  random_weights(kept.stream, kept.set(), 0.02, 42, kept.store);
  const TemporaryFolder folder;
  const WeightSource failing = [&](int p, std::int64_t first, std::span<float> values) {
    if (p == 3) throw DataError("the source is gone");
    kept.store.load(p, first, values);
  };
  EXPECT_THROW(export_weights(folder / "out", small(), kept.set(), failing, DType::f32, ""), DataError);
  EXPECT_THROW(export_weights(folder / "out", small(), kept.set(), source_of(kept), DType::f16, ""), DeckError);
  EXPECT_THROW(export_weights(folder / "out", small(), kept.set(), source_of(kept), DType::f32, folder / "no-tokenizer"), DataError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));

  std::filesystem::create_directory(folder / "old");
  write_file(folder / "old" / "notes.txt", "mine");
  write_file(folder / "old" / "config.json", "older");
  EXPECT_THROW(export_weights(folder / "old", small(), kept.set(), source_of(kept), DType::f32, folder / "no-tokenizer"), DataError);
  EXPECT_THAT(names_in(folder / "old"), ElementsAre("config.json", "notes.txt"));
  EXPECT_EQ(read_file(folder / "old" / "config.json"), "older");
  export_weights(folder / "old" / "", small(), kept.set(), source_of(kept), DType::f32, "");
  EXPECT_THAT(names_in(folder / "old"), ElementsAre("config.json", "model.safetensors", "notes.txt"));
  EXPECT_EQ(read_model_config(folder / "old").V, small().V);
}

}  // namespace
}  // namespace strata::test
