// strata train: sets the run up, says what it will do, and trains.
#include <cmath>
#include <cstdio>

#include "commands/attention_source.hpp"
#include "commands/plan_report.hpp"
#include "commands/train_report.hpp"
#include "commands/tuning_source.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/end_hook.hpp"
#include "strata/base/fault.hpp"
#include "strata/base/log.hpp"
#include "strata/base/version.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/comm/gpu_communicator.hpp"
#include "strata/comm/watchdog.hpp"
#include "strata/evaluate/answer_scoring.hpp"
#include "strata/io/file.hpp"
#include "strata/train/device_log.hpp"
#include "strata/train/metrics.hpp"
#include "strata/train/run_lock.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

/// The checkpoint to go on from is damaged, as restoring it has shown. The same on every rank.
struct RestoreFailed {
  fs::path checkpoint;
  std::string problem;
};

/// The run as it is put together, in the order of its members.
class TrainCommand {
 public:
  TrainCommand(Session& session, const DamagedCheckpoints& damaged)
      : session_(session),
        s_(session.settings()),
        comm_(session.comm),
        threads_(threads_of(session)),
        compute_(compute_type(session)),
        run_(session, session.comm, false) {
    run_.damaged = damaged;
  }

  int run() {
    try {
      return set_up_and_train();
    } catch (...) {
      run_end_hooks();  // the GPU gives memory back only when no kernel is left that waits for others
      throw;
    }
  }

 private:
  int set_up_and_train() {
    set_fault(s_.run.fault, comm_.rank());
    STRATA_FAULT("start", 0);
    make_folder();
    STRATA_FAULT("folder", 0);
    log_start();
    preflight();
    STRATA_FAULT("inputs", 0);
    allocate();
    STRATA_FAULT("allocated", 0);
    fill_state();
    set_aside_later_checkpoints();
    log_training_data(run_, schedule());
    LoopParts parts = loop_parts();
    const LoopResult result = run_training(parts);
    finish(result);
    return static_cast<int>(result.interrupted ? ExitCode::requeue : ExitCode::done);
  }

  void make_folder() {
    guarded(comm_, [&] {
      if (comm_.rank() != 0) return;
      make_folders(s_.run.folder);
      lock_.emplace(s_.run.folder);
      Log::open_file((fs::path(s_.run.folder) / "log.txt").string());
      if (!lock_->note().empty()) log_warning(lock_->note());
    });
    watchdog_.emplace(comm_, s_.run.folder, s_.parallel.timeout, launched());
    log_devices();
  }

  // A rank of each host; the first host's file has the plain name.
  void log_devices() {
    const std::vector<std::string> hosts = all_gather_text(comm_, comm_.host());
    if (s_.run.device_log <= 0 || comm_.local_rank() != 0) return;
    const std::string name = comm_.rank() == 0 || comm_.host() == hosts[0] ? "device_use.csv" : "device_use." + comm_.host() + ".csv";
    device_log_.emplace(fs::path(s_.run.folder) / name, comm_.host(), s_.run.device_log);
  }

  void log_start() {
    log_info(build_text());
    log_info(text(comm_.size(), comm_.size() == 1 ? " rank on " : " ranks on ", comm_.host(), ", ", threads_, " threads per rank, ",
                  processor_text()));
    log_device(session_);
    log_info("Effective deck\n" + session_.deck.echo());
    guarded(comm_, [&] {
      if (comm_.rank() == 0) write_text_atomically(fs::path(s_.run.folder) / "effective.deck", session_.deck.echo());
    });
  }

  // Everything that can be known before memory is taken. Errors end the run on all ranks, with all that was found.
  void preflight() {
    agree_tuning(session_);
    check_model(run_);
    check_data(run_);
    // Rank 0 looks, so that all resume from the same one.
    check_checkpoint(run_, broadcast_text(comm_, comm_.rank() == 0 ? find_checkpoint(run_) : ""));
    check_weights_source(run_);
    check_memory(run_);
    check_batch(run_);
    check_disk(run_);
    require_start(comm_, run_.findings);
    require_one_attention(session_, run_.attention);
    log_info(text("Model: ", run_.model->family(), ", ", parameters().elements(), " parameters in ", parameters().parameters().size(),
                  " tensors, ", name_of(compute_), " on ", s_.device.kind));
    if (run_.checkpoint)
      log_info(text("Resuming from ", run_.checkpoint->path().string(), ", step ", run_.checkpoint->run().step, ", written by ",
                    run_.checkpoint->launch().ranks, run_.checkpoint->launch().ranks == 1 ? " rank" : " ranks"));
  }

