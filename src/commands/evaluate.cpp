// strata evaluate: loss and perplexity of a model on a token file, exact over ranks.
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdio>

#include "commands/model_source.hpp"
#include "commands/score_predictions.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/io/file.hpp"
#include "strata/train/data_leaves.hpp"
#include "strata/train/validation.hpp"

namespace strata {
namespace {

struct Buffers {
  WeightStore store;
  CausalLm::Activations activations;
  Buffers(Arena& arena, const CausalLm& model, PassShape pass, DType compute, bool mask)
      : store(WeightStore::take(arena, compute, model.parameters(), false)),
        activations(model.take_activations(arena, pass, compute, CausalLm::PassKind::evaluate, mask)) {}
};

// Bytes of the arena, and of the largest workspace, without allocating either.
std::pair<std::int64_t, std::int64_t> plan_evaluation(const CausalLm& model, PassShape pass, DType compute, bool mask, int threads) {
  Arena arena;
  Stream stream = Stream::plan();
  Buffers buffers(arena, model, pass, compute, mask);
  Context context{stream, buffers.store.weight};
  model.forward(context, buffers.activations);
  Stream::plan_memory(arena, threads, stream.largest_workspace());
  return {arena.used(), stream.largest_workspace()};
}

std::string result_json(const ValidationResult& r, const std::string& data, const std::string& model) {
  const nlohmann::ordered_json json{{"loss", r.loss},      {"perplexity", std::exp(r.loss)},
                                    {"tokens", r.counted}, {"sequences", r.sequences},
                                    {"data", data},        {"model", model}};
  return json.dump(1) + "\n";
}

}  // namespace

int run_evaluate(Session& session) {
  const Settings& s = session.settings();
  if (!s.evaluate.score.empty()) return score_predictions(session);
  check_device(session);
  std::optional<WeightsSource> source;
  std::optional<TokenFileReader> data;
  const std::string data_path = s.evaluate.data.empty() ? s.data.validation : s.evaluate.data;
  guarded(session.comm, [&] {
    if (data_path.empty()) throw DeckError("evaluate.data is missing, and so is data.validation: expected a token file");
    source.emplace(find_weights(session, s.evaluate.checkpoint));
    const CausalConfig& config = source->causal("evaluate");
    config.check_sequence(s.data.sequence);
    data.emplace(data_path);
    if (data->info().vocabulary > config.V)
      throw DataError(text(data_path, " has token ids up to ", data->info().vocabulary - 1, ", the model's vocabulary holds ", config.V));
  });
  log_info(text("Evaluating ", source->description, " on ", data_path));
  const CausalLm model(source->causal("evaluate"));
  guarded(session.comm, [&] { require_fit(*source, model.parameters()); });
  const PassShape pass{s.batch.micro, s.data.sequence};
  const int threads = threads_of(session);
  const auto [bytes, workspace] = plan_evaluation(model, pass, compute_type(session), s.data.mask_documents, threads);
  std::optional<Arena> arena;
  guarded(session.comm, [&, size = bytes] { arena.emplace(size); });
  ThreadPool pool(threads);
  Buffers buffers(*arena, model, pass, compute_type(session), s.data.mask_documents);
  Stream stream = Stream::cpu(pool, *arena, workspace);
  model.prepare(buffers.activations);
  guarded(session.comm, [&] { load_into(stream, *source, model.parameters(), buffers.store, s.run.seed); });

  DataConfig in_order = s.data;
  in_order.shuffle = false;
  DataLeaves leaves(*data, in_order, s.run.seed, s.batch.micro);
  if (leaves.samples() == 0)
    throw_error(ExitCode::data, text(data_path, " does not hold one sequence of data.sequence = ", s.data.sequence, " tokens"), true);
  leaves.begin(0, leaves.samples());
  const Stopwatch watch;
  ValidationResult result = validate(stream, session.comm, model, buffers.store.weight, buffers.activations, leaves,
                                     (leaves.samples() + s.batch.micro - 1) / s.batch.micro);
  result.sequences = leaves.samples();
  log_info(text("Loss ", result.loss, "  perplexity ", std::exp(result.loss), "  (", result.counted, " tokens in ", result.sequences,
                " sequences, ", duration_text(watch.seconds()), ")"));
  if (session.comm.rank() != 0) return 0;
  const std::string json = result_json(result, data_path, source->description);
  const std::string output =
      s.evaluate.output.empty() ? (std::filesystem::path(s.run.folder) / "evaluation.json").string() : s.evaluate.output;
  make_folders(std::filesystem::absolute(output).parent_path());
  write_text_atomically(output, json);
  if (session.line.json)
    std::fputs(json.c_str(), stdout);
  else
    std::printf("loss %.6f\nperplexity %.4f\n", result.loss, std::exp(result.loss));
  return 0;
}

}  // namespace strata
