// Keys of [batch]: sizes and accumulation.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_batch() {
  using C = BatchConfig;
  Table<C> table("batch", "How many sequences make a step. global and micro decide the result, the number of ranks does not.",
                 &Settings::batch);
  table
      .row("global", &C::global, Whole::at_least(1).word("auto", 0), "sequences",
           "Sequences per optimizer step, a multiple of micro; auto: micro * accumulation * ranks.")
      .fixed();
  table.row("micro", &C::micro, Whole::between(1, 1u << 20), "sequences", "Sequences per rank and pass.").fixed();
  table
      .row("block", &C::block, Whole::between(1, 1u << 20), "micro-batches",
           "Micro-batches added in order before the tree: more save memory and limit the ranks to global / micro / block.")
      .fixed();
  table
      .row("accumulation", &C::accumulation, ByEpoch(), "micro-batches",
           "Instead of global: passes per rank and step; by epoch as in 0:8, 5:4, 10:2 (the largest epoch reached counts, 1 before the "
           "first).")
      .fixed();
  return table.done();
}

}  // namespace strata::deck