  // Checkpoints of a run that is begun anew, or gone back in, would count as newer than the new ones.
  void set_aside_later_checkpoints() {
    guarded(comm_, [&] {
      const fs::path folder = fs::path(s_.run.folder) / "checkpoints";
      if (comm_.rank() != 0 || s_.run.resume == "auto" || !fs::is_directory(folder)) return;
      const std::int64_t step = run_.checkpoint ? run_.checkpoint->run().step : -1;
      for (const CheckpointEntry& entry : list_checkpoints(folder)) {
        if (entry.step <= step) continue;
        const fs::path aside = entry.path.string() + ".superseded";
        replace_file(entry.path, aside);
        log_warning(text(entry.path.string(), " is later than where this run begins (run.resume = ", s_.run.resume, "): renamed to ",
                         aside.filename().string()));
      }
    });
  }

  void allocate() {
    const TrainPlan& plan = *run_.plan;
    const std::string table = memory_table(plan);
    log_info(table);
    log_info(guarantee_text(s_.parallel.reduction));
    if (run_.snapshot_bytes > 0)
      log_info(text("Beside the arena: a snapshot of ", bytes_text(static_cast<double>(run_.snapshot_bytes)),
                    " per rank while checkpoints are written in the background"));
    guarded(comm_, [&] {
      if (comm_.rank() == 0) write_text_atomically(fs::path(s_.run.folder) / "plan.txt", foreseen(plan));
      device_.emplace(device_of(session_), threads_, comm_.local_rank(), comm_.local_size());
      use_tuning(session_, *device_), use_attention(session_, *run_.model, *device_, PassKind::train);
      arena_.emplace(device_->arena(plan.bytes, plan.host_bytes));
    });
    if (device_->gpu()) log_info("Device: " + device_->describe()), log_graphs(session_);
    gpu_ranks_ = gpu_communicator_over(comm_, device_->gpu());
    mesh_.emplace(gpu_ranks_ ? *gpu_ranks_ : comm_, strategy_of(s_.parallel.strategy), static_cast<int>(s_.parallel.group),
                  static_cast<int>(s_.parallel.node));
    setup_.emplace(*arena_, *mesh_, *run_.model, train_shape(run_));
    stream_.emplace(device_->stream(*arena_, plan.workspace_bytes));
    stream_->use_attention(attention_kernels(s_, device_of(session_)));
    STRATA_ASSERT(arena_->used() == plan.bytes, "planned ", plan.bytes, " bytes, took ", arena_->used());
    run_.model->prepare(setup_->activations());
  }

  // plan.txt before the run: memory by name, work and communication of a step, and its time where the machine is known.
  std::string foreseen(const TrainPlan& plan) {
    std::string all = plan_memory_text(run_) + "\n" + work_text(plan);
    if (const std::string traffic = traffic_text(plan.traffic); !traffic.empty()) all += "\n" + traffic;
    if (!run_.machine) return all;
    const Site site{*run_.machine, comm_.size(), comm_.local_size(), threads_};
    const StepTime time = foresee_step(plan, site, plan.leaves * s_.batch.micro * s_.data.sequence, s_.precision.compute);
    foreseen_seconds_ = time.seconds();
    return all + "\n" + time_text(time);
  }

