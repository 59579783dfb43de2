// Keys of [run]: the folder, the seed and how to go on.
#include "deck/schema.hpp"
#include "strata/base/fault.hpp"

namespace strata::deck {
namespace {

/// The text of a fault, where this build knows faults.
class FaultText {
 public:
  std::string parse(const Items& items, std::string& out) const {
    std::string value;
    std::string complaint = Text().parse(items, value);
    if (complaint.empty()) complaint = fault_complaint(value);
    if (complaint.empty()) out = value;
    return complaint;
  }
  std::string print(const std::string& value) const { return quoted_if_needed(value); }
  Description describe() const { return {"text", "kind:rank=R:step=S:at=POINT; empty: none", {}, {}, true}; }
};

}  // namespace

Section schema_run() {
  using C = RunConfig;
  Table<C> table("run", "The run as a whole.", &Settings::run);
  table.row("folder", &C::folder, Text::some(), "", "Everything the run writes lies in this folder.").launch();
  table.row("seed", &C::seed, Whole::at_least(0), "", "The one seed of weights, data order and sampling.").fixed();
  table
      .row("resume", &C::resume,
           Text("auto | never | a checkpoint | a folder of checkpoints", [](const std::string& v) { return !v.empty(); }), "",
           "What to go on from: auto takes the newest sound checkpoint of the run's folder if there is one, a folder its newest sound one.")
      .launch();
  table.row("progress", &C::progress, Choice({{"auto", "on", "off"}}), "", "One moving line on the terminal.").launch();
  table.row("fault", &C::fault, FaultText(), "", "Breaks the run on purpose; taken by test builds only (doc/faults.md).").launch();
  table
      .row("profile", &C::profile, Flag(), "",
           "Time per op and phase beside its floor, worst first: in the log, plan.txt and profile.csv at the run's end (doc/profile.md).")
      .launch();
  table
      .row("device_log", &C::device_log, Seconds::or_none(), "s",
           "Between looks at the use of processors and GPUs, written to device_use.csv; 0: none.")
      .launch();
  return table.done();
}

}  // namespace strata::deck
