// Keys of [checkpoint]: how often, how many, under which name.
#include "deck/schema.hpp"

namespace strata::deck {
namespace {

/// The step must be in it, or checkpoints would replace each other.
bool is_checkpoint_name(const std::string& value) {
  return value.find('/') == std::string::npos && (value.find("{step}") != std::string::npos || value.find("{step:") != std::string::npos);
}

}  // namespace

Section schema_checkpoint() {
  using C = CheckpointConfig;
  Table<C> table("checkpoint", "Saving the run, in run.folder/checkpoints.", &Settings::checkpoint);
  table.row("every", &C::every, Whole::at_least(0), "steps", "Steps between checkpoints; 0: only at the end.");
  table.row("keep", &C::keep, Whole::at_least(0), "", "Newest checkpoints to keep; 0: all.");
  table.row("keep_best", &C::keep_best, Whole::at_least(0), "",
            "Checkpoints with the lowest validation loss, or where answers are scored the highest F1, to keep besides.");
  table.row("asynchronous", &C::asynchronous, Flag(), "", "Write from a snapshot while training goes on.");
  table.row("verify", &C::verify, Flag(), "", "Read back and compare hashes before the file gets its name.");
  table.row("name", &C::name,
            Text("a plain file name without ending, with {step} or {step:06d} in it, also {epoch}, {loss}", is_checkpoint_name), "",
            "File name, without the ending .h5.");
  return table.done();
}

}  // namespace strata::deck