  // And after it.
  void write_what_came(const LoopResult& result) const {
    if (comm_.rank() != 0 || result.steps == 0) return;
    std::string came = text("What came, rank 0\n  steps of this launch      ", result.steps, "\n  median step               ",
                            result.step_seconds * 1e3, " ms");
    if (foreseen_seconds_ > 0) came += text(", ", result.step_seconds / foreseen_seconds_, " of what was foreseen");
    if (const PassGraphs* graphs = setup_->graphs())
      came += text("\n  micro-batches as graphs   ", graphs->launched(), " of ", graphs->passes());
    if (const std::int64_t staged = gpu_ranks_ ? staging_bytes(*gpu_ranks_) : 0; staged > 0)
      came += text("\n  staging                   ", staged, " bytes, page-locked; foreseen ", run_.plan->staging_bytes);
    came += text("\n  arena                     ", arena_->used(), " bytes, as planned\n  peak resident memory      ", peak_memory_bytes(),
                 " bytes, with what libraries and the data take\n");
    const fs::path path = fs::path(s_.run.folder) / "plan.txt";
    write_text_atomically(path, read_text(path) + "\n" + came);
  }

  void fill_state() {
    const Stopwatch watch;
    const WeightStore& store = setup_->state().weights();
    if (run_.checkpoint) restore();
    guarded(comm_, [&] {
      if (run_.checkpoint) return;
      if (s_.model.weights == "random")
        return random_weights(*stream_, parameters(), run_.model->weight_rules().initializer_range, s_.run.seed, store);
      load_into(*stream_, *run_.weights, parameters(), store, s_.run.seed);
    });
    const std::string from = run_.checkpoint                ? run_.checkpoint->path().string()
                             : s_.model.weights == "random" ? text("random numbers of seed ", s_.run.seed)
                                                            : s_.model.weights;
    const std::string size = run_.checkpoint ? ": " + bytes_text(static_cast<double>(fs::file_size(run_.checkpoint->path()))) : "";
    log_info(text("Weights from ", from, size, " in ", watch.seconds(), " s"));
  }

  // Every hash is verified on the way. Where that fails the state is rubbish, and the run is put together again without this checkpoint.
  void restore() {
    try {
      const bool reads_alone = comm_.local_size() == 1;  // others would find the file in the page cache
      guarded(comm_, [&] { setup_->state().restore(*run_.checkpoint, reads_alone); });
    } catch (const Error& e) {
      if (e.code() != ExitCode::data) throw;
      throw RestoreFailed{run_.checkpoint->path(), e.what()};
    }
  }

  const ParameterSet& parameters() const { return run_.model->parameters(); }
  Schedule schedule() const { return Schedule(s_.schedule, s_.optimizer.lr, run_.steps->total_steps()); }

  // All ranks measure at once, so that each gets its share of what they have in common.
  Peaks peaks() {
    if (!s_.run.profile) return {};
    if (run_.machine) {
      const double share = run_.machine->share(threads_, comm_.local_size());
      return {run_.machine->gflops(s_.precision.compute) * share * 1e9, run_.machine->memory_gbs() * share * 1e9, s_.plan.machine};
    }
    comm_.barrier();
    Stream stream = device_->stream();
    const Peaks found = quick_peaks(stream, compute_);
    comm_.barrier();
    return found;
  }

  void open_leaves() {
    leaves_ = run_.train_data->leaves(s_.data, *run_.order, s_.batch.micro);
    if (!run_.validation_data) return;
    validation_ = run_.validation_data->leaves(s_.data, s_.batch.micro);
    if (!run_.validation_data->holds_features() || !has_references(run_.validation_data->features())) return;
    const FeatureFile& file = run_.validation_data->features();
    scoring_.emplace(comm_, file, answer_rules(s_.evaluate, file), validated_sequences(s_.train, validation_->samples()), s_.batch.micro);
  }

