// Keys of [convert]: from, to, and the format of the weights.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_convert() {
  using C = ConvertConfig;
  Table<C> table("convert", "Hugging Face folder to checkpoint and back.", &Settings::convert);
  table.row("from", &C::from, Text(), "", "A Hugging Face folder or a checkpoint.").required({"convert"});
  table
      .row("to", &C::to, Text(), "",
           "What to write: a checkpoint (a name ending in .h5) from a folder, a Hugging Face folder from a checkpoint.")
      .required({"convert"});
  table.row("dtype", &C::dtype, Choice({{"fp32", "bf16"}}), "", "Format of the weights in a Hugging Face folder.");
  return table.done();
}

}  // namespace strata::deck
