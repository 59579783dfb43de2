// strata train: sets the run up, says what it will do, and trains.
#include <cmath>
#include <cstdio>

#include "commands/model_source.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/base/version.hpp"
#include "strata/checkpoint/async_writer.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/checkpoint/writer.hpp"
#include "strata/data/loader.hpp"
#include "strata/io/file.hpp"
#include "strata/train/loop.hpp"
#include "strata/train/metrics.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

/// The run as it is put together, in the order of its members.
class TrainCommand {
 public:
  explicit TrainCommand(Session& session)
      : session_(session), s_(session.settings()), comm_(session.comm), threads_(threads_of(session)), compute_(compute_type(session)) {}

  int run() {
    make_folder();
    open_inputs();
    log_start();
    find_checkpoint();
    check_resumed_deck();
    find_weights_source();
    plan_and_allocate();
    fill_state();
    log_data();
    LoopParts parts = loop_parts();
    const LoopResult result = run_training(parts);
    finish(result);
    return static_cast<int>(result.interrupted ? ExitCode::requeue : ExitCode::done);
  }

 private:
  void make_folder() {
    guarded(comm_, [&] {
      if (comm_.rank() != 0) return;
      make_folders(s_.run.folder);
      Log::open_file((fs::path(s_.run.folder) / "log.txt").string());
    });
  }

  void open_inputs() {
    guarded(comm_, [&] {
      check_device(session_);
      config_ = s_.model.config.empty() ? named_weights(s_.model.weights, "").config : read_model_config(s_.model.config);
      config_.check_sequence(s_.data.sequence);
      train_data_.emplace(s_.data.train);
      if (!s_.data.validation.empty()) validation_data_.emplace(s_.data.validation);
      if (has_tokenizer(session_)) tokenizer_ = tokenizer_of(session_);
      check_data(*train_data_, "data.train");
      if (validation_data_) check_data(*validation_data_, "data.validation");
    });
    model_.emplace(config_);
    plan_steps_.emplace(s_.batch, s_.train, TokenSamples(*train_data_, s_.data.sequence, s_.data.mask_documents).samples(), comm_.size());
  }

  void check_data(const TokenFileReader& file, const char* key) const {
    const TokenFileInfo& info = file.info();
    if (info.vocabulary > config_.V)
      throw DataError(text(key, " = ", file.path().string(), " has token ids up to ", info.vocabulary - 1,
                           ", the model's vocabulary holds ", config_.V));
    if (tokenizer_ && !info.tokenizer_hash.empty() && info.tokenizer_hash != tokenizer_->hash())
      throw DataError(text(key, " = ", file.path().string(), " was made with another tokenizer (", info.tokenizer_name, ", ",
                           info.tokenizer_hash, ") than tokenizer.path = ", s_.tokenizer.path, " (", tokenizer_->hash(), ")"));
    TokenSamples(file, s_.data.sequence, s_.data.mask_documents);  // throws if there is not one sample
  }

  void log_start() {
    log_info(build_text());
    log_info(text(comm_.size(), comm_.size() == 1 ? " rank on " : " ranks on ", comm_.host(), ", ", threads_, " threads per rank, ",
                  processor_text()));
    log_info("Effective deck\n" + session_.deck.echo());
    if (comm_.rank() == 0) write_text_atomically(fs::path(s_.run.folder) / "effective.deck", session_.deck.echo());
    log_info(text("Model: ", config_.family, ", ", model_->parameters().elements(), " parameters in ",
                  model_->parameters().parameters().size(), " tensors, ", name_of(compute_), " on cpu"));
  }

