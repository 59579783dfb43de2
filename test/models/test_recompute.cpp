// Recomputation and offload: the same bits in every mode, and memory that differs by exactly what the formulas say.
#include <gtest/gtest.h>

#include <cstring>

#include "strata/tensor/values.hpp"
#include "support/model_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

constexpr ActivationPolicy policies[] = {{Recompute::none, false}, {Recompute::selective, false}, {Recompute::full, false},
                                         {Recompute::none, true},  {Recompute::selective, true},  {Recompute::full, true}};

std::string name(ActivationPolicy policy) {
  const char* const words[] = {"none", "selective", "full"};
  return text(words[static_cast<int>(policy.recompute)], policy.offload ? " with offload" : "");
}

struct Case {
  const char* folder;
  DType compute;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.folder << "/" << name_of(c.compute);
}

class ModelRecompute : public ::testing::TestWithParam<Case> {
 protected:
  std::filesystem::path folder = data_file("models") / GetParam().folder;
};

std::string bytes_of(const View& view) {
  const OnHost here(view);
  return std::string(static_cast<const char*>(here.view().data()), static_cast<std::size_t>(view.bytes()));
}

// Two passes over two batches and a forward pass between, as a run with validation has them: losses and gradients of all.
std::string results_of(ModelFixture& fixture) {
  auto& a = fixture.activations();
  Context context = fixture.context();
  std::string results;
  for (const int turn : {0, 1}) {
    std::vector<std::int32_t> inputs, labels;
    for (std::int64_t i = 0; i < a.inputs.elements(); ++i)
      inputs.push_back(static_cast<std::int32_t>((7 * i + turn) % 31)), labels.push_back(i % 5 ? 3 : -1);
    set_values(a.inputs, inputs), set_values(a.labels, labels);
    fixture.model().forward_backward(context, a, 0.01);
    results += bytes_of(a.row_loss) + bytes_of(fixture.gradients().flat());
    fixture.model().forward(context, a);
    results += bytes_of(a.row_loss);
  }
  return results;
}

TEST_P(ModelRecompute, SameBitsInEveryMode) {
  std::string expected;
  int threads = 1;
  for (const ActivationPolicy policy : policies) {
    ModelFixture fixture(folder, GetParam().compute, {2, 9}, threads, policy);
    const std::string results = results_of(fixture);
    if (expected.empty()) expected = results;
    EXPECT_TRUE(results == expected) << name(policy);
    threads = threads % 3 + 1;
  }
  EXPECT_NE(expected.find_first_not_of('\0'), std::string::npos);
}

// Terms of doc/recompute.md, each tensor rounded up to the arena's alignment.
struct Terms {
  std::int64_t x, costly, cheap, scratch;
  Terms(const CausalConfig& config, std::int64_t R, DType type) {
    const AttentionConfig& a = config.block.attention;
    const auto of = [&](std::int64_t width) { return up(R * width * static_cast<std::int64_t>(size_of(type))); };
    const auto wide = [&](std::int64_t width) { return up(R * width * (type == DType::f64 ? 8 : 4)); };
    const std::int64_t qk = a.head_norm ? of(a.q_width() + a.kv_width()) : 0;
    x = of(config.H);
    costly = of(a.qkv_width()) + of(a.q_width()) + wide(a.nh) + (a.head_norm ? wide(a.nh) + wide(a.nkv) : 0) + of(config.H) + 2 * wide(1) +
             of(2 * config.block.F);
    cheap = 2 * of(config.H) + qk + of(config.block.F);
    scratch = qk + of(config.block.F);
  }
  static std::int64_t up(std::int64_t bytes) { return (bytes + Arena::alignment - 1) / Arena::alignment * Arena::alignment; }
};

struct Taken {
  std::int64_t device = 0, host = 0;
};
Taken taken(const CausalLm& model, PassShape pass, DType type, ActivationPolicy policy) {
  Arena arena;
  model.take_activations(arena, pass, type, CausalLm::PassKind::train, true, policy);
  Taken bytes;
  for (const ArenaEntry& group : arena.summary(1)) (group.name == "host" ? bytes.host : bytes.device) += group.bytes;
  return bytes;
}

