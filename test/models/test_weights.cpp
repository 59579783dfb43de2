// Weights: random ones, how they are kept, what a file must hold to fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "support/kept_weights.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(RandomWeights, AreTheSameWithAnyNumberOfThreads) {
  const CausalConfig config = wide();
  std::vector<std::vector<std::uint32_t>> bits;
  for (int threads : {1, 2, 3}) {
    Kept kept(config, DType::f32, threads);
    random_weights(kept.stream, kept.set(), 0.02, 42, kept.store);
    bits.push_back(kept.bits());
  }
  EXPECT_TRUE(bits[0] == bits[1]);
  EXPECT_TRUE(bits[0] == bits[2]);
}

TEST(RandomWeights, FollowTheSeedAndTheName) {
  Kept kept(small());
  random_weights(kept.stream, kept.set(), 0.02, 42, kept.store);
  const auto first = kept.values("model.layers.0.mlp.gate_proj.weight");
  EXPECT_NE(first, kept.values("model.layers.0.mlp.up_proj.weight"));
  random_weights(kept.stream, kept.set(), 0.02, 43, kept.store);
  EXPECT_NE(first, kept.values("model.layers.0.mlp.gate_proj.weight"));
  random_weights(kept.stream, kept.set(), 0.02, 42, kept.store);
  EXPECT_EQ(first, kept.values("model.layers.0.mlp.gate_proj.weight"));
}

TEST(RandomWeights, AreNormalWithTheRangeAsDeviation) {
  Kept kept(wide());
  random_weights(kept.stream, kept.set(), 0.02, 7, kept.store);
  const auto values = kept.values("model.embed_tokens.weight");
  double sum = 0, squares = 0, fourth = 0;
  for (float v : values) {
    const double z = static_cast<double>(v) / 0.02;
    sum += z, squares += z * z, fourth += z * z * z * z;
  }
  const double n = static_cast<double>(values.size());
  // Five standard errors: 1/sqrt(n), sqrt(2/n), sqrt(96/n).
  EXPECT_NEAR(sum / n, 0.0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourth / n, 3.0, 5 * std::sqrt(96 / n));
}

TEST(RandomWeights, LeaveNormsAtOneAndBiasesAtZero) {
  Kept kept(read_model_config(data_file("models") / "qwen3-untied-bias"));
  random_weights(kept.stream, kept.set(), 0.02, 7, kept.store);
  for (const char* name : {"model.norm.weight", "model.layers.0.input_layernorm.weight", "model.layers.1.post_attention_layernorm.weight",
                           "model.layers.1.self_attn.k_norm.weight"})
    EXPECT_THAT(kept.values(name), ::testing::Each(1.0f)) << name;
  EXPECT_THAT(kept.values("model.layers.0.self_attn.q_proj.bias"), ::testing::Each(0.0f));
}

