// config.json of Qwen3, Llama and Mistral: both forms, defaults, and what is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strata/models/causal_lm.hpp"
#include "support/model_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

// The keys every family must give.
Json least(const std::string& family) {
  return {{"model_type", family},     {"vocab_size", 100},        {"hidden_size", 64},       {"num_hidden_layers", 2},
          {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"intermediate_size", 96}, {"max_position_embeddings", 128}};
}
Json with(Json json, const Json& changes) {
  json.update(changes);
  return json;
}
CausalConfig parse(const Json& json) {
  return parse_model_config(json.dump(), "here/config.json");
}

std::string refusal(const std::string& text) {
  try {
    parse_model_config(text, "here/config.json");
  } catch (const DataError& e) {
    return e.what();
  }
  return "accepted";
}
std::string refusal(const Json& json) {
  return refusal(json.dump());
}

TEST(ModelConfig, OlderFormHasThetaOnTop) {
  const CausalConfig c = parse(with(least("qwen3"), {{"rope_theta", 1000000}, {"rope_scaling", nullptr}}));
  EXPECT_EQ(c.rope.theta, 1e6);
  EXPECT_FALSE(c.rope.llama3);
  EXPECT_EQ(c.rope.head_size, 128);
}

TEST(ModelConfig, NewerFormHasRopeParameters) {
  const CausalConfig c = parse(with(least("llama"), {{"rope_parameters", {{"rope_theta", 5e5}, {"rope_type", "default"}}}}));
  EXPECT_EQ(c.rope.theta, 5e5);
  EXPECT_FALSE(c.rope.llama3);
  EXPECT_EQ(c.rope.head_size, 16);
  // What rope_parameters says goes before what is left on top.
  EXPECT_EQ(parse(with(least("llama"), {{"rope_theta", 1e4}, {"rope_parameters", {{"rope_theta", 5e5}}}})).rope.theta, 5e5);
  EXPECT_EQ(parse(with(least("llama"), {{"rope_theta", 2e4}, {"rope_parameters", {{"rope_type", "default"}}}})).rope.theta, 2e4);
}

TEST(ModelConfig, ThetaIsTenThousandWhereNothingIsSaid) {
  EXPECT_EQ(parse(least("llama")).rope.theta, 10000.0);
}

TEST(ModelConfig, Llama3ScalingInBothForms) {
  const Json scaling = {{"factor", 8.0}, {"low_freq_factor", 1.5}, {"high_freq_factor", 4.5}, {"original_max_position_embeddings", 64}};
  const Json old_form = {{"rope_theta", 5e5}, {"rope_scaling", with(scaling, {{"rope_type", "llama3"}})}};
  const Json oldest_form = {{"rope_theta", 5e5}, {"rope_scaling", with(scaling, {{"type", "llama3"}})}};
  const Json new_form = {{"rope_parameters", with(scaling, {{"rope_type", "llama3"}, {"rope_theta", 5e5}})}};
  for (const Json& form : {old_form, oldest_form, new_form}) {
    SCOPED_TRACE(form.dump());
    const RopeConfig rope = parse(with(least("llama"), form)).rope;
    EXPECT_TRUE(rope.llama3);
    EXPECT_EQ(rope.theta, 5e5);
    EXPECT_EQ(rope.factor, 8.0);
    EXPECT_EQ(rope.low_freq_factor, 1.5);
    EXPECT_EQ(rope.high_freq_factor, 4.5);
    EXPECT_EQ(rope.original_positions, 64);
  }
  Json incomplete = new_form;
  incomplete["rope_parameters"].erase("factor");
  EXPECT_THAT(refusal(with(least("llama"), incomplete)), HasSubstr("here/config.json: rope_parameters.factor is missing"));
}

TEST(ModelConfig, HeadSizeByFamily) {
  EXPECT_EQ(parse(least("qwen3")).block.attention.hd, 128);
  EXPECT_EQ(parse(least("llama")).block.attention.hd, 16);
  EXPECT_EQ(parse(least("mistral")).block.attention.hd, 16);
  EXPECT_EQ(parse(with(least("llama"), {{"head_dim", nullptr}})).block.attention.hd, 16);
  EXPECT_EQ(parse(with(least("qwen3"), {{"head_dim", 32}})).block.attention.hd, 32);
  EXPECT_EQ(parse(with(least("llama"), {{"head_dim", 32}})).block.attention.hd, 32);
}

TEST(ModelConfig, HeadNormsAreQwens) {
  EXPECT_TRUE(parse(least("qwen3")).block.attention.head_norm);
  EXPECT_FALSE(parse(least("llama")).block.attention.head_norm);
  EXPECT_FALSE(parse(least("mistral")).block.attention.head_norm);
}

TEST(ModelConfig, TiedOrNotAsTheFileSays) {
  EXPECT_FALSE(parse(least("llama")).tied);
  EXPECT_FALSE(parse(least("mistral")).tied);
  for (const char* family : {"qwen3", "llama", "mistral"}) {
    EXPECT_TRUE(parse(with(least(family), {{"tie_word_embeddings", true}})).tied) << family;
    EXPECT_FALSE(parse(with(least(family), {{"tie_word_embeddings", false}})).tied) << family;
  }
}