  // Rank 0 looks, so that all resume from the same one.
  void find_checkpoint() {
    const Stopwatch watch;
    std::string path;
    std::vector<std::string> notes;
    guarded(comm_, [&] {
      if (comm_.rank() != 0 || s_.run.resume == "never") return;
      const fs::path where = s_.run.resume == "auto" ? fs::path(s_.run.folder) / "checkpoints" : fs::path(s_.run.resume);
      if (s_.run.resume != "auto" && !fs::exists(where)) throw DataError(text("run.resume = ", s_.run.resume, " does not exist"));
      if (fs::exists(where)) path = find_resumable(where, notes).value_or(fs::path()).string();
      if (s_.run.resume != "auto" && path.empty()) throw DataError(text("run.resume = ", s_.run.resume, ": there is no sound checkpoint"));
    });
    for (const std::string& note : notes) log_warning(note);
    path = broadcast_text(comm_, path);
    set_aside_later_checkpoints(path);
    if (path.empty()) return;
    guarded(comm_, [&] { checkpoint_.emplace(path); });
    log_info(text("Resuming from ", path, ", step ", checkpoint_->run().step, ", written by ", checkpoint_->launch().ranks,
                  checkpoint_->launch().ranks == 1 ? " rank" : " ranks", ", found sound in ", watch.seconds(), " s"));
  }

  // Checkpoints of a run that is begun anew, or gone back in, would count as newer than the new ones.
  void set_aside_later_checkpoints(const std::string& resumed) {
    guarded(comm_, [&] {
      const fs::path folder = fs::path(s_.run.folder) / "checkpoints";
      if (comm_.rank() != 0 || s_.run.resume == "auto" || !fs::is_directory(folder)) return;
      const std::int64_t step = resumed.empty() ? -1 : CheckpointReader(resumed).run().step;
      for (const CheckpointEntry& entry : list_checkpoints(folder)) {
        if (entry.step <= step) continue;
        const fs::path aside = entry.path.string() + ".superseded";
        replace_file(entry.path, aside);
        log_warning(text(entry.path.string(), " is later than where this run begins (run.resume = ", s_.run.resume, "): renamed to ",
                         aside.filename().string()));
      }
    });
  }

  // Keys that decide the result may not change under a run; others may, and every change is said.
  void check_resumed_deck() {
    if (!checkpoint_) return;
    guarded(comm_, [&] {
      const Deck stored = Deck::parse({{checkpoint_->path().string() + ":/run/deck", checkpoint_->run().deck}}, {});
      std::string refused;
      for (const Difference& d : differences(stored, session_.deck)) {
        if (d.decides_result)
          refused += text("\n  ", d.key, " was ", d.stored, ", is ", d.now, " (", session_.deck.where(d.key), ")");
        else
          log_info(
              text("Changed since the checkpoint: ", d.key, " was ", d.stored, ", is ", d.now, d.note.empty() ? "" : " (" + d.note + ")"));
      }
      if (!refused.empty())
        throw DeckError(text("this deck would not continue the run of ", checkpoint_->path().string(), ":", refused,
                             "\nset these keys back, name another run.folder, or start anew with run.resume = never"));
      if (s_.batch.global == 0 && checkpoint_->launch().ranks != comm_.size())
        throw DeckError(text("batch.global is not given, so the batch follows the number of ranks: ", checkpoint_->launch().ranks,
                             " in the run of ", checkpoint_->path().string(), ", ", comm_.size(), " now; continue on ",
                             checkpoint_->launch().ranks, ", or give batch.global from the start"));
      if (checkpoint_->run().model_config != config_.json)
        throw DataError(text("model.config = ", s_.model.config, " is not the configuration the run of ", checkpoint_->path().string(),
                             " was trained with; start anew with run.resume = never"));
      if (checkpoint_->run().dataset_hash != train_data_->hash())
        throw DataError(text("data.train = ", s_.data.train, " is not the file the run of ", checkpoint_->path().string(),
                             " was trained on; start anew with run.resume = never"));
    });
  }

  // Everything about the weights but their values is checked before memory is taken.
  void find_weights_source() {
    if (checkpoint_ || s_.model.weights == "random") return;
    guarded(comm_, [&] {
      source_.emplace(named_weights(s_.model.weights, s_.model.config));
      require_fit(*source_, model_->parameters());
    });
  }

  TrainShape shape() const {
    TrainShape shape;
    shape.pass = {s_.batch.micro, s_.data.sequence};
    shape.compute = compute_;
    shape.document_mask = s_.data.mask_documents;
    shape.most_leaves = plan_steps_->most_leaves();
    shape.block = s_.batch.block;
    shape.fast_reduction = s_.parallel.reduction == "fast";
    shape.step = {s_.optimizer, s_.train.clip, s_.train.loss == "microbatch_mean"};
    return shape;
  }

