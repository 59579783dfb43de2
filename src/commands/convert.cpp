// strata convert: checkpoint -> Hugging Face folder, and back.
#include <cmath>
#include <cstdio>

#include "commands/model_source.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/base/version.hpp"
#include "strata/checkpoint/writer.hpp"

namespace strata {
namespace {
namespace fs = std::filesystem;

// The tokenizer whose files go along: the deck's, or the one the run was trained with where it still exists.
fs::path tokenizer_files(const Session& session, const CheckpointReader& checkpoint) {
  if (!session.settings().tokenizer.path.empty()) return session.settings().tokenizer.path;
  const Deck stored = Deck::parse({{"the checkpoint's deck", checkpoint.run().deck}});
  const fs::path path = stored.settings().tokenizer.path;
  return fs::exists(path) ? path : fs::path();
}

int to_hugging_face(const Session& session, const WeightsSource& source, const fs::path& to) {
  const Model& model = *source.model;
  check_checkpoint_model(*source.checkpoint, model.parameters());
  const DType type = dtype_from_name(session.settings().convert.dtype);
  const auto values = [&](int p, std::int64_t first, std::span<float> to_values) {
    read_checkpoint_master(*source.checkpoint, model.parameters()[p].name, first, to_values);
  };
  const fs::path tokenizer = tokenizer_files(session, *source.checkpoint);
  export_weights(to, model.json(), model.weight_rules(), model.parameters(), values, type, tokenizer);
  log_info(text("Wrote ", to.string(), " from ", source.description, ": ", model.parameters().elements(), " parameters in ", name_of(type),
                tokenizer.empty() ? ", without tokenizer files (tokenizer.path is not given)" : ""));
  return 0;
}

// A checkpoint at step 0 with zero moments, as a run that begins from these weights has them.
int to_checkpoint(Session& session, const WeightsSource& source, const fs::path& to) {
  const Model& model = *source.model;
  const DType compute = dtype_from_name(session.settings().convert.dtype);
  Arena plan;
  TrainState(plan, compute, StateLayout::whole(model.parameters()));
  Arena arena(plan.used());
  const TrainState state(arena, compute, StateLayout::whole(model.parameters()));
  ThreadPool pool(threads_of(session));
  Stream stream = Stream::cpu(pool);
  load_into(stream, source, model.parameters(), state.weights(), session.settings().run.seed);
  RunRecord run;
  run.loss = run.validation_loss = run.best_metric = std::nan("");
  run.seed = session.settings().run.seed;
  run.deck = session.deck.record();
  run.model_config = model.json();
  run.compute = session.settings().convert.dtype;
  run.version = version();
  LaunchRecord launch;
  launch.deck = session.deck.echo(), launch.threads = pool.threads(), launch.strategy = "ddp", launch.hosts = session.comm.host(),
  launch.processor = processor_text(), launch.build = build_text(), launch.written = wall_clock_text();
  write_checkpoint(session.comm, to, state.checkpoint_tensors(), run, launch, true);
  log_info(text("Wrote ", to.string(), " from ", source.description, ": ", model.parameters().elements(), " parameters"));
  return 0;
}

}  // namespace

int run_convert(Session& session) {
  const ConvertConfig& c = session.settings().convert;
  if (!fs::exists(c.from))
    throw DataError(
        text("convert.from = ", c.from, " does not exist: expected a checkpoint, a folder of checkpoints or a Hugging Face folder"));
  const WeightsSource source = find_weights(session, c.from);
  const int status = source.checkpoint ? to_hugging_face(session, source, c.to) : to_checkpoint(session, source, c.to);
  std::printf("%s\n", c.to.c_str());
  return status;
}

}  // namespace strata