  LoopParts loop_parts() {
    guarded(comm_, [&] { open_leaves(); });
    RunRecord record;
    if (run_.checkpoint)
      record = run_.checkpoint->run();
    else
      record.validation_loss = record.best_metric = std::nan("");
    record.seed = s_.run.seed;
    record.compute = s_.precision.compute;
    record.version = version();
    record.deck = session_.deck.record();
    record.model_config = run_.model->json();
    record.dataset_hash = data_hash(run_);
    record.validation_hash = run_.validation_data ? run_.validation_data->hash() : "";
    record.tokenizer_hash = run_.train_data->tokenizer_hash();
    record_tuning(session_, record.extra), record_attention(session_, record.extra);
    LaunchRecord launch;
    launch.ranks = comm_.size(), launch.threads = threads_;
    launch.strategy = s_.parallel.strategy, launch.deck = session_.deck.echo();
    for (const std::string& host : all_gather_text(comm_, comm_.local_rank() == 0 ? comm_.host() : ""))
      launch.hosts += (launch.hosts.empty() || host.empty() ? "" : " ") + host;
    launch.processor = processor_text(), launch.build = build_text(), launch.written = wall_clock_text();
    return LoopParts{comm_,
                     *stream_,
                     *run_.model,
                     *setup_,
                     *leaves_,
                     validation_.get(),
                     scoring_ ? &*scoring_ : nullptr,
                     s_.run,
                     s_.data,
                     s_.batch,
                     s_.train,
                     s_.checkpoint,
                     schedule(),
                     *run_.steps,
                     record,
                     launch,
                     shows_progress(session_),
                     peaks(),
                     LossScale(s_.precision)};
  }

  void write_profile(const Profile& profile) const {
    if (profile.steps == 0) return;
    const std::string table = profile_table(profile);
    log_info(table);
    if (comm_.rank() != 0) return;
    const fs::path folder = s_.run.folder;
    write_text_atomically(folder / "profile.csv", profile_csv(profile));
    write_text_atomically(folder / "plan.txt", read_text(folder / "plan.txt") + "\n" + table + "\n");
  }

  void finish(const LoopResult& result) {
    const RunRecord& r = result.record;
    guarded(comm_, [&] { write_what_came(result), write_profile(result.profile); });
    if (result.interrupted) {
      log_info(text("Stopped after step ", r.step, " with a checkpoint; the same command continues from there"));
      return;
    }
    std::string line = text("Finished at step ", r.step, ": loss ", r.loss);
    if (!std::isnan(result.validation_loss)) line += text(", validation loss ", result.validation_loss);
    if (result.answers)
      line += text(", exact match ", result.answers->exact_match, ", F1 ", result.answers->f1);
    else if (!std::isnan(result.validation_loss) && !run_.model->answers_questions())
      line += text(" (perplexity ", std::exp(result.validation_loss), ")");
    if (!std::isnan(r.best_metric)) line += text(", best ", r.best_metric, " at step ", r.best_step);
    log_info(line + text(", peak memory ", bytes_text(static_cast<double>(peak_memory_bytes()))));
    if (comm_.rank() != 0) return;
    if (!std::isnan(result.validation_loss)) std::printf("validation loss %.6f\n", result.validation_loss);
    if (result.answers) std::printf("exact_match %.4f\nf1 %.4f\n", result.answers->exact_match, result.answers->f1);
    std::printf("checkpoint %s\n", (result.checkpoint.empty() && run_.checkpoint ? run_.checkpoint->path() : result.checkpoint).c_str());
  }

  Session& session_;
  const Settings& s_;
  Communicator& comm_;
  int threads_;
  DType compute_;
  Preflight run_;
  double foreseen_seconds_ = 0;  // of a step; 0: the machine is not known
  std::optional<ComputeDevice> device_;
  std::unique_ptr<Communicator> gpu_ranks_;  // where the device is a GPU
  std::optional<Arena> arena_;
  std::optional<Mesh> mesh_;
  std::optional<TrainSetup> setup_;
  std::optional<Stream> stream_;
  std::unique_ptr<FileLeaves> leaves_, validation_;
  std::optional<AnswerScoring> scoring_;
  std::optional<RunLock> lock_;
  std::optional<Watchdog> watchdog_;
  std::optional<DeviceLog> device_log_;
};

}  // namespace

int run_train(Session& session) {
  agree_device(session);
  require_device_for_graphs(session, true);
  agree_strategy(session);
  for (DamagedCheckpoints damaged;;) {
    try {
      return TrainCommand(session, damaged).run();
    } catch (const RestoreFailed& failed) {
      damaged[failed.checkpoint] = failed.problem;
    }
  }
}

}  // namespace strata
