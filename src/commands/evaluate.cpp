// strata evaluate: loss and perplexity of a model on a token file, or answers and their scores on a feature file; exact over ranks.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands/attention_source.hpp"
#include "commands/model_source.hpp"
#include "commands/tuning_source.hpp"
#include "commands/score_predictions.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/evaluate/answer_scoring.hpp"
#include "strata/io/file.hpp"
#include "strata/train/training_file.hpp"
#include "strata/train/validation.hpp"

namespace strata {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t interval_draws = 1000;

struct Buffers {
  WeightStore store;
  Activations activations;
  Buffers(Arena& arena, const Model& model, PassShape pass, DType compute, bool mask)
      : store(WeightStore::take(arena, compute, model.parameters(), false)),
        activations(model.take_activations(arena, pass, compute, PassKind::evaluate, mask)) {}
};

// Bytes of the arena, and of the largest workspace, without allocating either.
std::pair<std::int64_t, std::int64_t> plan_evaluation(const Model& model, PassShape pass, DType compute, bool mask, DeviceKind device,
                                                      AttentionKernels attention, int threads) {
  Arena arena;
  Stream stream = Stream::plan(device);
  stream.use_attention(attention);
  Buffers buffers(arena, model, pass, compute, mask);
  Context context{stream, buffers.store.weight};
  model.forward(context, buffers.activations);
  Stream::plan_memory(arena, device, threads, stream.largest_workspace());
  return {arena.used(), stream.largest_workspace()};
}

/// One evaluation, in the order of its members.
class Evaluation {
 public:
  explicit Evaluation(Session& session)
      : session_(session),
        s_(session.settings()),
        comm_(session.comm),
        data_path_(s_.evaluate.data.empty() ? s_.data.validation : s_.evaluate.data) {}

  int run() {
    guarded(comm_, [&] { open(); });
    log_info(text("Evaluating ", source_->description, " on ", data_path_));
    compute();
    report();
    return 0;
  }

 private:
  void open() {
    if (data_path_.empty()) throw DeckError("evaluate.data is missing, and so is data.validation: expected a token or feature file");
    source_.emplace(find_weights(session_, s_.evaluate.checkpoint));
    const Model& model = *source_->model;
    require_device_fit(session_, model);
    model.check_sequence(s_.data.sequence);
    file_.emplace(data_path_);
    require_kind(*file_, data_path_, model);
    if (file_->vocabulary() > model.vocabulary())
      throw DataError(
          text(data_path_, " has token ids up to ", file_->vocabulary() - 1, ", the model's vocabulary holds ", model.vocabulary()));
    require_fit(*source_, model.parameters());
    leaves_ = file_->leaves(s_.data, s_.batch.micro);
    if (!file_->holds_features()) return;
    const FeatureFile& features = file_->features();
    scoring_.emplace(comm_, features, answer_rules(s_.evaluate, features), leaves_->samples(), s_.batch.micro, s_.run.seed, interval_draws);
  }

  void compute() {
    const Model& model = *source_->model;
    const PassShape pass{s_.batch.micro, s_.data.sequence};
    const DType type = compute_type(session_);
    const AttentionKernels attention = attention_kernels(s_, device_of(session_));
    std::int64_t workspace = 0;
    std::optional<ComputeDevice> device;
    std::optional<Arena> arena;
    guarded(comm_, [&] {
      const auto [bytes, largest] =
          plan_evaluation(model, pass, type, s_.data.mask_documents, device_of(session_), attention, threads_of(session_));
      workspace = largest;
      device.emplace(device_of(session_), threads_of(session_), comm_.local_rank(), comm_.local_size());
      use_tuning(session_, *device), use_attention(session_, model, *device, PassKind::evaluate);
      arena.emplace(device->arena(bytes, 0));
    });
    Buffers buffers(*arena, model, pass, type, s_.data.mask_documents);
    Stream stream = device->stream(*arena, workspace);
    stream.use_attention(attention);
    model.prepare(buffers.activations);
    guarded(comm_, [&] { load_into(stream, *source_, model.parameters(), buffers.store, s_.run.seed); });
    const std::int64_t samples = leaves_->samples();
    leaves_->begin(0, samples);
    const Stopwatch watch;
    result_ = validate(stream, comm_, model, buffers.store.weight, buffers.activations, *leaves_,
                       (samples + s_.batch.micro - 1) / s_.batch.micro, nullptr, scoring_ ? &*scoring_ : nullptr);
    result_.sequences = samples;
    const std::string extent = text(result_.sequences, " sequences, ", duration_text(watch.seconds()), ")");
    if (scoring_)
      log_info(text("Loss ", result_.loss, "  (", result_.answers->questions, " questions in ", extent));
    else
      log_info(text("Loss ", result_.loss, "  perplexity ", std::exp(result_.loss), "  (", result_.counted, " tokens in ", extent));
  }

  Json result_json() const {
    Json json;
    if (scoring_) {
      if (scoring_->scores()) json = Json::parse(scores_json(*scoring_->scores()));
      json["loss"] = result_.loss;
      json["questions"] = result_.answers->questions;
    } else {
      json = {{"loss", result_.loss}, {"perplexity", std::exp(result_.loss)}, {"tokens", result_.counted}};
    }
    json["sequences"] = result_.sequences, json["data"] = data_path_, json["model"] = source_->description;
    return json;
  }

  // Predictions lie beside the evaluation. Rank 0 writes; the others learn how it went.
  void report() const {
    guarded(comm_, [&] {
      if (comm_.rank() != 0) return;
      const fs::path output = s_.evaluate.output.empty() ? fs::path(s_.run.folder) / "evaluation.json" : fs::path(s_.evaluate.output);
      const fs::path folder = fs::absolute(output).parent_path();
      make_folders(folder);
      std::vector<TextFile> files;
      if (scoring_) files = answer_files(folder, scoring_->questions(), scoring_->answers(), answer_rules(s_.evaluate, file_->features()));
      const std::string json = result_json().dump(1) + "\n";
      files.push_back({output, json});
      write_texts_atomically(files);
      if (scoring_)
        log_info(text("Answers written to ", (output.parent_path() / "predictions.json").string(), " and nbest_predictions.json"));
      if (session_.line.json)
        std::fputs(json.c_str(), stdout);
      else
        print();
    });
  }

  void print() const {
    std::printf("loss %.6f\n", result_.loss);
    if (!scoring_)
      std::printf("perplexity %.4f\n", std::exp(result_.loss));
    else if (scoring_->scores())
      std::fputs(scores_text(*scoring_->scores()).c_str(), stdout);
    else
      std::printf("no scores: some question of %s has no answer to compare with\n", data_path_.c_str());
  }

  Session& session_;
  const Settings& s_;
  Communicator& comm_;
  std::string data_path_;
  std::optional<WeightsSource> source_;
  std::optional<TrainingFile> file_;
  std::unique_ptr<FileLeaves> leaves_;
  std::optional<AnswerScoring> scoring_;  // on a feature file
  ValidationResult result_;
};

}  // namespace

int run_evaluate(Session& session) {
  if (!session.settings().evaluate.score.empty()) return score_predictions(session);
  agree_device(session);
  agree_tuning(session);
  log_device(session);
  guarded(session.comm, [&] { check_device(session); });
  return Evaluation(session).run();
}

}  // namespace strata
