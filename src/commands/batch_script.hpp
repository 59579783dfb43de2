#pragma once
// Batch script: what Slurm and the launcher line of a job script say, read without running it.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace strata {

class BatchScript {
 public:
  struct Value {
    std::string text;
    int line = 0;
  };
  /// A line with mpirun, mpiexec or srun that starts strata.
  struct Launcher {
    std::string name;   // "mpirun", "srun"
    int line = 0;       // 0: there is none
    int ranks = 0;      // of -n; 0: not given, or not a plain number
    std::string words;  // the line
  };

  BatchScript(std::string path, const std::string& content);
  const std::string& path() const { return path_; }
  /// #SBATCH options by their long names ("ntasks-per-node"); the last one counts, as for Slurm.
  const std::map<std::string, Value>& options() const { return options_; }
  bool has(const std::string& option) const { return options_.count(option) > 0; }
  /// A whole number of an option; 0: not given or no such number.
  std::int64_t number(const std::string& option) const;
  /// "jobs/x.sbatch:7" of an option's line, of the script where it is not given.
  std::string where(const std::string& option) const;
  std::string at(int line) const;
  /// #SBATCH lines behind the first command, which Slurm does not read.
  const std::vector<int>& ignored() const { return ignored_; }
  const Launcher& launcher() const { return launcher_; }
  /// Whether a trap for USR1 stands in the script, and whether it requeues itself.
  bool traps_usr1() const { return traps_usr1_; }
  bool requeues() const { return requeues_; }

  /// Nodes, tasks of the allocation, and ranks that the launcher starts; 0: the script does not say.
  int nodes() const;
  int tasks() const;
  int ranks() const { return launcher_.ranks > 0 ? launcher_.ranks : tasks(); }
  int ranks_per_host() const;
  /// cpus-per-task; 0: not given.
  int threads() const { return static_cast<int>(number("cpus-per-task")); }
  /// --time; 0: none, -1: not understood. [s]
  std::int64_t time_limit() const;
  /// --mem of a node, or --mem-per-cpu times its tasks' cores; 0: not given, or all of it. [bytes]
  std::int64_t memory_per_host() const;

 private:
  void read_directive(const std::string& words, int line);
  void read_command(const std::string& words, int line);
  std::string path_;
  std::map<std::string, Value> options_;
  std::vector<int> ignored_;
  Launcher launcher_;
  bool traps_usr1_ = false, requeues_ = false, commands_ = false;
};

/// Slurm's times: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]]; 0 for UNLIMITED, -1 not understood. [s]
std::int64_t slurm_seconds(const std::string& time);
/// Slurm's sizes: 500M, 4G, a number alone is M; -1 not understood. [bytes]
std::int64_t slurm_bytes(const std::string& size);

}  // namespace strata
