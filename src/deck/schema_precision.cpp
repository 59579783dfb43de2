// Keys of [precision]: the format of the computation.
#include "deck/schema.hpp"
#include "strata/optim/loss_scale.hpp"

namespace strata::deck {

Section schema_precision() {
  using C = PrecisionConfig;
  Table<C> table("precision", "Number formats of the computation.", &Settings::precision);
  table
      .row("compute", &C::compute, Choice({{"fp32", "bf16", "fp16", "fp64"}}), "",
           "Format of weights and activations; bf16 and fp16 keep fp32 master weights; fp16 on cuda only, fp64 on cpu only.")
      .fixed();
  table.row("loss_scale", &C::loss_scale, Text("dynamic, none, or a power of two from 1 to 2^40", is_loss_scale), "",
            "fp16: factor of the loss in the backward pass. dynamic: found by itself, and steps that overflow are skipped.");
  table.row("initial_scale", &C::initial_scale, Real::between(1, 0x1p40).power_of_two(), "1", "Dynamic loss scale at the start.");
  table.row("scale_window", &C::scale_window, Whole::between(1, 1u << 30), "steps",
            "Steps on end without an overflow after which the dynamic loss scale grows.");
  table.row("scale_growth", &C::scale_growth, Real::between(1, 65536).power_of_two(), "1", "Factor of a dynamic loss scale that grows.");
  table.row("scale_backoff", &C::scale_backoff, Real::above_up_to(0, 0.5).power_of_two(), "1",
            "Factor of the dynamic loss scale after an overflow.");
  table.row("smallest_scale", &C::smallest_scale, Real::between(1, 0x1p40).power_of_two(), "1",
            "The run ends (exit code 5) where the dynamic loss scale would fall below this.");
  return table.done();
}

}  // namespace strata::deck
