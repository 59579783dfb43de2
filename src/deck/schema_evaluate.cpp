// Keys of [evaluate]: model, data and output; predictions to score.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_evaluate() {
  using C = EvaluateConfig;
  Table<C> table("evaluate", "Validation loss and perplexity of a model, its answers to questions, and SQuAD scores.", &Settings::evaluate);
  table.row("checkpoint", &C::checkpoint, Text(), "", "A checkpoint or a folder of checkpoints; empty: model.weights.");
  table.row("data", &C::data, Text(), "", "Token file, or for question answering a feature file; empty: data.validation.");
  table.row("output", &C::output, Text(), "", "JSON file to write, answers beside it; empty: evaluation.json in run.folder.");
  table.row("score", &C::score, Text(), "",
            "SQuAD predictions, {\"id\": \"answer\", ...}, to be scored without a model against evaluate.references.");
  table.row("references", &C::references, Texts(), "", "The SQuAD JSON files that evaluate.score answers; globs, .gz and .zst too.");
  table.row("null_odds", &C::null_odds, Text(), "",
            "With evaluate.score, SQuAD 2.0: null_odds.json, how much higher each null score is, for the best threshold.");
  table.row("n_best", &C::n_best, Whole::between(1, 1000), "",
            "SQuAD: starts and ends of a feature, and answers of a question, that are looked at.");
  table.row("max_answer", &C::max_answer, Whole::between(1, 1u << 20), "tokens", "SQuAD: longest answer.");
  table.row("null_threshold", &C::null_threshold, Real::between(-1e9, 1e9), "1",
            "SQuAD 2.0: no answer where the null score is higher than the best answer's by more than this.");
  return table.done();
}

}  // namespace strata::deck
