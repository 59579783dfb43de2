// Keys of [evaluate]: model, data and output.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_evaluate() {
  using C = EvaluateConfig;
  Table<C> table("evaluate", "Validation loss and perplexity of a model.", &Settings::evaluate);
  table.row("checkpoint", &C::checkpoint, Text(), "", "A checkpoint or a folder of checkpoints; empty: model.weights.");
  table.row("data", &C::data, Text(), "", "Token file; empty: data.validation.");
  table.row("output", &C::output, Text(), "", "JSON file to write; empty: evaluation.json in run.folder.");
  return table.done();
}

}  // namespace strata::deck
