// Keys of [train]: length, validation, stopping, logging and clipping.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_train() {
  using C = TrainConfig;
  Table<C> table("train", "The loop. The first of max_steps and epochs that is reached ends the run.", &Settings::train);
  table.row("max_steps", &C::max_steps, Whole::at_least(0), "steps", "Optimizer steps; 0: no limit.");
  table.row("epochs", &C::epochs, Whole::at_least(0), "", "Passes over the data; 0: no limit.");
  table.row("validate_every", &C::validate_every, Whole::at_least(0), "steps", "Steps between validations; 0: only at the end.");
  table.row("validation_sequences", &C::validation_sequences, Whole::at_least(0), "sequences",
            "Sequences of the validation file to use; 0: all. Of a feature file, whole questions among them are scored.");
  table.row("early_stopping", &C::early_stopping, Whole::at_least(0), "validations",
            "Stop after this many validations without improvement; 0: never.");
  table.row("min_delta", &C::min_delta, Real::at_least(0), "1",
            "Fall of the validation loss, or rise of F1 in percent, that counts as improvement.");
  table.row("log_every", &C::log_every, Whole::at_least(1), "steps", "Steps between step lines in the log.");
  table.row("clip", &C::clip, Real::at_least(0), "1", "Largest global gradient norm; 0: no clipping.").fixed();
  table
      .row(
          "non_finite", &C::non_finite, Choice({{"stop", "skip"}}), "",
          "A step whose loss or gradient is not finite ends the run with code 5, or leaves parameters and moments as they are and goes on; "
          "ten such steps in a row end it.")
      .fixed();
  table
      .row("loss", &C::loss, Choice({{"tokens", "microbatch_mean"}}), "",
           "Mean over all tokens of the step, or mean of the micro-batches' means (semantics S6).")
      .fixed();
  return table.done();
}

}  // namespace strata::deck
