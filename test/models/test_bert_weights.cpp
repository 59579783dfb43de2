// BERT's configuration and weights: what config.json may ask for, names of pretrained and older files, a new head, the way out and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "support/bert_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::filesystem::path golden() {
  return data_file("models") / "bert-qa";
}

template <class Error, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

BertConfig parsed(const std::function<void(nlohmann::json&)>& change) {
  nlohmann::json json = read_json(golden() / "config.json");
  change(json);
  return parse_bert_config(json.dump(), "made");
}

TEST(BertConfig, IsReadAsHuggingFaceWritesIt) {
  const BertConfig c = read_bert_config(golden());
  EXPECT_EQ(c.layer.H, 36);
  EXPECT_EQ(c.layer.nh, 3);
  EXPECT_EQ(c.layer.F, 80);
  EXPECT_EQ(c.L, 2);
  EXPECT_EQ(c.tables.V, 211);
  EXPECT_EQ(c.tables.positions, 64);
  EXPECT_EQ(c.tables.pad, 0);
  EXPECT_EQ(c.layer.eps, 1e-12);
  EXPECT_EQ(c.layer.activation, Gelu::erf);
  EXPECT_EQ(c.layer.hidden_dropout, 0);
  const BertConfig older = parsed([](auto& j) { j.erase("hidden_dropout_prob"), j["hidden_act"] = "gelu_new", j.erase("pad_token_id"); });
  EXPECT_EQ(older.layer.hidden_dropout, 0.1);
  EXPECT_EQ(older.layer.activation, Gelu::tanh);
  EXPECT_EQ(older.tables.pad, -1);
}

TEST(BertConfig, WhatIsNotSupportedIsNamed) {
  const auto refused = [](const char* key, const nlohmann::json& value) {
    return message_of<DataError>([&] { parsed([&](auto& j) { j[key] = value; }); });
  };
  EXPECT_THAT(refused("hidden_act", "relu"), HasSubstr("made: hidden_act = \"relu\" is not supported; supported: gelu, "));
  EXPECT_THAT(refused("position_embedding_type", "relative_key"), HasSubstr("position_embedding_type = \"relative_key\" is not supported"));
  EXPECT_THAT(refused("is_decoder", true), HasSubstr("is_decoder = true is not supported"));
  EXPECT_THAT(refused("num_attention_heads", 5), HasSubstr("hidden_size = 36 is not a multiple of num_attention_heads = 5"));
  EXPECT_THAT(refused("hidden_dropout_prob", 1.0), HasSubstr("hidden_dropout_prob: expected a number from 0 to below 1, found 1.0"));
  EXPECT_THAT(refused("pad_token_id", 500), HasSubstr("pad_token_id: expected a token of the vocabulary of 211, found 500"));
  EXPECT_THAT(refused("hidden_size", 3 << 28), HasSubstr("is the file damaged?"));
  EXPECT_THAT(refused("model_type", "roberta"), HasSubstr("model_type = \"roberta\" is not supported"));
}

TEST(BertConfig, LongSequencesAreRefused) {
  read_bert_config(golden()).check_sequence(64);
  EXPECT_THAT(message_of<DataError>([] { read_bert_config(golden()).check_sequence(65); }),
              HasSubstr("a sequence of 65 tokens is longer than the model's max_position_embeddings = 64"));
}

TEST(Factory, BertBaseHasAsManyParametersAsHuggingFaceCounts) {
  // BertModel's 109,482,240 without the pooler (768 x 769), with the head.
  EXPECT_EQ(make_model(source_dir() / "input" / "models" / "bert-base-uncased.json")->parameters().elements(), 109482240 - 590592 + 1538);
}

