// The training loop.
#include "strata/train/loop.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "strata/base/clock.hpp"
#include "strata/base/fault.hpp"
#include "strata/base/log.hpp"
#include "strata/base/phase.hpp"
#include "strata/train/checkpointing.hpp"
#include "strata/train/run_metrics.hpp"
#include "strata/train/signals.hpp"

namespace strata {
namespace {

// The positions of all leaves this rank will compute, step by step, for the thread that reads ahead.
class RankPositions {
 public:
  RankPositions(const StepPlan& plan, const BatchConfig& batch, const RunRecord& record, const Mesh& mesh)
      : plan_(plan),
        micro_(batch.micro),
        block_(batch.block),
        steps_left_(plan.total_steps() - record.step),
        cursor_(record.cursor),
        shard_(mesh.shards().rank()),
        shards_(mesh.shards().size()),
        replica_(mesh.replicas().rank()),
        replicas_(mesh.replicas().size()) {
    begin_step();
  }
  std::optional<std::int64_t> operator()() {
    // A rank without leaves in many steps on end reads them when they come.
    for (int skipped = 0; leaf() < 0; ++skipped) {
      cursor_ += plan_.sequences_at(cursor_);
      --steps_left_;
      if (!begin_step() || skipped == 100) return std::nullopt;
    }
    const std::int64_t position = cursor_ + micro_ * leaf();
    ++round_;
    return position;
  }

 private:
  bool begin_step() {
    const std::int64_t sequences = steps_left_ > 0 ? plan_.sequences_at(cursor_) : 0;
    rounds_ = LeafRounds(plan_.leaves(sequences), block_, shards_, replicas_), round_ = 0;
    return sequences > 0;
  }
  std::int64_t leaf() const { return rounds_.leaf(replica_, shard_, round_); }
  StepPlan plan_;
  std::int64_t micro_, block_, steps_left_, cursor_, round_ = 0;
  int shard_, shards_, replica_, replicas_;
  LeafRounds rounds_{0, 1, 1, 1};
};

constexpr double none = std::numeric_limits<double>::quiet_NaN();

// Steps skipped because they were not finite: names in RunRecord::extra, and how many in a row end the run.
constexpr const char* skipped_in_a_row = "skipped_in_a_row";
constexpr const char* skipped_in_all = "skipped";
constexpr std::int64_t most_skipped = 10;
// Steps whose time is kept for the run's own account of it.
constexpr std::size_t most_timed = 10000;

class Loop {
 public:
  explicit Loop(LoopParts& parts)
      : p_(parts),
        record_(parts.record),
        leaves_(parts.leaves),
        checkpointing_(parts.comm, parts.setup.state(), parts.run, parts.checkpoint),
        stop_(parts.comm),
        loss_scale_(parts.loss_scale) {
    loss_scale_.restore(record_.extra);
    leaves_.read_ahead(RankPositions(p_.plan, p_.batch, record_, p_.setup.mesh()), p_.plan.end());
    guarded(p_.comm, [&] {
      if (p_.comm.rank() == 0) metrics_.emplace(p_.run.folder, record_.step, p_.comm.host(), p_.launch.deck);
    });
  }

  LoopResult run() {
    try {
      return steps();
    } catch (const Error& e) {
      // A save in the background is of an earlier, sound step: where all ranks fail alike, it is finished first. No message may be under
      // way to memory that is gone.
      if (e.on_all_ranks()) p_.setup.traffic().settle_weights(), checkpointing_.finish();
      throw;
    }
  }

 private:
  LoopResult steps() {
    LoopResult result;
    const std::int64_t last = p_.plan.total_steps();
    while (record_.step < last && !(result.stopped_early = stops_early())) {
      begin_profile(last);
      const auto timed = p_.stream.time(phase::other);
      const std::int64_t sequences = p_.plan.sequences_at(record_.cursor);
      if (sequences == 0) break;
      if ((result.interrupted = !step(sequences))) break;
      poll_checkpoint();
      const bool end = record_.step == last || p_.plan.sequences_at(record_.cursor) == 0;
      const bool improved = p_.validation && (due(p_.train.validate_every) || end) && validate_now(due(p_.train.validate_every));
      report();
      if (due(p_.checkpoint.every) || end || improved) save_checkpoint(improved);
      if (!end) show_early_profile();
    }
    if (p_.stream.profiling()) result.profile = gather_profile(p_.comm, p_.stream.profile(), done_ - unprofiled_, p_.peaks);
    if (result.stopped_early)
      log_info(text("Early stopping after step ", record_.step, ": ", record_.bad_validations, " validations without an improvement of ",
                    p_.train.min_delta));
    // A run that is stopped before its first step leaves its initial state, so that 75 always means: there is a checkpoint.
    settle_state();
    if (done_ > 0 || (result.interrupted && record_.step == 0)) checkpointing_.save_if_new(record_, p_.launch);
    checkpointing_.finish();
    result.checkpoint = checkpointing_.newest();
    result.record = record_;
    result.steps = done_, result.step_seconds = median_step();
    result.validation_loss = last_validation_.loss, result.answers = last_validation_.answers;
    return result;
  }

