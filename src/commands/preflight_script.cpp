// Preflight of a batch script: ranks, memory, time, and whether the run is warned before its limit.
#include <algorithm>
#include <cmath>
#include <regex>
#include <sstream>

#include "commands/check_report.hpp"
#include "strata/base/clock.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

class ScriptCheck {
 public:
  ScriptCheck(Preflight& p, const BatchScript& script)
      : p_(p), script_(script), rate_(rate_of(std::filesystem::path(p.s.run.folder) / "metrics.csv")) {}

  void run() {
    for (int line : script_.ignored())
      tell(Severity::warning, "script.ignored", script_.at(line), "Slurm does not read #SBATCH lines behind the first command",
           "move the line up");
    if (script_.options().empty())
      tell(Severity::warning, "script.no_options", script_.path(), "there is no #SBATCH line: nothing is known of the allocation", "");
    launcher();
    ranks();
    memory();
    warning_signal();
    time();
  }

 private:
  void tell(Severity severity, const char* code, const std::string& where, const std::string& message, const std::string& remedy,
            ExitCode kind = ExitCode::usage) {
    p_.findings.tell({severity, kind, code, "check.script", where, message, remedy});
  }

  void launcher() {
    if (script_.launcher().line == 0)
      tell(Severity::warning, "script.no_launcher", script_.path(), "no line with mpirun or srun starts strata train",
           "start it as in jobs/train.sbatch, or name the script that does");
    const std::string& words = script_.launcher().words;
    const bool mpirun = script_.launcher().line > 0 && script_.launcher().name != "srun";
    if (mpirun && p_.threads > 1 && words.find("--bind-to") == std::string::npos && words.find("--map-by") == std::string::npos)
      tell(Severity::warning, "script.binding", script_.at(script_.launcher().line),
           text("Open MPI ties each of up to two ranks to one core, and a rank has ", p_.threads, " threads"), "mpirun --bind-to none");
  }

  void ranks() {
    const int asked = static_cast<int>(p_.s.check.ranks), tasks = script_.tasks(), started = script_.ranks();
    if (asked > 0 && started > 0 && asked != started)
      tell(Severity::error, "script.ranks", line_of_ranks(),
           text("the script starts ", started, " ranks, check.ranks = ", asked, " (", p_.session.deck.where("check.ranks"), ")"),
           "make them the same, or leave check.ranks out");
    const int own = script_.launcher().ranks;
    if (own > tasks && tasks > 0)
      tell(Severity::error, "script.tasks", script_.at(script_.launcher().line),
           text(script_.launcher().name, " starts ", own, " ranks in an allocation of ", tasks, tasks == 1 ? " task" : " tasks"),
           "raise --ntasks, or leave -n to the launcher", ExitCode::capacity);
    else if (own > 0 && own < tasks)
      tell(Severity::warning, "script.tasks", script_.at(script_.launcher().line),
           text(script_.launcher().name, " starts ", own, " ranks in an allocation of ", tasks, " tasks: the others stay idle"),
           "leave -n to the launcher");
    const std::int64_t product = std::max<std::int64_t>(1, script_.nodes()) * script_.number("ntasks-per-node");
    if (script_.number("ntasks") > 0 && script_.number("ntasks-per-node") > 0 && product < script_.number("ntasks"))
      tell(Severity::error, "script.nodes", script_.where("ntasks"),
           text("--ntasks=", script_.number("ntasks"), " do not fit --nodes=", std::max(1, script_.nodes()),
                " times --ntasks-per-node=", script_.number("ntasks-per-node")),
           "make --ntasks their product, or leave it out", ExitCode::capacity);
    const int cores = script_.threads();
    if (cores > 0 && p_.s.device.threads > cores)
      tell(Severity::warning, "script.threads", script_.where("cpus-per-task"),
           text("--cpus-per-task=", cores, ", device.threads = ", p_.s.device.threads, " (", p_.session.deck.where("device.threads"), ")"),
           "make them the same, or leave device.threads = auto");
  }

  std::string line_of_ranks() const {
    if (script_.launcher().ranks > 0) return script_.at(script_.launcher().line);
    return script_.where(script_.has("ntasks") ? "ntasks" : "ntasks-per-node");
  }

  void memory() {
    const std::int64_t given = script_.memory_per_host();
    if (given > 0 && p_.plan && p_.memory_needed > given)
      tell(Severity::error, "script.memory", script_.where(script_.has("mem") ? "mem" : "mem-per-cpu"),
           text("a node's ", p_.launch.local_size(), p_.launch.local_size() == 1 ? " rank needs " : " ranks need ",
                bytes_text(static_cast<double>(p_.memory_needed)), ", the script asks for ", bytes_text(static_cast<double>(given))),
           "ask for more, or start fewer ranks on a node", ExitCode::capacity);
  }

  /// Seconds between the signal and the limit; 0: no signal.
  std::int64_t warned() const {
    if (!script_.has("signal")) return 0;
    const std::string value = script_.options().at("signal").text;
    const auto at = value.find('@');
    return at == std::string::npos ? 60 : std::max(0, std::atoi(value.c_str() + at + 1));
  }