TEST(Factory, MakesTheFamilyOfTheFile) {
  EXPECT_EQ(make_model(golden())->family(), "bert");
  EXPECT_EQ(make_model(data_file("models") / "qwen3-tied")->family(), "qwen3");
  EXPECT_EQ(model_type_of(golden()), "bert");
  EXPECT_THAT(message_of<DataError>([] { parse_model(R"({"model_type": "t5"})", "made"); }),
              HasSubstr("model_type = \"t5\" is not supported"));
  EXPECT_EQ(make_model(golden())->parameters().elements(),
            211 * 36 + 64 * 36 + 2 * 36 + 2 * 36 + 2 * (4 * 36 * 37 + 4 * 36 + 80 * 37 + 36 * 81) + 74);
}

using Tensors = std::map<std::string, std::vector<float>>;

// The golden weights by name, changed and written again.
class BertWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    const SafetensorsReader file(golden());
    for (const auto& [name, entry] : file.tensors()) {
      const Doubles values = read_tensor(file, name);
      tensors[name] = std::vector<float>(values.begin(), values.end());
      shapes[name] = entry.shape;
    }
  }
  // Names as `rename` gives them; an empty name leaves the tensor out.
  SafetensorsReader written(const std::function<std::string(const std::string&)>& rename, const Tensors& more = {}) {
    std::vector<SafetensorsItem> items;
    Tensors out = more;
    for (const auto& [name, values] : more) items.push_back({name, DType::f32, {static_cast<std::int64_t>(values.size())}});
    for (const auto& [name, values] : tensors)
      if (const std::string to = rename(name); !to.empty()) items.push_back({to, DType::f32, shapes[name]}), out[to] = values;
    SafetensorsWriter writer(folder / "model.safetensors", items);
    for (const auto& [name, values] : out) writer.fill(name, 0, static_cast<std::int64_t>(values.size()), values.data());
    writer.commit();
    return SafetensorsReader(folder.path());
  }
  std::vector<std::string> findings(const SafetensorsReader& file) const {
    return check_weights(file, fixture.model().weight_rules(), fixture.set());
  }
  void load(const SafetensorsReader& file, std::uint64_t seed = 1) {
    load_weights(fixture.stream(), file, fixture.model().weight_rules(), fixture.set(), fixture.store(), seed);
  }
  Tensors tensors;
  std::map<std::string, std::vector<std::int64_t>> shapes;
  TemporaryFolder folder;
  BertFixture fixture{read_bert_config(golden()), DType::f32, {1, 8}};
};

std::string replaced(std::string name, const std::string& from, const std::string& to) {
  const auto at = name.find(from);
  return at == std::string::npos ? name : name.replace(at, from.size(), to);
}

TEST_F(BertWeights, NamesOfThePretrainedFilesAreKnown) {
  load(SafetensorsReader(golden()));
  const Doubles truth = values_of(fixture.store().weight.flat());
  // bert-base-uncased as it lies on the hub: gamma and beta, the heads of pretraining, the pooler; no head of ours.
  const auto hub = [](const std::string& name) {
    if (name.rfind("qa_outputs", 0) == 0) return std::string();
    return replaced(replaced(name, "LayerNorm.weight", "LayerNorm.gamma"), "LayerNorm.bias", "LayerNorm.beta");
  };
  const Tensors heads{{"cls.predictions.bias", {1, 2}},
                      {"cls.predictions.transform.LayerNorm.gamma", {1}},
                      {"bert.pooler.dense.weight", {1}},
                      {"bert.embeddings.position_ids", {0, 1, 2}}};
  const SafetensorsReader pretrained = written(hub, heads);
  EXPECT_THAT(findings(pretrained), IsEmpty());
  EXPECT_THAT(fresh_parameters(pretrained, fixture.model().weight_rules(), fixture.set()),
              ElementsAre("qa_outputs.weight", "qa_outputs.bias"));
  load(pretrained, 3);
  Doubles loaded = values_of(fixture.store().weight.flat());
  EXPECT_EQ(values_of(fixture.parameter("qa_outputs.bias")), (Doubles{0, 0}));
  const Doubles head = values_of(fixture.parameter("qa_outputs.weight"));
  EXPECT_GT(*std::max_element(head.begin(), head.end()), 0);
  EXPECT_LT(*std::max_element(head.begin(), head.end()), 0.1);
  const auto encoder = static_cast<std::size_t>(fixture.set().units().back().offset);
  EXPECT_EQ(Doubles(loaded.begin(), loaded.begin() + static_cast<std::ptrdiff_t>(encoder)),
            Doubles(truth.begin(), truth.begin() + static_cast<std::ptrdiff_t>(encoder)));
  load(pretrained, 3);
  EXPECT_EQ(values_of(fixture.parameter("qa_outputs.weight")), head);
  load(pretrained, 4);
  EXPECT_NE(values_of(fixture.parameter("qa_outputs.weight")), head);

  // BertModel alone leaves the prefix out.
  const SafetensorsReader base = written([](const std::string& name) { return replaced(name, "bert.", ""); },
                                         {{"embeddings.position_ids", {0, 1, 2}}, {"pooler.dense.weight", {1}}});
  EXPECT_THAT(findings(base), IsEmpty());
  load(base);
  EXPECT_EQ(values_of(fixture.store().weight.flat()), truth);
}