TEST(ModelConfig, BiasesComeAndGoWithTheirFlags) {
  const CausalConfig plain = parse(least("llama"));
  EXPECT_FALSE(plain.block.attention.qkv_bias || plain.block.attention.o_bias || plain.block.mlp_bias);
  const CausalConfig biased = parse(with(least("llama"), {{"attention_bias", true}, {"mlp_bias", true}}));
  EXPECT_TRUE(biased.block.attention.qkv_bias && biased.block.attention.o_bias && biased.block.mlp_bias);
  const CausalLm with_bias(biased), without(plain);
  for (const char* name :
       {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
    EXPECT_GE(with_bias.parameters().find(text("model.layers.1.", name, ".bias")), 0) << name;
    EXPECT_EQ(without.parameters().find(text("model.layers.1.", name, ".bias")), -1) << name;
  }
}

TEST(ModelConfig, OtherDefaults) {
  Json json = least("llama");
  json.erase("num_key_value_heads");
  const CausalConfig c = parse(json);
  EXPECT_EQ(c.block.attention.nkv, 4);
  EXPECT_EQ(c.block.attention.eps, 1e-6);
  EXPECT_EQ(c.initializer_range, 0.02);
  EXPECT_EQ(c.window, 0);
  EXPECT_TRUE(c.eos.empty());
  EXPECT_EQ(c.json, json.dump());
}

TEST(ModelConfig, EndOfSequenceIsOneIdOrSeveral) {
  EXPECT_EQ(parse(with(least("llama"), {{"eos_token_id", 2}})).eos, (std::vector<std::int64_t>{2}));
  EXPECT_EQ(parse(with(least("llama"), {{"eos_token_id", {2, 7}}})).eos, (std::vector<std::int64_t>{2, 7}));
  EXPECT_TRUE(parse(with(least("llama"), {{"eos_token_id", nullptr}})).eos.empty());
  EXPECT_THAT(refusal(with(least("llama"), {{"eos_token_id", "two"}})), AllOf(HasSubstr("eos_token_id"), HasSubstr("\"two\"")));
}

// What check_sequence says; empty: accepted.
std::string sequence_refusal(const CausalConfig& config, std::int64_t S) {
  try {
    config.check_sequence(S);
  } catch (const DataError& e) {
    return e.what();
  }
  return "";
}

TEST(ModelConfig, MistralsWindowIsAcceptedUpToItsLength) {
  const CausalConfig c = parse(with(least("mistral"), {{"sliding_window", 32}}));
  EXPECT_EQ(c.window, 32);
  EXPECT_EQ(sequence_refusal(c, 32), "");
  EXPECT_THAT(sequence_refusal(c, 33), AllOf(HasSubstr("33 tokens"), HasSubstr("sliding_window = 32"), HasSubstr("data.sequence")));
  EXPECT_EQ(parse(with(least("mistral"), {{"sliding_window", nullptr}})).window, 0);
}

TEST(ModelConfig, QwensWindowCountsOnlyWhereItIsUsed) {
  EXPECT_EQ(parse(with(least("qwen3"), {{"sliding_window", 32}, {"use_sliding_window", false}})).window, 0);
  EXPECT_EQ(parse(with(least("qwen3"), {{"sliding_window", 32}})).window, 0);
  EXPECT_EQ(parse(with(least("qwen3"), {{"sliding_window", 32}, {"use_sliding_window", true}})).window, 32);
}

TEST(ModelConfig, SequencesEndAtTheLastPosition) {
  const CausalConfig c = parse(least("llama"));
  EXPECT_EQ(sequence_refusal(c, 128), "");
  EXPECT_THAT(sequence_refusal(c, 129), AllOf(HasSubstr("129 tokens"), HasSubstr("max_position_embeddings = 128")));
}

TEST(ModelConfig, RefusesByNameWhatIsNotSupported) {
  const struct {
    Json change;
    const char *key, *value;
  } cases[] = {{{{"hidden_act", "gelu"}}, "hidden_act", "gelu"},
               {{{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}}}, "rope_scaling.rope_type", "yarn"},
               {{{"rope_scaling", {{"type", "linear"}, {"factor", 4.0}}}}, "rope_scaling.type", "linear"},
               {{{"rope_parameters", {{"rope_type", "yarn"}, {"factor", 4.0}}}}, "rope_parameters.rope_type", "yarn"},
               {{{"quantization_config", {{"quant_method", "gptq"}}}}, "quantization_config", "gptq"},
               {{{"model_type", "gpt2"}}, "model_type", "gpt2"},
               {{{"attention_dropout", 0.1}}, "attention_dropout", "0.1"},
               {{{"pretraining_tp", 2}}, "pretraining_tp", "2"},
               {{{"layer_types", {"full_attention", "linear_attention"}}}, "layer_types", "linear_attention"},
               {{{"layer_types", {"full_attention", "sliding_attention"}}}, "layer_types", "sliding_attention"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.change.dump());
    EXPECT_THAT(refusal(with(least("llama"), c.change)),
                AllOf(HasSubstr(text("here/config.json: ", c.key, " = ")), HasSubstr(c.value), HasSubstr("is not supported; supported: ")));
  }
}

