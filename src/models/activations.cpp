// The memory of a pass: taken by the policy, copied to the host and back.
#include "strata/models/activations.hpp"

#include <algorithm>

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

void Activations::store_input(Stream& stream, std::size_t l) const {
  if (l < host.size()) copy_to_host(stream, x_at(l), host[l].x);
}

void Activations::store_saved(Stream& stream, std::size_t l) {
  if (l >= host.size()) return;
  const std::vector<View>&to = host[l].saved, from = to.empty() ? to : kept_views(l);
  for (std::size_t i = 0; i < to.size(); ++i) copy_to_host(stream, from[i], to[i]);
}

void Activations::bring_back(Stream& stream, std::size_t l) {
  if (l >= host.size()) return;
  copy_to_device(stream, host[l].x, x_at(l));
  const std::vector<View>&from = host[l].saved, to = from.empty() ? from : kept_views(l);
  for (std::size_t i = 0; i < to.size(); ++i) copy_to_device(stream, from[i], to[i]);
}

}  // namespace strata
