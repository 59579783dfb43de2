// Keys of [check]: what will start the run.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_check() {
  using C = CheckConfig;
  Table<C> table("check", "What `strata check` takes into account beside the deck: how the run will be started.", &Settings::check);
  table
      .row("script", &C::script, Text(), "",
           "A Slurm batch script that starts the run: its #SBATCH lines and its mpirun or srun line are compared with the deck.")
      .launch();
  table
      .row("ranks", &C::ranks, Whole::between(1, 1 << 20).word("auto", 0), "",
           "Ranks the run will have; auto: those of check.script, without one those that are started.")
      .launch();
  return table.done();
}

}  // namespace strata::deck
