#include "commands/measure_gpu.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>
#include <optional>

#include "commands/attention_source.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/base/phase.hpp"
#include "strata/deck/tuning_file.hpp"
#include "strata/device/op_times.hpp"
#include "strata/ops/cudnn_attention.hpp"
#include "strata/ops/elementwise.hpp"
#include "strata/tensor/values.hpp"

namespace strata {
namespace {

/// Calls `work` and waits for the GPU, until `seconds` are over, three times at least; the best time.
double best_time(Gpu& gpu, double seconds, const std::function<void()>& work) {
  work();
  gpu.wait();
  double best = 0;
  const Stopwatch all;
  for (int i = 0; i < 3 || all.seconds() < seconds; ++i) {
    const Stopwatch one;
    work();
    gpu.wait();
    best = i == 0 ? one.seconds() : std::min(best, one.seconds());
  }
  return std::max(best, 1e-9);
}

/// Leaves with data of the right form: token ids, every label counted, one document, sequences at their full length.
class MadeUpLeaves final : public LeafSource {
 public:
  explicit MadeUpLeaves(std::int64_t vocabulary) : vocabulary_(vocabulary) {}
  std::int64_t counted(std::int64_t) override { return 1; }
  void fill(std::int64_t leaf, Activations& a) override {
    set_numbers(a.inputs, vocabulary_), set_numbers(a.labels, 2);
    if (a.document_mask) set_numbers(a.first_key, 1);
    if (!a.encoder.types.given()) return;
    set_numbers(a.encoder.types, 1);
    set_values(a.encoder.lengths, std::vector<std::int32_t>(static_cast<std::size_t>(a.pass.B), static_cast<std::int32_t>(a.pass.S)));
    if (!a.encoder.samples.given()) return;
    std::vector<std::int32_t> samples(static_cast<std::size_t>(a.pass.B));
    std::iota(samples.begin(), samples.end(), static_cast<std::int32_t>(leaf * a.pass.B));
    set_values(a.encoder.samples, samples);
  }

 private:
  static void set_numbers(const View& to, std::int64_t below) {
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(to.elements()));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(below));
    set_values(to, numbers);
  }
  std::int64_t vocabulary_;
};

}  // namespace

MemoryRate gpu_memory_rate(Stream& stream, double seconds) {
  Gpu& gpu = *stream.gpu();
  const std::int64_t elements = gpu.facts().emulated ? 1 << 14 : std::int64_t{1} << 28, bytes = 4 * elements;
  Arena arena(gpu, 2 * bytes + (elements / 4096 + 1) * 8 + 3 * Arena::alignment);
  const View a(arena.take("a", bytes), DType::f32, Shape{elements}), b(arena.take("b", bytes), DType::f32, Shape{elements});
  const View sums(arena.take("sums", elements / 4096 * 8), DType::f64, Shape{elements / 4096});
  const auto amount = static_cast<double>(bytes);
  MemoryRate rate;
  rate.read = amount / best_time(gpu, seconds / 3, [&] { sum_of_squares(stream, a, sums); });
  rate.copy = 2 * amount / best_time(gpu, seconds / 3, [&] { begin_copy_memory(b.data(), a.data(), bytes); });
  rate.triad = 3 * amount / best_time(gpu, seconds / 3, [&] { add_into(stream, b, a); });
  return rate;
}

CopyRates gpu_copy_rates(Gpu& gpu, double seconds) {
  const std::int64_t bytes = gpu.facts().emulated ? 1 << 16 : std::int64_t{256} << 20;
  const std::shared_ptr<void> device(gpu.allocate(bytes), [&](void*memory) { gpu.release(memory); }),
      host(gpu.allocate_host(bytes), [&](void*memory) { gpu.release_host(memory); });
  const auto amount = static_cast<double>(bytes);
  return {amount / best_time(gpu, seconds / 2, [&] { gpu.copy(device.get(), host.get(), bytes); }),
          amount / best_time(gpu, seconds / 2, [&] { gpu.copy(host.get(), device.get(), bytes); })};
}

