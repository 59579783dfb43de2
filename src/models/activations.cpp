// The memory of a pass: taken by the policy, copied to the host and back.
#include "strata/models/activations.hpp"

#include <algorithm>
#include <array>

#include "strata/models/causal_lm.hpp"
#include "strata/ops/transfer.hpp"

namespace strata {
namespace {

// What both kinds of pass read and write besides the blocks' own.
void take_batch(Arena& arena, Activations& a, const CausalConfig& config, DType wide) {
  const std::int64_t R = a.pass.R();
  a.inputs = take(arena, "batch.inputs", DType::i32, Shape{R});
  a.labels = take(arena, "batch.labels", DType::i32, Shape{R});
  if (a.document_mask) a.first_key = take(arena, "batch.first_key", DType::i32, Shape{R});
  a.positions = take(arena, "batch.positions", DType::i32, Shape{R});
  a.row_loss = take(arena, "batch.row_loss", DType::f64, Shape{R});
  a.cos = take(arena, "tables.rope", wide, Shape{a.pass.S, config.rope.head_size / 2});
  a.sin = take(arena, "tables.rope", wide, Shape{a.pass.S, config.rope.head_size / 2});
}

// Places that take turns are slots; otherwise each block has its own.
void take_blocks(Arena& arena, Activations& a, const CausalConfig& config, DType type, bool train, Keep keep) {
  const auto L = static_cast<std::size_t>(config.L);
  const bool slots = train && a.policy.offload, one = !train || a.policy.recompute == Recompute::full;
  const auto scope = [&](std::size_t i) { return text(slots ? "activations.slot." : "activations.layer.", i); };
  const std::size_t streams = slots || !train ? 2 : L + 1, places = one ? 1 : slots ? std::min<std::size_t>(2, L) : L;
  for (std::size_t i = 0; i < streams; ++i) a.x.push_back(take(arena, scope(i) + ".x", type, Shape{a.pass.R(), config.H}));
  for (std::size_t i = 0; i < places; ++i)
    a.saved.push_back(Block::take_saved(arena, train && one ? "activations.recomputed" : scope(i), config.block, a.pass, type, keep));
}

void take_host(Arena& arena, Activations& a, const CausalConfig& config, DType type) {
  for (std::int64_t l = 0; l + 1 < config.L; ++l) {
    const std::string scope = text("host.activations.layer.", l);
    Activations::Stored stored{take(arena, scope + ".x", type, Shape{a.pass.R(), config.H}), {}};
    if (a.policy.recompute != Recompute::full)
      stored.saved = Block::take_saved(arena, scope, config.block, a.pass, type, a.policy.keep()).views();
    a.host.push_back(stored);
  }
}

}  // namespace

ActivationPolicy activation_policy(const ParallelConfig& config) {
  ActivationPolicy policy;
  policy.recompute = config.recompute == "full"        ? Recompute::full
                     : config.recompute == "selective" ? Recompute::selective
                                                       : Recompute::none;
  policy.offload = std::find(config.offload.begin(), config.offload.end(), "activations") != config.offload.end();
  return policy;
}

Activations CausalLm::take_activations(Arena& arena, PassShape pass, DType type, PassKind kind, bool document_mask,
                                       ActivationPolicy policy) const {
  const bool train = kind == PassKind::train;
  const DType wide = type == DType::f64 ? DType::f64 : DType::f32;
  const Keep keep = train ? policy.keep() : Keep::costly;
  Activations a;
  a.pass = pass;
  a.document_mask = document_mask;
  a.policy = policy;
  take_batch(arena, a, config_, wide);
  take_blocks(arena, a, config_, type, train, keep);
  a.rstd = take(arena, "activations.rstd", wide, Shape{pass.R()});
  a.scratch = Block::take_scratch(arena, config_.block, pass, type, keep, train);
  if (train) a.dx = take(arena, "activations.dx", type, Shape{pass.R(), config_.H});
  if (train && policy.offload) take_host(arena, a, config_, type);
  return a;
}

void Activations::store_input(Stream& stream, std::size_t l) {
  if (host.empty()) return;
  copies.resize(host.size());
  if (l < host.size()) copies[l].input = begin_copy_to_host(stream, std::array{HostCopy{x_at(l), host[l].x}});
  // Its output comes where the input of block l - 1 was, and what it keeps where that of block l - 2 was, which left before.
  if (l > 0) follow(stream, copies[l - 1].input);
}

void Activations::store_saved(Stream& stream, std::size_t l) {
  if (l >= host.size() || host[l].saved.empty()) return;
  copies[l].saved = begin_copy_to_host(stream, kept_copies(l));
}

void Activations::bring_back(Stream& stream, std::size_t l) {
  if (l > 0 && l <= host.size()) {
    Copies& before = copies[l - 1];
    std::vector<HostCopy> all = kept_copies(l - 1);
    all.push_back({x_at(l - 1), host[l - 1].x});
    // Its input has left: the stream has waited for that before it computed block l.
    before.back = begin_copy_to_device(stream, all, {mark_of(stream), before.saved});
  }
  if (l < host.size()) follow(stream, copies[l].back);
}

std::vector<HostCopy> Activations::kept_copies(std::size_t l) {
  const std::vector<View>&there = host[l].saved, here = there.empty() ? there : kept_views(l);
  std::vector<HostCopy> all;
  for (std::size_t i = 0; i < there.size(); ++i) all.push_back({here[i], there[i]});
  return all;
}

}  // namespace strata
