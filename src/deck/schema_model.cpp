// Keys of [model]: its configuration and weights.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_model() {
  using C = ModelConfig;
  Table<C> table("model", "Which model, and where its weights come from.", &Settings::model);
  table.row("config", &C::config, Text(), "", "config.json of the model, or the folder that holds it.");
  table.row("weights", &C::weights, Text::some(), "", "A Hugging Face folder, a checkpoint, or random: drawn from run.seed.");
  return table.done();
}

}  // namespace strata::deck