  void warning_signal() {
    if (!script_.has("signal")) {
      tell(Severity::warning, "script.no_signal", script_.path(),
           "no --signal: the run is not told before the time limit, and what came after its last checkpoint is lost",
           "#SBATCH --signal=B:USR1@120 and a trap that passes it on, as in jobs/train.sbatch");
      return;
    }
    const std::string value = script_.options().at("signal").text, where = script_.where("signal");
    static const std::regex form("(?:([RB]{1,2}):)?(?:SIG)?(USR1|TERM|10|15)(?:@([0-9]{1,9}))?");
    std::smatch match;
    if (!std::regex_match(value, match, form))
      return tell(Severity::warning, "script.signal", where, text("--signal=", value, ": Strata saves and leaves on USR1 and TERM only"),
                  "--signal=B:USR1@120");
    const bool to_script = match[1].str().find('B') != std::string::npos, srun = script_.launcher().name == "srun";
    if (to_script && !script_.traps_usr1())
      tell(Severity::warning, "script.no_trap", where, "the signal goes to the script (B:), which has no trap for it: it ends the script",
           srun ? "without B: srun hands it to the ranks" : "a trap that passes it on to mpirun, as in jobs/train.sbatch");
    if (!to_script && !srun && script_.launcher().line > 0)
      tell(Severity::warning, "script.signal_target", where,
           text("without B: the signal goes to job steps, not to ", script_.launcher().name, " in the script"),
           "--signal=B:USR1@120 and a trap that passes it on, as in jobs/train.sbatch");
    if (!script_.has("requeue") && !script_.requeues())
      tell(Severity::warning, "script.no_requeue", script_.path(), "nothing requeues the job when the run leaves with exit code 75",
           "#SBATCH --requeue and scontrol requeue, as in jobs/train.sbatch");
    enough_time_to_save();
  }

  // A step and a save have to end between signal and limit. 200 MB/s is a slow disk, read back at the same rate.
  void enough_time_to_save() {
    if (!p_.plan) return;
    const double step = p_.steps && rate_ > 0 ? step_tokens() / rate_ : 0;
    const double save = static_cast<double>(p_.checkpoint_bytes) / 200e6 * (p_.s.checkpoint.verify ? 2 : 1);
    if (static_cast<double>(warned()) < step + save + 5)
      tell(
          Severity::warning, "script.signal_late", script_.where("signal"),
          text("the signal comes ", warned(), " s before the limit; a checkpoint of ", bytes_text(static_cast<double>(p_.checkpoint_bytes)),
               " may take ", std::ceil(save), " s at 200 MB/s", step > 0 ? text(", the step before it ", std::ceil(step), " s") : ""),
          text("--signal=...@", static_cast<std::int64_t>(std::ceil((step + save) * 1.5 / 10)) * 10 + 10));
  }

  double step_tokens() const { return static_cast<double>(p_.steps->sequences_at(0) * p_.s.data.sequence); }

  void time() {
    const std::int64_t limit = script_.time_limit();
    if (limit < 0)
      return tell(Severity::warning, "script.time", script_.where("time"),
                  text("--time=", script_.options().at("time").text, ": not a time that Slurm knows"), "minutes, or hours:minutes:seconds");
    if (limit == 0 || rate_ <= 0 || !p_.steps) return;
    const std::int64_t done = p_.checkpoint ? p_.checkpoint->run().step : 0,
                       left = std::max<std::int64_t>(0, p_.steps->total_steps() - done);
    const double seconds = static_cast<double>(left) * step_tokens() / rate_,
                 usable = static_cast<double>(std::max<std::int64_t>(1, limit - warned()));
    const std::string found = text(left, " steps are left; at the ", std::llround(rate_), " tokens/s of the last steps they take ",
                                   duration_text(seconds), ", the limit is ", duration_text(static_cast<double>(limit)));
    if (seconds <= usable) return tell(Severity::note, "script.time", script_.where("time"), found, "");
    const bool goes_on = script_.has("signal") && (script_.has("requeue") || script_.requeues());
    tell(goes_on ? Severity::note : Severity::warning, "script.time", script_.where("time"),
         text(found, goes_on ? text(": the job is requeued about ", std::llround(std::ceil(seconds / usable)) - 1, " times") : ""),
         goes_on ? "" : "a longer --time, or --signal and --requeue");
  }

  /// The middle of the last 20 rows of metrics.csv; 0: the run has none yet.
  static double rate_of(const std::filesystem::path& metrics) {
    std::vector<double> rates;
    try {
      std::istringstream rows(read_text(metrics));
      std::string row;
      for (std::getline(rows, row); std::getline(rows, row);) {
        const std::size_t memory = row.rfind(','), rate = memory == std::string::npos ? memory : row.rfind(',', memory - 1);
        if (rate != std::string::npos) rates.push_back(std::strtod(row.c_str() + rate + 1, nullptr));
      }
    } catch (const Error&) {
      return 0;
    }
    if (rates.size() > 20) rates.erase(rates.begin(), rates.end() - 20);
    if (rates.empty()) return 0;
    std::nth_element(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2), rates.end());
    return rates[rates.size() / 2];
  }

  Preflight& p_;
  const BatchScript& script_;
  double rate_;  // [tokens/s], 0: not known
};

}  // namespace

void check_script(Preflight& p, const BatchScript& script) {
  ScriptCheck(p, script).run();
}

}  // namespace strata
