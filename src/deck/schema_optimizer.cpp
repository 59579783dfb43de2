// Keys of [optimizer]: AdamW and its numbers.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_optimizer() {
  using C = OptimizerConfig;
  Table<C> table("optimizer", "How a gradient becomes an update (semantics S3).", &Settings::optimizer);
  table.row("kind", &C::kind, Choice({{"adamw"}}), "", "The update rule.").fixed();
  table.row("lr", &C::lr, Real::at_least(0), "1", "Peak learning rate.").fixed();
  table.pair("betas", &C::beta1, &C::beta2, Real::from_up_to_below(0, 1), "1", "Decay of the first and of the second moment.").fixed();
  table.row("eps", &C::eps, Real::at_least(0), "1", "Added to the root of the second moment.").fixed();
  table.row("weight_decay", &C::weight_decay, Real::at_least(0), "1", "Decoupled weight decay, times the learning rate of the step.")
      .fixed();
  table.row("decay", &C::decay, Choice({{"matrices", "all"}}), "", "Which tensors decay: matrices leaves out norms and biases.").fixed();
  return table.done();
}

}  // namespace strata::deck