TEST_F(BertWeights, WhatDoesNotFitIsNamed) {
  const std::string missing = "bert.encoder.layer.1.output.dense.bias";
  EXPECT_THAT(findings(written([&](const std::string& name) { return name == missing ? std::string() : name; })),
              ElementsAre("the weights lack bert.encoder.layer.1.output.dense.bias [36]"));
  EXPECT_THAT(findings(written([](const std::string& name) { return name; }, {{"bert.encoder.layer.2.output.dense.bias", {1}}})),
              ElementsAre(HasSubstr("bert.encoder.layer.2.output.dense.bias is not a parameter of this bert model")));
  EXPECT_THAT(
      findings(written([](const std::string& name) { return name; }, {{"bert.embeddings.LayerNorm.gamma", std::vector<float>(36)}})),
      ElementsAre(HasSubstr("holds both bert.embeddings.LayerNorm.gamma and bert.embeddings.LayerNorm.weight, which are one parameter")));
}

TEST_F(BertWeights, PicklesAreRefusedWithTheRemedy) {
  const TemporaryFolder pickled;
  write_file(pickled / "pytorch_model.bin", "x");
  const std::string message = message_of<DataError>([&] { const SafetensorsReader file(pickled.path()); });
  EXPECT_THAT(message, HasSubstr("pytorch_model.bin: pickled PyTorch weights are not read"));
  EXPECT_THAT(message, HasSubstr("save_pretrained('" + pickled.path().string() + "')"));
  EXPECT_EQ(message_of<DataError>([&] { const SafetensorsReader file(pickled / "pytorch_model.bin"); }), message);
}

TEST_F(BertWeights, TheExportedFolderIsHuggingFaces) {
  load(SafetensorsReader(golden()));
  const Doubles truth = values_of(fixture.store().weight.flat());
  const TemporaryFolder out, tokenizer;
  write_file(tokenizer / "vocab.txt", "[PAD]\n");
  nlohmann::json json = nlohmann::json::parse(fixture.model().json());
  json["architectures"] = {"BertForMaskedLM"};
  const auto source = [&](int p, std::int64_t first, std::span<float> values) { fixture.store().load(p, first, values); };

  export_weights(out.path(), json.dump(), fixture.model().weight_rules(), fixture.set(), source, DType::f32, tokenizer.path());

  EXPECT_EQ(read_json(out / "config.json").at("architectures"), nlohmann::json::array({"BertForQuestionAnswering"}));
  EXPECT_EQ(read_file(out / "vocab.txt"), "[PAD]\n");
  const SafetensorsReader back(out.path()), from(golden());
  for (const auto& [name, entry] : from.tensors()) {
    ASSERT_TRUE(back.tensors().count(name)) << name;
    EXPECT_EQ(read_tensor(back, name), read_tensor(from, name)) << name;
  }
  EXPECT_EQ(back.tensors().size(), from.tensors().size());
  EXPECT_EQ(read_bert_config(out.path()).layer.F, 80);
}

}  // namespace
}  // namespace strata::test