  // The first step pays for what later ones find ready, so it is left out unless it is the only one.
  void begin_profile(std::int64_t last) {
    if (!p_.run.profile || p_.stream.profiling() || (done_ == 0 && record_.step + 1 < last)) return;
    unprofiled_ = done_;
    p_.stream.start_profile();
  }

  // A long run's profile is worth seeing before its end.
  void show_early_profile() {
    constexpr std::int64_t early = 10;
    if (p_.stream.profiling() && done_ - unprofiled_ == early)
      log_info(profile_table(gather_profile(p_.comm, p_.stream.profile(), early, p_.peaks)));
  }

  void poll_checkpoint() {
    const auto timed = p_.stream.time(phase::checkpoint);
    checkpointing_.poll();
  }

  void save_checkpoint(bool improved) {
    const auto timed = p_.stream.time(phase::checkpoint);
    settle_state();
    checkpointing_.save(record_, p_.launch, improved);
  }

  // The host reads it, where it is kept.
  void settle_state() {
    p_.setup.traffic().settle_weights();
    p_.setup.step().settle(p_.stream);
  }

  bool stops_early() const { return p_.train.early_stopping > 0 && record_.bad_validations >= p_.train.early_stopping; }
  bool due(std::int64_t every) const { return every > 0 && record_.step % every == 0; }

  // False if a signal came: the step was dropped, and everything is as after the step before.
  bool step(std::int64_t sequences) {
    const Stopwatch watch;
    leaves_.begin(record_.cursor, sequences);
    const double lr = p_.schedule.lr(record_.step + 1 - loss_scale_.overflows());
    StepParts parts = p_.setup.parts(p_.stream);
    parts.loss_scale = loss_scale_;
    parts.before_update = [this] {
      const auto timed = p_.stream.time(phase::checkpoint);
      checkpointing_.settle();
    };
    const StepResult result = p_.setup.step().run(parts, leaves_, p_.plan.leaves(sequences), lr, record_.step + 1, &stop_);
    if (result.stopped_by) {
      log_info(text("Received ", signal_name(result.stopped_by), " in step ", record_.step + 1, ", which is dropped: saving step ",
                    record_.step, " and leaving"));
      return false;
    }
    record_.step += 1;
    record_.cursor += sequences;
    record_.tokens += sequences * p_.data.sequence;
    record_.epoch = p_.plan.epoch_at(record_.cursor);
    if (result.updated()) record_.loss = result.loss;  // of the last step that was taken
    record_.validation_loss = none;                    // belongs to the steps that were validated
    record_.extra.erase(validation_f1_name);
    count_skipped(result);
    adapt_scale(result);
    const double seconds = watch.seconds();
    busy_ += seconds, done_ += 1;
    if (step_seconds_.size() < most_timed) step_seconds_.push_back(seconds);
    metrics_now_ = {record_.step,
                    p_.plan.total_steps(),
                    record_.epoch,
                    record_.tokens,
                    result.loss,
                    result.grad_norm,
                    lr,
                    none,
                    static_cast<double>(sequences * p_.data.sequence) / seconds,
                    static_cast<double>(sequences) / seconds,
                    peak_memory_bytes(),
                    0};
    metrics_now_.perplexity = !p_.model.answers_questions();
    if (loss_scale_.adapts()) metrics_now_.loss_scale = parts.loss_scale.value();
    metrics_now_.eta = busy_ / static_cast<double>(done_) * static_cast<double>(p_.plan.total_steps() - record_.step);
    return true;
  }

  // The first step pays for what later ones find ready.
  double median_step() const {
    if (step_seconds_.empty()) return 0;
    std::vector<double> times(step_seconds_.begin() + (step_seconds_.size() > 1 ? 1 : 0), step_seconds_.end());
    std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
    return times[times.size() / 2];
  }

  // The record counts them, so that a run that is resumed stops where the undisturbed one does.
  void count_skipped(const StepResult& result) {
    if (result.not_finite.empty()) {
      record_.extra.erase(skipped_in_a_row);
      return;
    }
    const auto raise = [&](const char* name) { return std::stoll(record_.extra[name] = std::to_string(count_of(name) + 1)); };
    const std::int64_t in_a_row = raise(skipped_in_a_row), all = raise(skipped_in_all);
    const std::string what = text("step ", record_.step, ": loss ", result.loss, ", gradient norm ", result.grad_norm,
                                  ". The first tensor that is not finite is ", result.not_finite);
    if (in_a_row >= most_skipped)
      throw_error(ExitCode::diverged,
                  text(what, ". This was the ", in_a_row, "th step in a row to be skipped (train.non_finite = skip): the run has diverged"),
                  true);
    log_warning(text(what, ". The update is skipped (", in_a_row, " in a row, ", all, " in all)"));
  }
  // Overflows are how the scale finds its place: they are said, and are no divergence. The record has what it came to.
  void adapt_scale(const StepResult& result) {
    if (!loss_scale_.adapts()) return;
    if (result.overflow) {
      loss_scale_.overflowed();
      log_info(text("Step ", record_.step, ": scaled gradients overflow (loss ", result.loss, ", norm ", result.grad_norm,
                    "). The update is skipped (", loss_scale_.overflows(), " in all); loss scale ", loss_scale_.str()));
    } else if (result.updated() && loss_scale_.update_made()) {
      log_info(text("Loss scale ", loss_scale_.str(), " after step ", record_.step));
    }
    loss_scale_.save(record_.extra);
  }
  std::int64_t count_of(const char* name) const {
    const auto at = record_.extra.find(name);
    return at == record_.extra.end() ? 0 : std::strtoll(at->second.c_str(), nullptr, 10);
  }