// Values of every size, with ties of the rounding and the ends of the range.
std::vector<float> awkward() {
  std::vector<float> values = {0.0f, -0.0f, 1.0f, -1.0f, 0.1f, 1e-45f, -1e-40f, 0x1p-126f, 0x1.fffffep127f, -0x1.fffffep127f};
  for (std::uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
    for (std::uint32_t high : {0x3f80u, 0x3f81u, 0xbf80u, 0x0080u, 0x7f7fu, 0x3fffu})
      values.push_back(std::bit_cast<float>((high << 16) | low));
  return values;
}

TEST(WeightStore, KeepsTheMasterExactly) {
  for (DType compute : {DType::f32, DType::bf16, DType::f64}) {
    SCOPED_TRACE(name_of(compute));
    Kept kept(small(), compute);
    const int p = kept.set().find("model.layers.0.mlp.up_proj.weight");
    const auto values = awkward();
    kept.store.store(p, 5, values);
    std::vector<float> back(values.size());
    kept.store.load(p, 5, back);
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(std::bit_cast<std::uint32_t>(back[i]), std::bit_cast<std::uint32_t>(values[i])) << values[i];
    std::vector<float> around(1);
    kept.store.load(p, 4, around);
    EXPECT_EQ(around[0], 0.0f);
    kept.store.load(p, 5 + static_cast<std::int64_t>(values.size()), around);
    EXPECT_EQ(around[0], 0.0f);
  }
}

TEST(WeightStore, Bf16WeightsAreTheRoundedMaster) {
  for (bool with_master : {true, false}) {
    Kept kept(small(), DType::bf16, 1, with_master);
    EXPECT_EQ(kept.store.remainder.given(), with_master);
    const auto values = awkward();
    kept.store.store(0, 0, values);
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(kept.store.weight.parameter(0).as<BFloat16>()[i].bits, BFloat16(values[i]).bits) << values[i];
    if (with_master) continue;
    std::vector<float> back(values.size());
    kept.store.load(0, 0, back);
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(back[i], static_cast<float>(BFloat16(values[i])));
  }
}

struct MadeTensor {
  DType type = DType::f32;
  std::vector<std::int64_t> shape;
  std::vector<unsigned char> bytes;
};
using MadeFile = std::map<std::string, MadeTensor>;

template <class T>
MadeTensor made(DType type, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  MadeTensor t{type, std::move(shape), std::vector<unsigned char>(values.size() * sizeof(T))};
  std::memcpy(t.bytes.data(), values.data(), t.bytes.size());
  return t;
}

// The tensors of the small model as its file has them.
MadeFile small_tensors() {
  const SafetensorsReader reader(data_file("models") / "qwen3-long");
  MadeFile file;
  for (const auto& [name, entry] : reader.tensors()) {
    MadeTensor t{entry.type, entry.shape, std::vector<unsigned char>(static_cast<std::size_t>(entry.bytes()))};
    reader.read(entry, 0, entry.elements(), t.bytes.data());
    file[name] = std::move(t);
  }
  return file;
}

class WeightFile : public ::testing::Test {
 protected:
  SafetensorsReader write(const MadeFile& file) {
    std::vector<SafetensorsItem> items;
    for (const auto& [name, t] : file) items.push_back({name, t.type, t.shape});
    SafetensorsWriter writer(folder / "model.safetensors", items);
    for (const auto& [name, t] : file) writer.fill(name, 0, static_cast<std::int64_t>(t.bytes.size() / size_of(t.type)), t.bytes.data());
    writer.commit();
    return SafetensorsReader(folder / "model.safetensors");
  }
  std::vector<std::string> findings(const MadeFile& file) { return check_weights(write(file), config, kept.set()); }
  void load(const MadeFile& file) { load_weights(kept.stream, write(file), config, kept.set(), kept.store); }
  std::string refusal(const MadeFile& file) {
    try {
      load(file);
    } catch (const DataError& e) {
      return e.what();
    }
    return "accepted";
  }

  TemporaryFolder folder;
  CausalConfig config = small();
  Kept kept{config};
  MadeFile tensors = small_tensors();
  const std::string embedding = "model.embed_tokens.weight", head = "lm_head.weight", norm = "model.norm.weight";
};

TEST_F(WeightFile, FitsAndLoadsBitForBit) {
  EXPECT_THAT(findings(tensors), IsEmpty());
  load(tensors);
  for (const auto& [name, t] : tensors) {
    const auto values = kept.values(name);
    ASSERT_EQ(values.size() * sizeof(float), t.bytes.size()) << name;
    EXPECT_EQ(std::memcmp(values.data(), t.bytes.data(), t.bytes.size()), 0) << name;
  }
}

TEST_F(WeightFile, MissingTensorsAreNamed) {
  tensors.erase(norm);
  EXPECT_THAT(findings(tensors), ElementsAre(AllOf(HasSubstr("lack model.norm.weight"), HasSubstr("[32]"))));
  EXPECT_THAT(refusal(tensors), AllOf(HasSubstr("do not fit"), HasSubstr("model.norm.weight")));
}

TEST_F(WeightFile, SurplusTensorsAreNamed) {
  tensors["model.layers.1.mlp.up_proj.weight"] = tensors.at("model.layers.0.mlp.up_proj.weight");
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = made<float>(DType::f32, {4}, {1, 2, 3, 4});  // in older files: left aside
  tensors["norm.weight"] = tensors.at(norm);  // one parameter twice, as a base model names it too
  const std::string surplus = "model.safetensors: model.layers.1.mlp.up_proj.weight is not a parameter of this qwen3 model";
  EXPECT_THAT(findings(tensors), ElementsAre(HasSubstr(surplus), HasSubstr("both norm.weight and model.norm.weight, which are one")));
}

TEST_F(WeightFile, WrongShapesAreNamed) {
  tensors[norm] = made(DType::f32, {31}, std::vector<float>(31));
  EXPECT_THAT(findings(tensors), ElementsAre(AllOf(HasSubstr(norm), HasSubstr("[31]"), HasSubstr("[32]"))));
  // As many elements, but transposed.
  tensors = small_tensors();
  std::reverse(tensors.at("model.layers.0.mlp.up_proj.weight").shape.begin(), tensors.at("model.layers.0.mlp.up_proj.weight").shape.end());
  EXPECT_THAT(findings(tensors), ElementsAre(AllOf(HasSubstr("up_proj"), HasSubstr("[32, 64]"), HasSubstr("[64, 32]"))));
  // More dimensions than any tensor of Strata.
  tensors = small_tensors();
  tensors[norm].shape = {2, 2, 2, 2, 2};
  EXPECT_THAT(findings(tensors), ElementsAre(AllOf(HasSubstr(norm), HasSubstr("[2, 2, 2, 2, 2]"))));
}

TEST_F(WeightFile, WrongTypesAreNamed) {
  tensors[norm] = made(DType::i32, {32}, std::vector<std::int32_t>(32));
  EXPECT_THAT(findings(tensors), ElementsAre(AllOf(HasSubstr(norm), HasSubstr("i32"), HasSubstr("expected f32, bf16, f16 or f64"))));
}

TEST_F(WeightFile, EveryFindingIsListed) {
  tensors.erase(norm);
  tensors["extra"] = made<float>(DType::f32, {1}, {1});
  tensors[embedding].shape = {32, 128};
  EXPECT_EQ(findings(tensors).size(), 3u);
  EXPECT_THAT(refusal(tensors), AllOf(HasSubstr(norm), HasSubstr("extra"), HasSubstr(embedding)));
}

TEST_F(WeightFile, ACopyOfTheTiedHeadIsAccepted) {
  tensors[head] = tensors.at(embedding);
  EXPECT_THAT(findings(tensors), IsEmpty());
  EXPECT_EQ(refusal(tensors), "accepted");
}

TEST_F(WeightFile, ADifferentHeadOfATiedModelIsRefused) {
  tensors[head] = tensors.at(embedding);
  tensors[head].bytes[4 * 1234 + 3] ^= 0x80;  // the sign of element 1234
  EXPECT_THAT(findings(tensors), IsEmpty());  // headers only
  EXPECT_THAT(refusal(tensors), AllOf(HasSubstr("tie_word_embeddings"), HasSubstr("differs"), HasSubstr("element 1234")));
  tensors[head].shape = {32, 128};
  EXPECT_THAT(findings(tensors), ElementsAre(AllOf(HasSubstr(head), HasSubstr("[32, 128]"))));
}

TEST_F(WeightFile, AnUntiedModelNeedsItsHead) {
  nlohmann::json json = nlohmann::json::parse(config.json);
  json["tie_word_embeddings"] = false;
  const CausalConfig untied = parse_model_config(json.dump(), "untied");
  const CausalLm model(untied);
  EXPECT_THAT(check_weights(write(tensors), untied, model.parameters()), ElementsAre(HasSubstr("lack lm_head.weight")));
  tensors[head] = tensors.at(embedding);
  EXPECT_THAT(check_weights(write(tensors), untied, model.parameters()), IsEmpty());
}

TEST_F(WeightFile, NamesOfBaseModelsAreAccepted) {
  MadeFile base;
  for (const auto& [name, t] : tensors) base[name.substr(6)] = t;
  ASSERT_TRUE(base.count("embed_tokens.weight"));
  EXPECT_THAT(findings(base), IsEmpty());
  load(tensors);
  const auto bits = kept.bits();
  Kept again(config);
  load_weights(again.stream, write(base), config, again.set(), again.store);
  EXPECT_TRUE(again.bits() == bits);
}

TEST_F(WeightFile, OtherTypesAreConverted) {
  std::vector<float> expected(32, 0.0f);
  const float some[] = {1.0f, -2.5f, 65504.0f, 0x1p-14f, 0x1p-24f, -0x1.8p-23f, 0.333251953125f, -0.0f};
  // In IEEE binary16: 1, -2.5, the largest, the smallest normal, the smallest, three times it negative, about 1/3, -0.
  const std::uint16_t halves[] = {0x3c00, 0xc100, 0x7bff, 0x0400, 0x0001, 0x8003, 0x3555, 0x8000};
  std::vector<std::uint16_t> f16(32, 0), bf16(32, 0);
  std::vector<double> f64(32, 0.0);
  for (std::size_t i = 0; i < 8; ++i) expected[i] = some[i], f16[i] = halves[i], f64[i] = static_cast<double>(some[i]);
  const auto loaded = [&](const MadeTensor& tensor) {
    tensors[norm] = tensor;
    load(tensors);
    return kept.values(norm);
  };
  const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
    return std::memcmp(a.data(), b.data(), 32 * sizeof(float)) == 0;
  };
  EXPECT_TRUE(same(loaded(made(DType::f16, {32}, f16)), expected));
  EXPECT_TRUE(same(loaded(made(DType::f64, {32}, f64)), expected));
  // binary64 is rounded to the nearest binary32.
  f64[0] = 0.1;
  EXPECT_EQ(loaded(made(DType::f64, {32}, f64))[0], 0.1f);
  const float exact[] = {1.0f, -2.5f, 0x1.fep127f, 0x1p-126f, 0x1p-133f, 0.5f, 3.140625f, -0.0f};
  const std::uint16_t exact_bits[] = {0x3f80, 0xc020, 0x7f7f, 0x0080, 0x0001, 0x3f00, 0x4049, 0x8000};
  for (std::size_t i = 0; i < 8; ++i) expected[i] = exact[i], bf16[i] = exact_bits[i];
  EXPECT_TRUE(same(loaded(made(DType::bf16, {32}, bf16)), expected));
}

}  // namespace
}  // namespace strata::test