TEST_P(ModelRecompute, MemoryDiffersByWhatTheFormulasSay) {
  const CausalLm model(read_model_config(folder));
  const PassShape pass{3, 7};
  const DType type = GetParam().compute;
  const Terms t(model.config(), pass.R(), type);
  const std::int64_t L = model.config().L, slots = std::min<std::int64_t>(2, L);
  const auto of = [&](Recompute recompute, bool offload) { return taken(model, pass, type, {recompute, offload}); };
  const std::int64_t none = of(Recompute::none, false).device, selective = of(Recompute::selective, false).device,
                     full = of(Recompute::full, false).device;

  EXPECT_EQ(none - selective, L * t.cheap - t.scratch);
  EXPECT_EQ(none - full, (L - 1) * (t.costly + t.cheap));
  if (L > 1) {
    EXPECT_LT(full, selective);
  }
  EXPECT_LT(selective, none);
  // Offload: two slots instead of all, and the rest of what is kept on the host.
  EXPECT_EQ(none - of(Recompute::none, true).device, (L - 1) * t.x + (L - slots) * (t.costly + t.cheap));
  EXPECT_EQ(selective - of(Recompute::selective, true).device, (L - 1) * t.x + (L - slots) * t.costly);
  EXPECT_EQ(full - of(Recompute::full, true).device, (L - 1) * t.x);
  EXPECT_EQ(of(Recompute::none, true).host, (L - 1) * (t.x + t.costly + t.cheap));
  EXPECT_EQ(of(Recompute::selective, true).host, (L - 1) * (t.x + t.costly));
  EXPECT_EQ(of(Recompute::full, true).host, (L - 1) * t.x);
  EXPECT_EQ(of(Recompute::none, false).host, 0);
}

// The cost record of one pass on the plan device: what is computed again, what is copied.
std::map<std::string, OpCost> costs_of(const CausalLm& model, PassShape pass, DType type, ActivationPolicy policy) {
  Arena arena;
  Stream stream = Stream::plan();
  auto activations = model.take_activations(arena, pass, type, CausalLm::PassKind::train, false, policy);
  const FlatBuffer weights = FlatBuffer::take(arena, "weights", type, model.parameters()),
                   gradients = FlatBuffer::take(arena, "gradients", type == DType::f64 ? type : DType::f32, model.parameters());
  Context context{stream, weights, &gradients};
  model.forward_backward(context, activations, 1.0);
  return stream.costs();
}

TEST_P(ModelRecompute, ThePlanRecordsWhatIsComputedAgainAndCopied) {
  const CausalLm model(read_model_config(folder));
  const std::int64_t L = model.config().L;
  const auto calls = [&](const char* op, Recompute recompute, bool offload) {
    return costs_of(model, {2, 8}, GetParam().compute, {recompute, offload})[op].calls;
  };
  EXPECT_EQ(calls("swiglu_forward", Recompute::none, false), L);
  EXPECT_EQ(calls("swiglu_forward", Recompute::selective, false), 2 * L);
  EXPECT_EQ(calls("swiglu_forward", Recompute::full, false), 2 * L - 1) << "the last block's is still there";
  EXPECT_EQ(calls("attention_forward", Recompute::selective, false), L);
  EXPECT_EQ(calls("attention_forward", Recompute::full, false), 2 * L - 1);
  EXPECT_EQ(calls("linear_forward", Recompute::full, false), 4 * L + 3 * (L - 1))
      << "q k v, o, gate and up again; down gives nothing that is read";
  EXPECT_EQ(calls("copy_to_host", Recompute::none, false), 0);
  EXPECT_EQ(calls("copy_to_host", Recompute::full, true), L - 1);
  const auto costs = costs_of(model, {2, 8}, GetParam().compute, {Recompute::none, true});
  if (L > 1) {
    EXPECT_EQ(costs.at("copy_to_host").bytes, costs.at("copy_to_device").bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ModelRecompute,
                         ::testing::Values(Case{"qwen3-tied", DType::f64}, Case{"qwen3-tied", DType::f32}, Case{"qwen3-tied", DType::bf16},
                                           Case{"qwen3-untied-bias", DType::f64}, Case{"qwen3-untied-bias", DType::f32},
                                           Case{"qwen3-untied-bias", DType::bf16}, Case{"qwen3-long", DType::f32},
                                           Case{"llama3-scaled", DType::f64}, Case{"llama3-scaled", DType::f32},
                                           Case{"llama3-scaled", DType::bf16}, Case{"stories260K", DType::f32},
                                           Case{"stories260K", DType::bf16}));

}  // namespace
}  // namespace strata::test
