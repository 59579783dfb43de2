// Keys of [parallel]: strategy, reduction and time limit.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_parallel() {
  using C = ParallelConfig;
  Table<C> table("parallel", "How ranks share the work. None of it changes the result, but for reduction = fast and gradient_type.",
                 &Settings::parallel);
  table
      .row("strategy", &C::strategy,
           Choice(
               {{"ddp", "zero1", "zero2", "fsdp", "hybrid", "auto"},
                {},
                {{"NO_SHARD", "ddp"}, {"SHARD_GRAD_OP", "zero2"}, {"FULL_SHARD", "fsdp"}, {"zero3", "fsdp"}, {"HYBRID_SHARD", "hybrid"}}}),
           "",
           "What every rank keeps: ddp everything; zero1 its shard of the optimizer's state, zero2 of the gradients too, fsdp of the "
           "parameters too; hybrid as fsdp among the ranks of a host. auto: the one of them that strata plan foresees to be the fastest of "
           "those that fit.")
      .launch();
  table.row("group", &C::group, Whole::between(0, 1u << 20), "ranks", "Ranks of a group of strategy hybrid; 0: those of a host.").launch();
  table
      .row("node", &C::node, Whole::between(0, 1u << 20), "ranks",
           "Consecutive ranks whose gradients are added up before the sum leaves for others, where their micro-batches are one subtree of "
           "the sum; 0: those of a host. 1: every gradient leaves alone.")
      .launch();
  table
      .row("prefetch", &C::prefetch, Whole::between(0, 64), "units",
           "Units (blocks of the model) whose parameters are gathered ahead of their use, with fsdp and hybrid.")
      .launch();
  table
      .row("bucket", &C::bucket, Whole::between(4096, 1u << 30), "elements",
           "The most elements of a gradient that travel between two ranks as one message.")
      .launch();
  table
      .row("overlap", &C::overlap, Flag(), "",
           "Units travel while others are computed; false: every message is waited for, to see what that costs.")
      .launch();
  table
      .row("reduction", &C::reduction, Choice({{"canonical", "fast"}}), "",
           "Order of the gradient's sum: the same bits on any number of ranks, or that of the library's own collectives.")
      .fixed();
  table
      .row("recompute", &C::recompute, Choice({{"none", "selective", "full"}}), "",
           "Activations computed again in the backward pass instead of kept: none of them, the cheap ones (norms, rotation, activation "
           "products), or each block's (doc/recompute.md).")
      .launch();
  table
      .row("offload", &C::offload, Choices({{"optimizer", "parameters", "activations"}, {}}), "",
           "What waits in the host's memory between uses.")
      .launch();
  table
      .row("gradient_type", &C::gradient_type, Choice({{"fp32"}, {"bf16"}}), "",
           "Format of a micro-batch's gradient on the way between ranks.")
      .fixed();
  table
      .row("timeout", &C::timeout, Seconds(), "s",
           "The longest a rank is waited for that does not get on; then the run ends with code 6. Longer than any micro-batch.")
      .launch();
  return table.done();
}

}  // namespace strata::deck
