// Benchmark, not a test: forward and backward of a BERT micro-batch with and without dropout in turns, and where the time goes.
// Usage: bench_bert CONFIG.JSON [sequence] [micro] [rounds] [f32|bf16] [threads]. Sequences are full; no optimizer.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "strata/models/bert_qa.hpp"
#include "strata/models/weights.hpp"

namespace {

using namespace strata;

double run(double p, const BertConfig& base, PassShape pass, DType type, int threads, bool profile) {
  BertConfig config = base;
  config.layer.hidden_dropout = config.layer.attention_dropout = p;
  const BertForQuestionAnswering model(config);
  ThreadPool pool(threads);
  Stream stream = Stream::cpu(pool);
  WeightStore store;
  FlatBuffer gradients;
  Activations a;
  const auto take_all = [&](Arena& arena) {
    store = WeightStore::take(arena, type, model.parameters(), false);
    gradients = FlatBuffer::take(arena, "gradients", DType::f32, model.parameters());
    a = model.take_activations(arena, pass, type, PassKind::train, false);
  };
  Arena plan;
  take_all(plan);
  Arena arena(plan.used());
  take_all(arena);
  model.prepare(a);
  random_weights(stream, model.parameters(), config.initializer_range, 1, store);
  for (std::int64_t i = 0; i < pass.R(); ++i) {
    a.inputs.as<std::int32_t>()[i] = static_cast<std::int32_t>(i * 7919 % config.tables.V);
    a.encoder.types.as<std::int32_t>()[i] = i % pass.S > 20;
  }
  for (std::int64_t b = 0; b < pass.B; ++b) {
    a.encoder.lengths.as<std::int32_t>()[b] = static_cast<std::int32_t>(pass.S);
    if (a.encoder.samples.given()) a.encoder.samples.as<std::int32_t>()[b] = static_cast<std::int32_t>(b);
    a.labels.as<std::int32_t>()[2 * b] = a.labels.as<std::int32_t>()[2 * b + 1] = static_cast<std::int32_t>(30 + b);
  }
  Context context{stream, store.weight, &gradients};
  model.forward_backward(context, a, 1e-3);  // touches the memory
  if (profile) stream.start_profile();
  const auto start = std::chrono::steady_clock::now();
  model.forward_backward(context, a, 1e-3);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (profile) {
    std::vector<std::pair<std::string, OpCost>> rows(stream.profile().begin(), stream.profile().end());
    std::sort(rows.begin(), rows.end(), [](const auto& x, const auto& y) { return x.second.seconds > y.second.seconds; });
    std::printf("dropout %.1f\n", p);
    for (const auto& [name, cost] : rows)
      std::printf("  %-36s %5lld calls %8.1f ms %8.1f GFLOP/s %7.1f GB/s\n", name.c_str(), static_cast<long long>(cost.calls),
                  1e3 * cost.seconds, cost.flops / cost.seconds * 1e-9, cost.bytes / cost.seconds * 1e-9);
  }
  return seconds;
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
  if (argc < 2) return std::puts("bench_bert CONFIG.JSON [sequence] [micro] [rounds] [f32|bf16] [threads]"), 2;
  const BertConfig config = read_bert_config(argv[1]);
  const PassShape pass{number(3, 4), number(2, 384)};
  const DType type = argc > 5 && !std::strcmp(argv[5], "f32") ? DType::f32 : DType::bf16;
  for (int round = 0; round < number(4, 3); ++round)
    for (const double p : {0.0, 0.1}) {
      const double seconds = run(p, config, pass, type, number(6, 2), round == 0);
      std::printf("dropout %.1f: %.1f ms, %.3f sequences/s\n", p, 1e3 * seconds, static_cast<double>(pass.B) / seconds);
    }
  return 0;
}
