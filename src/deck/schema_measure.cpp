// Keys of [measure] and [plan]: measuring a machine, and naming one.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_measure() {
  using C = MeasureConfig;
  Table<C> table("measure", "Peaks of a machine.", &Settings::measure);
  table.row("output", &C::output, Text(), "", "Machine file to write; empty: input/machines/ and the host's name.").launch();
  table.row("folder", &C::folder, Text::some(), "", "Folder whose disk is measured.").launch();
  table.row("seconds", &C::seconds, Seconds(), "s", "About how long it takes in all.").launch();
  table
      .row("tuning", &C::tuning, Text(), "",
           "Tuning file to write, on cuda and with a deck of a model; empty: the machine file's name, ending in .tuning.")
      .launch();
  table.row("candidates", &C::candidates, Whole::between(1, 256), "", "Algorithms that are timed for each product of the tuning file.")
      .launch();
  return table.done();
}

Section schema_plan() {
  using C = PlanConfig;
  Table<C> table("plan", "Foreseeing a run.", &Settings::plan);
  table
      .row("machine", &C::machine, Text(), "",
           "Machine file of strata measure, for times that are foreseen and the floors of the profile; empty: no times, and the profile "
           "measures the peaks at the run's start.")
      .launch();
  table
      .row("ranks", &C::ranks, Whole::between(1, 1 << 20).word("auto", 0), "",
           "Ranks that strata plan assumes; auto: those that are started.")
      .launch();
  table
      .row("ranks_per_host", &C::ranks_per_host, Whole::between(1, 1 << 16).word("auto", 0), "",
           "How many of them are on a host; auto: what the machine file says, otherwise one for each core.")
      .launch();
  table
      .row("compare", &C::compare, Flag(), "",
           "Whether strata plan compares strategies, micro-batches and recomputation, fastest first, instead of planning one run.")
      .launch();
  return table.done();
}

}  // namespace strata::deck
