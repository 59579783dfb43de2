// Keys of [precision]: the format of the computation.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_precision() {
  using C = PrecisionConfig;
  Table<C> table("precision", "Number formats of the computation.", &Settings::precision);
  table
      .row("compute", &C::compute, Choice({{"fp32", "bf16", "fp64"}, {"fp16"}}), "",
           "Format of weights and activations; bf16 keeps fp32 master weights; fp64 on cpu only.")
      .fixed();
  table.row("loss_scale", &C::loss_scale, Choice({{"none"}, {"dynamic"}}), "", "Scaling of the loss, for fp16 (semantics S4).").fixed();
  return table.done();
}

}  // namespace strata::deck
