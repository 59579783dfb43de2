// Keys of [data]: files, sequence length and order.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_data() {
  using C = DataConfig;
  Table<C> table("data", "The token or feature files to learn from.", &Settings::data);
  table.row("train", &C::train, Text(), "", "Token file to train on, as prepare writes it; for question answering a feature file.")
      .required({"train", "check"});
  table.row("validation", &C::validation, Text(), "", "Token or feature file to validate on; empty: no validation.");
  table.row("sequence", &C::sequence, Whole::between(2, 1u << 24), "tokens", "Length of a sequence.").fixed();
  table.row("shuffle", &C::shuffle, Flag(), "", "A new order in every epoch; false: file order, for comparisons with other programs.")
      .fixed();
  table.row("order", &C::order, Text(), "",
            "Text file with the numbers of the samples in the order wanted, one epoch or several; empty: as shuffle says.");
  table.row("mask_documents", &C::mask_documents, Flag(), "", "No attention across documents in a sequence.").fixed();
  return table.done();
}

}  // namespace strata::deck
