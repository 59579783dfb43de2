// Benchmark, not a test: one micro-batch, forward and backward, in every mode of recomputation and offload, in one process on the same
// weights. Usage: bench_recompute CONFIG.JSON [sequence] [micro] [rounds] [f32|bf16] [threads]. The modes take turns; ratios are those of one
// round, against `none` in that round. Losses of all modes must be the same bits.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "strata/models/causal_lm.hpp"
#include "strata/models/weights.hpp"

namespace {

using namespace strata;

struct Mode {
  const char* name;
  ActivationPolicy policy;
  std::unique_ptr<Arena> arena = nullptr;
  Activations activations = {};
  std::vector<double> seconds = {}, ratios = {};
};

// Plans, then takes; tokens are a fixed pattern.
void set_up(Mode& mode, const CausalLm& model, PassShape pass, DType type) {
  Arena plan;
  model.take_activations(plan, pass, type, CausalLm::PassKind::train, false, mode.policy);
  mode.arena = std::make_unique<Arena>(plan.used());
  mode.activations = model.take_activations(*mode.arena, pass, type, CausalLm::PassKind::train, false, mode.policy);
  model.prepare(mode.activations);
  for (std::int64_t i = 0; i < pass.R(); ++i) {
    mode.activations.inputs.as<std::int32_t>()[i] = static_cast<std::int32_t>(i * 7919 % model.config().V);
    mode.activations.labels.as<std::int32_t>()[i] = static_cast<std::int32_t>((i + 1) * 7919 % model.config().V);
  }
}

double run(Mode& mode, const CausalLm& model, Context& context) {
  const auto start = std::chrono::steady_clock::now();
  model.forward_backward(context, mode.activations, 1e-3);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
  if (argc < 2) return std::puts("bench_recompute CONFIG.JSON [sequence] [micro] [rounds] [f32|bf16] [threads]"), 2;
  const CausalLm model(read_model_config(argv[1]));
  const PassShape pass{number(3, 1), number(2, 512)};
  const int rounds = number(4, 3);
  const DType type = argc > 5 && !std::strcmp(argv[5], "f32") ? DType::f32 : DType::bf16;
  ThreadPool pool(number(6, 2));
  Stream stream = Stream::cpu(pool);
  Arena counting;
  WeightStore::take(counting, type, model.parameters(), false);
  FlatBuffer::take(counting, "gradients", DType::f32, model.parameters());
  Arena arena(counting.used());
  const WeightStore store = WeightStore::take(arena, type, model.parameters(), false);
  const FlatBuffer gradients = FlatBuffer::take(arena, "gradients", DType::f32, model.parameters());
  random_weights(stream, model.parameters(), model.config().initializer_range, 1, store);
  Context context{stream, store.weight, &gradients};

  std::vector<Mode> modes;
  modes.push_back({"none", {Recompute::none, false}}), modes.push_back({"selective", {Recompute::selective, false}});
  modes.push_back({"full", {Recompute::full, false}}), modes.push_back({"none, offload", {Recompute::none, true}});
  modes.push_back({"selective, offload", {Recompute::selective, true}}), modes.push_back({"full, offload", {Recompute::full, true}});
  for (Mode& mode : modes) set_up(mode, model, pass, type), run(mode, model, context);  // the first pass touches the memory
  for (int round = 0; round < rounds; ++round)
    for (Mode& mode : modes) {
      mode.seconds.push_back(run(mode, model, context));
      mode.ratios.push_back(mode.seconds.back() / modes[0].seconds.back());
    }
  for (const Mode& mode : modes) {
    const View &loss = mode.activations.row_loss, &first = modes[0].activations.row_loss;
    const auto [least, most] = std::minmax_element(mode.ratios.begin(), mode.ratios.end());
    std::printf("%-20s %9.1f MB  best %8.1f ms  median %8.1f ms  x none: %.3f (%.3f - %.3f)  %s\n", mode.name,
                static_cast<double>(mode.arena->used()) / 1e6, 1e3 * *std::min_element(mode.seconds.begin(), mode.seconds.end()),
                1e3 * median(mode.seconds), median(mode.ratios), *least, *most,
                std::memcmp(loss.data(), first.data(), static_cast<std::size_t>(loss.bytes())) == 0 ? "same losses" : "LOSSES DIFFER");
  }
  return 0;
}
