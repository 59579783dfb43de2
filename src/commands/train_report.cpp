#include "commands/train_report.hpp"

#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/evaluate/answer_scoring.hpp"

namespace strata {
namespace {

// A question and what its row is labelled with.
std::string sample_text(const FeatureFile& file, std::int64_t k) {
  const Feature feature = file.feature(k);
  const SquadQuestion& question = file.question(feature.question);
  std::string answer = "none in this stretch of the context";
  if (file.in_context(k, feature.label.start) && file.in_context(k, feature.label.end)) {
    const std::int64_t first = file.range(k, feature.label.start).first, end = file.range(k, feature.label.end).end;
    answer = Characters(file.context(question.context)).between(first, end);
  }
  return text(question.question, " -> ", answer, " (tokens ", feature.label.start, " to ", feature.label.end, " of ", feature.used, ")");
}

void log_features(const Preflight& run, std::int64_t first) {
  const FeatureFile& file = run.train_data->features();
  log_info(text("Training data ", run.s.data.train, "\n", describe_feature_file(file)));
  log_info("First sample: " + sample_text(file, first));
}

void log_tokens(const Preflight& run, std::int64_t first) {
  const TokenSamples samples(run.train_data->tokens(), run.s.data.sequence, run.s.data.mask_documents);
  log_info(text("Training data ", run.s.data.train, "\n", facts_text(dataset_facts(samples, run.steps->sequences_at(0)))));
  log_info("First sample: " + (run.tokenizer ? decoded_sample(samples, first, *run.tokenizer, 64)
                                             : "not shown, neither tokenizer.path nor model.config's folder names a tokenizer"));
}

void log_validation(const Preflight& run) {
  const TrainingFile& data = *run.validation_data;
  log_info(text("Validation: ", data.samples(run.s.data.sequence), " sequences of ", run.s.data.validation));
  if (!data.holds_features()) return;
  log_info(has_references(data.features())
               ? "Answers are searched and scored in each validation; the best checkpoint is the one with the highest F1"
               : "Some question of the validation has no answer to compare with: the loss alone says which checkpoint is best");
}

}  // namespace

void log_training_data(const Preflight& run, const Schedule& schedule) {
  const Settings& s = run.s;
  const std::int64_t first = run.order->sample_at(0);
  run.train_data->holds_features() ? log_features(run, first) : log_tokens(run, first);
  if (run.validation_data) log_validation(run);
  log_info(text("Steps: ", run.steps->total_steps(), " in all, ", run.steps->steps_per_epoch(), " per epoch, ", run.steps->sequences_at(0),
                " sequences each in micro-batches of ", s.batch.micro, "; learning rate: ", schedule.describe()));
  log_info(text("Writes: ", s.run.folder, "/{log.txt,metrics.csv,effective.deck,plan.txt}, checkpoints of ",
                bytes_text(static_cast<double>(run.checkpoint_bytes)), " each, every ", s.checkpoint.every, " steps, the newest ",
                s.checkpoint.keep, " and the best ", s.checkpoint.keep_best, " kept, in ", s.run.folder, "/checkpoints"));
}

}  // namespace strata
