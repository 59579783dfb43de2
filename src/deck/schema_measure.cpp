// Keys of [measure] and [plan]: measuring a machine, and naming one.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_measure() {
  using C = MeasureConfig;
  Table<C> table("measure", "Peaks of a machine.", &Settings::measure);
  table.row("output", &C::output, Text(), "", "Machine file to write; empty: input/machines/ and the host's name.").launch();
  table.row("folder", &C::folder, Text::some(), "", "Folder whose disk is measured.").launch();
  table.row("seconds", &C::seconds, Seconds(), "s", "About how long it takes in all.").launch();
  return table.done();
}

Section schema_plan() {
  using C = PlanConfig;
  Table<C> table("plan", "Foreseeing a run.", &Settings::plan);
  table
      .row("machine", &C::machine, Text(), "",
           "Machine file of strata measure, for the floors of the profile; empty: the peaks are measured at the run's start.")
      .launch();
  return table.done();
}

}  // namespace strata::deck