  void plan_and_allocate() {
    const TrainPlan plan = plan_training(comm_, *model_, shape(), threads_);
    const std::string table = memory_table(plan);
    log_info(table);
    if (comm_.rank() == 0) write_text_atomically(fs::path(s_.run.folder) / "plan.txt", table + "\n\n" + work_table(plan));
    pool_.emplace(threads_);
    check_memory(plan);
    guarded(comm_, [&] { arena_.emplace(plan.bytes); });
    setup_.emplace(*arena_, comm_, *model_, shape());
    stream_.emplace(Stream::cpu(*pool_, *arena_, plan.workspace_bytes));
    STRATA_ASSERT(arena_->used() == plan.bytes, "planned ", plan.bytes, " bytes, took ", arena_->used());
    model_->prepare(setup_->activations());
  }

  // Said now rather than by the kernel's out-of-memory killer hours later. Every rank of the host counts its own.
  void check_memory(const TrainPlan& plan) {
    std::int64_t snapshot = 0;
    if (s_.checkpoint.asynchronous) {
      Arena counting;
      snapshot = AsyncCheckpointWriter::snapshot_bytes(
          TrainState(counting, model_->parameters(), compute_).checkpoint_tensors(comm_.rank(), comm_.size()));
      log_info(text("Beside the arena: a snapshot of ", bytes_text(static_cast<double>(snapshot)),
                    " per rank while checkpoints are written in the background"));
    }
    guarded(comm_, [&] {
      const std::int64_t needed = (plan.bytes + snapshot) * comm_.local_size(), available = available_memory_bytes();
      if (needed <= available) return;
      throw CapacityError(text("this run needs ", bytes_text(static_cast<double>(needed)), " on ", comm_.host(), " (", comm_.local_size(),
                               " ranks of ", bytes_text(static_cast<double>(plan.bytes + snapshot)), "), ",
                               bytes_text(static_cast<double>(available)),
                               " are free; fewer ranks per host, a smaller batch.micro or data.sequence, a larger batch.block, or "
                               "checkpoint.asynchronous = false need less"));
    });
  }

  std::string work_table(const TrainPlan& plan) const {
    std::string table = "Work of one micro-batch, forward and backward\n";
    char line[160];
    for (const auto& [name, cost] : plan.leaf) {
      std::snprintf(line, sizeof line, "  %-32s %8lld calls %12.4g GFLOP %12.4g GB\n", name.c_str(), static_cast<long long>(cost.calls),
                    cost.flops * 1e-9, cost.bytes * 1e-9);
      table += line;
    }
    return table;
  }

  void fill_state() {
    const Stopwatch watch;
    const WeightStore& store = setup_->state().weights();
    guarded(comm_, [&] {
      if (checkpoint_) return setup_->state().restore(*checkpoint_);
      if (s_.model.weights == "random")
        return random_weights(*stream_, model_->parameters(), config_.initializer_range, s_.run.seed, store);
      load_into(*stream_, *source_, model_->parameters(), store);
    });
    const std::string from = checkpoint_                    ? checkpoint_->path().string()
                             : s_.model.weights == "random" ? text("random numbers of seed ", s_.run.seed)
                                                            : s_.model.weights;
    const std::string size = checkpoint_ ? ": " + bytes_text(static_cast<double>(fs::file_size(checkpoint_->path()))) : "";
    log_info(text("Weights from ", from, size, " in ", watch.seconds(), " s"));
  }