namespace {

// Bits and time of what drops are those of our own kernels.
bool both_compute(const MeasuredOp& op) {
  return op.op.find("attention_") != std::string::npos && op.op.find("dropout") == std::string::npos &&
         cudnn_takes_attention(op.sizes.type, op.sizes.sizes[1], op.sizes.sizes[2]);
}

}  // namespace

std::vector<AttentionTimes> attention_times(Stream& stream, const std::vector<MeasuredOp>& ops, double seconds) {
  std::vector<MeasuredOp> both;
  for (const MeasuredOp& op : ops)
    if (both_compute(op)) both.push_back(op);
  if (both.empty()) return {};
  if (const std::string why = cudnn_attention_refusal(); !why.empty()) {
    log_info("Attention by our own kernels alone: " + why);
    return {};
  }
  const AttentionKernels before = stream.attention();
  OpRates rates(stream, OpRates::memory_for(both));
  std::vector<AttentionTimes> times;
  for (const MeasuredOp& op : both) {
    double of[2] = {};
    for (const AttentionKernels kernels : {AttentionKernels::own, AttentionKernels::cudnn}) {
      stream.use_attention(kernels);
      try {
        of[static_cast<int>(kernels)] = rates.rate(op, seconds / (2 * static_cast<double>(both.size())));
      } catch (const Error& e) {  // no plan, or no memory for its workspace
        log_info(text(op_name(op.op, op.sizes), " is not compared: ", e.what()));
      }
    }
    const double amount = OpRates::amount(op);
    if (of[0] > 0 && of[1] > 0) times.push_back({op_name(op.op, op.sizes), amount / of[0], amount / of[1]});
  }
  stream.use_attention(before);
  return times;
}

bool names_a_run(const Settings& s) {
  return !s.model.config.empty() && (s.batch.global > 0 || !s.batch.accumulation.empty());
}

Tuning tune_run(Session& session, ComputeDevice& device, Communicator& ranks, double seconds) {
  const Settings& s = session.settings();
  std::unique_ptr<const Model> model;
  std::optional<TrainPlan> plan;
  std::optional<Arena> arena;
  guarded(session.comm, [&] {
    model = make_model(s.model.config);
    require_device_fit(session, *model);
    use_attention(session, *model, device, PassKind::train);
    const auto planned = make_plan_communicator(ranks.size(), ranks.local_size());
    plan.emplace(plan_training(*planned, *model, train_shape(s, ranks.size()), threads_of(session)));
    arena.emplace(device.arena(plan->bytes, plan->host_bytes));
  });
  {
    const Mesh mesh(ranks, strategy_of(s.parallel.strategy), static_cast<int>(s.parallel.group), static_cast<int>(s.parallel.node));
    TrainSetup setup(*arena, mesh, *model, train_shape(s, ranks.size()));
    Stream stream = device.stream(*arena, plan->workspace_bytes);
    stream.use_attention(attention_kernels(s, device.gpu() ? DeviceKind::cuda : DeviceKind::cpu));
    model->prepare(setup.activations());
    device.gpu()->note_products();
    StepParts parts = setup.parts(stream);
    MadeUpLeaves leaves(model->vocabulary());
    setup.step().run(parts, leaves, plan->leaves, 0.0, 1);
    stream.wait();
    Phase::set_step(0);
  }
  arena.reset();
  std::string found;
  guarded(session.comm, [&] {
    if (ranks.rank() == 0) found = tuning_text(device.gpu()->tune_products(static_cast<int>(s.measure.candidates), seconds));
  });
  return parse_tuning("the tuning of rank 0", broadcast_text(session.comm, found));
}

std::string tuning_summary(const Tuning& tuning) {
  double first = 0, best = 0;
  int faster = 0;
  for (const auto& [name, product] : tuning.products) {
    first += product.first_us, best += std::min(product.us, product.first_us);
    faster += product.us < 0.99 * product.first_us ? 1 : 0;
  }
  char percent[40];
  std::snprintf(percent, sizeof percent, "%.1f %%", first > 0 ? 100 * (1 - best / first) : 0.0);
  return text(tuning.products.size(), " products, ", faster, " of them faster than cuBLASLt's first choice, ", percent,
              " less time for one of each");
}

}  // namespace strata