  // True if this is the best validation so far. One at a run's end that the deck's rhythm does not ask for is said, but leaves no trace in
  // the record: a run that goes on from here is then the run that never stopped.
  bool validate_now(bool counts) {
    const auto timed = p_.stream.time(phase::validation, true);
    const Stopwatch watch;
    Phase::enter("the validation");
    STRATA_FAULT("validation", record_.step);
    const std::int64_t samples = validated_sequences(p_.train, p_.validation->samples());
    p_.validation->begin(0, samples);
    ValidationResult result = validate(p_.stream, p_.comm, p_.model, p_.setup.weights(), p_.setup.activations(), *p_.validation,
                                       p_.plan.leaves(samples), &p_.setup.traffic(), p_.scoring);
    result.sequences = samples;
    last_validation_ = result;
    const bool improved = counts && improves(result);
    if (counts) note(result, improved);
    pending_line_ = validation_line(result, watch.seconds()) + (improved ? "  best so far" : "");
    return improved;
  }

  // By F1 where answers are scored, otherwise by loss.
  bool improves(const ValidationResult& result) const {
    if (std::isnan(record_.best_metric)) return true;
    return result.answers ? result.answers->f1 - p_.train.min_delta > record_.best_metric
                          : result.loss + p_.train.min_delta < record_.best_metric;
  }

  void note(const ValidationResult& result, bool improved) {
    metrics_now_.validation_loss = record_.validation_loss = result.loss;
    if (result.answers) {
      metrics_now_.exact_match = result.answers->exact_match, metrics_now_.f1 = result.answers->f1;
      record_.extra[validation_f1_name] = exact_text(result.answers->f1);
    }
    if (improved)
      record_.best_metric = result.answers ? result.answers->f1 : result.loss, record_.best_step = record_.step,
      record_.bad_validations = 0;
    else
      record_.bad_validations += 1;
  }

  static std::string exact_text(double value) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.17g", value);
    return digits;
  }

  std::string validation_line(const ValidationResult& result, double seconds) const {
    char line[200];
    const auto step = static_cast<long long>(record_.step), counted = static_cast<long long>(result.counted);
    const std::string time = duration_text(seconds);
    if (result.answers)
      std::snprintf(line, sizeof line, "Validation at step %lld  Loss %.4f  exact match %.2f  F1 %.2f  (%lld questions, %s)", step,
                    result.loss, result.answers->exact_match, result.answers->f1, static_cast<long long>(result.answers->questions),
                    time.c_str());
    else if (p_.model.answers_questions())
      std::snprintf(line, sizeof line, "Validation at step %lld  Loss %.4f  (%lld sequences, %s)", step, result.loss,
                    static_cast<long long>(result.sequences), time.c_str());
    else
      std::snprintf(line, sizeof line, "Validation at step %lld  Loss %.4f  perplexity %.2f  (%lld tokens, %s)", step, result.loss,
                    std::exp(result.loss), counted, time.c_str());
    return line;
  }

  void report() {
    const auto timed = p_.stream.time(phase::log);
    const bool shown = due(p_.train.log_every) || record_.step == p_.plan.total_steps();
    if (p_.moving_line) Log::progress_line(step_line(metrics_now_));
    if (shown && p_.moving_line)
      Log::record(step_line(metrics_now_));
    else if (shown)
      log_info(step_line(metrics_now_));
    if (!pending_line_.empty()) log_info(pending_line_);
    if (metrics_) metrics_->append(metrics_now_);
    pending_line_.clear();
  }

  LoopParts& p_;
  RunRecord record_;
  FileLeaves& leaves_;
  Checkpointing checkpointing_;
  StopAgreement stop_;
  LossScale loss_scale_;
  std::optional<RunMetrics> metrics_;
  StepMetrics metrics_now_;
  std::string pending_line_;
  ValidationResult last_validation_{none, 0, 0, std::nullopt};
  double busy_ = 0;
  std::vector<double> step_seconds_;  // of the first steps of this launch
  std::int64_t done_ = 0, unprofiled_ = 0;
};

}  // namespace

LoopResult run_training(LoopParts& parts) {
  return Loop(parts).run();
}

}  // namespace strata
