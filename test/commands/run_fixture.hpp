#pragma once
// A small, real set-up for tests of whole commands: a text, a vocabulary trained on it, token files, a model and a deck, in a temporary
// folder.
#include <string>

#include "support/support.hpp"

namespace strata::test {

/// Made once per process by `strata prepare`.
class RunFolder {
 public:
  static const RunFolder& get();
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  /// Runs `strata <arguments>` with the deck, on `ranks` ranks (0: without mpirun).
  CommandResult strata(int ranks, const std::string& command, const std::string& options) const;
  /// The same with settings of the environment, as in "NAME=value".
  CommandResult strata_with(const std::string& environment, int ranks, const std::string& command, const std::string& options) const;
  /// Checkpoint of a step in the run folder `run`.
  std::filesystem::path checkpoint(const std::string& run, int step) const;

 private:
  RunFolder();
  TemporaryFolder folder_;
};

/// Whether commands on cuda run on a real GPU (test/gpu.sh) rather than on the emulation.
bool on_real_gpu();
/// Columns of metrics.csv that do not depend on time: all but the last two, of rows up to `last_step`.
std::string lasting_metrics(const std::filesystem::path& file);
/// Empty if h5diff finds no difference outside /run/launch, otherwise what it printed.
std::string checkpoint_difference(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace strata::test