  void log_data() {
    const TokenSamples samples(*train_data_, s_.data.sequence, s_.data.mask_documents);
    log_info(text("Training data ", s_.data.train, "\n", facts_text(dataset_facts(samples, plan_steps_->sequences_at(0)))));
    if (tokenizer_)
      log_info("First sample: " +
               decoded_sample(samples, DataOrder(samples.samples(), s_.run.seed, s_.data.shuffle).sample_at(0), *tokenizer_, 64));
    else
      log_info("First sample: not shown, neither tokenizer.path nor model.config's folder names a tokenizer");
    if (validation_data_)
      log_info(text("Validation: ", TokenSamples(*validation_data_, s_.data.sequence, s_.data.mask_documents).samples(), " sequences of ",
                    s_.data.validation));
    const std::int64_t total = plan_steps_->total_steps();
    log_info(text("Steps: ", total, " in all, ", plan_steps_->steps_per_epoch(), " per epoch, ", plan_steps_->sequences_at(0),
                  " sequences each in micro-batches of ", s_.batch.micro, "; learning rate: ", schedule().describe()));
    const auto tensors = setup_->state().checkpoint_tensors(0, 1);
    log_info(text("Writes: ", s_.run.folder, "/{log.txt,metrics.csv,effective.deck,plan.txt}, checkpoints of ",
                  bytes_text(static_cast<double>(checkpoint_bytes(tensors))), " each, every ", s_.checkpoint.every, " steps, the newest ",
                  s_.checkpoint.keep, " and the best ", s_.checkpoint.keep_best, " kept, in ", s_.run.folder, "/checkpoints"));
  }

  Schedule schedule() const { return Schedule(s_.schedule, s_.optimizer.lr, plan_steps_->total_steps()); }

  LoopParts loop_parts() {
    RunRecord record;
    if (checkpoint_)
      record = checkpoint_->run();
    else
      record.validation_loss = record.best_metric = std::nan("");
    record.seed = s_.run.seed;
    record.deck = session_.deck.record();
    record.model_config = config_.json;
    record.compute = s_.precision.compute;
    record.version = version();
    record.dataset_hash = train_data_->hash();
    record.validation_hash = validation_data_ ? validation_data_->hash() : "";
    record.tokenizer_hash = train_data_->info().tokenizer_hash;
    LaunchRecord launch;
    launch.ranks = comm_.size(), launch.threads = threads_;
    launch.strategy = s_.parallel.strategy;
    launch.deck = session_.deck.echo();
    for (const std::string& host : all_gather_text(comm_, comm_.local_rank() == 0 ? comm_.host() : ""))
      launch.hosts += (launch.hosts.empty() || host.empty() ? "" : " ") + host;
    launch.processor = processor_text(), launch.build = build_text(), launch.written = wall_clock_text();
    return LoopParts{comm_,         *stream_,
                     *model_,       *setup_,
                     *train_data_,  validation_data_ ? &*validation_data_ : nullptr,
                     s_.run,        s_.data,
                     s_.batch,      s_.train,
                     s_.checkpoint, schedule(),
                     *plan_steps_,  record,
                     launch,        shows_progress(session_)};
  }

  void finish(const LoopResult& result) {
    const RunRecord& r = result.record;
    if (result.interrupted) {
      log_info(text("Stopped after step ", r.step, " with a checkpoint; the same command continues from there"));
      return;
    }
    std::string line = text("Finished at step ", r.step, ": loss ", r.loss);
    if (!std::isnan(result.validation_loss))
      line += text(", validation loss ", result.validation_loss, " (perplexity ", std::exp(result.validation_loss), ")");
    if (!std::isnan(r.best_metric)) line += text(", best ", r.best_metric, " at step ", r.best_step);
    log_info(line + text(", peak memory ", bytes_text(static_cast<double>(peak_memory_bytes()))));
    if (comm_.rank() != 0) return;
    if (!std::isnan(result.validation_loss)) std::printf("validation loss %.6f\n", result.validation_loss);
    std::printf("checkpoint %s\n", (result.checkpoint.empty() && checkpoint_ ? checkpoint_->path() : result.checkpoint).c_str());
  }

  Session& session_;
  const Settings& s_;
  Communicator& comm_;
  int threads_;
  DType compute_;
  CausalConfig config_;
  std::optional<TokenFileReader> train_data_, validation_data_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<CausalLm> model_;
  std::optional<StepPlan> plan_steps_;
  std::optional<CheckpointReader> checkpoint_;
  std::optional<WeightsSource> source_;
  std::optional<ThreadPool> pool_;
  std::optional<Arena> arena_;
  std::optional<TrainSetup> setup_;
  std::optional<Stream> stream_;
};

}  // namespace

int run_train(Session& session) {
  return TrainCommand(session).run();
}

}  // namespace strata