TEST(ModelConfig, RefusesHeadsThatDoNotDivide) {
  EXPECT_THAT(refusal(with(least("llama"), {{"num_key_value_heads", 3}})),
              HasSubstr("num_attention_heads = 4 is not a multiple of num_key_value_heads = 3"));
  EXPECT_THAT(refusal(with(least("llama"), {{"hidden_size", 66}})),
              HasSubstr("hidden_size = 66 is not a multiple of num_attention_heads = 4"));
  EXPECT_THAT(refusal(with(least("llama"), {{"head_dim", 15}})), HasSubstr("head_dim = 15 is odd"));
}

TEST(ModelConfig, RefusesMissingKeys) {
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "model_type"}) {
    Json json = least("qwen3");
    json.erase(key);
    EXPECT_THAT(refusal(json), AllOf(HasSubstr("here/config.json"), HasSubstr(text(key, " is missing: expected "))));
  }
}

TEST(ModelConfig, RefusesWrongTypesAndNonsense) {
  const struct {
    Json change;
    const char *key, *found;
  } cases[] = {{{{"hidden_size", "64"}}, "hidden_size", "\"64\""},
               {{{"hidden_size", 64.5}}, "hidden_size", "64.5"},
               {{{"num_hidden_layers", 0}}, "num_hidden_layers", "0"},
               {{{"vocab_size", -5}}, "vocab_size", "-5"},
               {{{"vocab_size", 1e30}}, "vocab_size", "1e+30"},
               {{{"vocab_size", 18446744073709551615ull}}, "vocab_size", "1844"},
               {{{"rope_theta", "big"}}, "rope_theta", "\"big\""},
               {{{"tie_word_embeddings", 1}}, "tie_word_embeddings", "1"},
               {{{"hidden_act", 3}}, "hidden_act", "3"},
               {{{"rms_norm_eps", true}}, "rms_norm_eps", "true"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.change.dump());
    EXPECT_THAT(refusal(with(least("llama"), c.change)),
                AllOf(HasSubstr(text("here/config.json: ", c.key, ": expected ")), HasSubstr(c.found)));
  }
}

TEST(ModelConfig, RefusesWhatIsNotAJsonObject) {
  EXPECT_THAT(refusal(std::string("model_type = qwen3")), HasSubstr("here/config.json: not a JSON file"));
  EXPECT_THAT(refusal(std::string()), HasSubstr("not a JSON file"));
  EXPECT_THAT(refusal(std::string("{\"model_type\": \"qwen3\"")), HasSubstr("not a JSON file"));
  EXPECT_THAT(refusal(std::string("[1, 2]")), HasSubstr("expected a JSON object"));
}

TEST(ModelConfig, ReadsAFileOrItsFolder) {
  const TemporaryFolder folder;
  write_file(folder / "config.json", least("llama").dump());
  EXPECT_EQ(read_model_config(folder.path()).V, 100);
  EXPECT_EQ(read_model_config(folder / "config.json").V, 100);
  try {
    read_model_config(folder / "absent");
    FAIL() << "a missing file was read";
  } catch (const DataError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("absent"), HasSubstr("does not exist")));
  }
}

TEST(ModelConfig, EveryModelInInputLoads) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "input" / "models")) {
    if (entry.path().extension() != ".json") continue;
    EXPECT_GT(make_model(entry.path())->parameters().elements(), 0) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 2);
}

TEST(ModelConfig, QwenHasAsManyParametersAsHuggingFaceCounts) {
  const CausalConfig c = read_model_config(source_dir() / "input" / "models" / "qwen3-0.6b.json");
  EXPECT_EQ(c.positions, 40960);
  EXPECT_EQ(c.rope.theta, 1e6);
  EXPECT_EQ(c.eos, (std::vector<std::int64_t>{151645}));
  EXPECT_EQ(CausalLm(c).parameters().elements(), 596049920);  // semantics S8
}

TEST(ModelConfig, IsNotTiedUnlessTheFileSaysSo) {
  for (const char* family : {"qwen3", "llama", "mistral"}) EXPECT_FALSE(parse(least(family)).tied) << family;
}

TEST(ModelConfig, RefusesRopeSettingsThatAreNoTable) {
  for (const Json& value : {Json("yarn"), Json(4), Json::array({1}), Json{{"full_attention", {{"rope_type", "yarn"}}}}})
    EXPECT_THAT(refusal(with(least("llama"), {{"rope_parameters", value}})), HasSubstr("rope_parameters")) << value;
}

TEST(ModelConfig, RefusesNumbersOutOfRange) {
  for (const Json& change : {Json{{"rope_theta", 0}}, Json{{"rope_theta", -1}}, Json{{"rms_norm_eps", -1}}, Json{{"initializer_range", -3}},
                             Json{{"eos_token_id", -1}}, Json{{"partial_rotary_factor", 0.5}}})
    EXPECT_THAT(refusal(with(least("llama"), change)), HasSubstr(change.begin().key())) << change;
}

}  // namespace
}  // namespace strata::test
