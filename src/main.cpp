// strata: starts the ranks' communicator, runs one command, turns errors into exit codes.
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "strata/base/end_hook.hpp"
#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/base/phase.hpp"
#include "strata/base/version.hpp"
#include "strata/comm/watchdog.hpp"
#include "strata/commands/command.hpp"
#include "strata/train/signals.hpp"

namespace {

using namespace strata;

// A number from the launcher's environment, before there is a communicator; -1: none.
int launcher_number(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = std::getenv(name)) return std::atoi(value);
  return -1;
}

// How long ranks wait for each other where there is no deck yet, or none any more: the default, or what the command line says.
WatchdogSettings start_limits(const CommandLine& line) {
  WatchdogSettings settings;
  try {
    settings.timeout = Deck::parse({}, line.overrides).settings().parallel.timeout;
  } catch (const Error&) {  // said later, with everything else that is wrong
    settings.timeout = ParallelConfig().timeout;
  }
  settings.timeout = std::max(settings.timeout, 30.0);  // a launcher on a busy machine takes its time
  settings.rank = std::max(0, launcher_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}));
  settings.size = std::max(1, launcher_number({"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"}));
  settings.launched = true;
  return settings;
}

std::unique_ptr<Communicator> start_communicator(const Command& command, const CommandLine& line, int* argc, char*** argv) {
  if (!command.parallel && launcher_number({"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"}) > 1)
    throw DeckError(text("strata ", command.name, " runs on one rank: start it without mpirun"));
  if (!command.parallel || !launched()) return make_self_communicator();
  // A rank that never comes would let the others wait here for ever.
  Phase::enter("the meeting of the ranks");
  const Watchdog watchdog(start_limits(line));
  const Phase::Wait wait;
  int provided = 0;
  MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided);
  auto comm = make_mpi_communicator();
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  if (comm->size() == 1 && tasks && std::atoi(tasks) > 1)
    throw DeckError(text("srun started ", tasks, " tasks, but MPI sees one rank: use srun --mpi=pmix, or mpirun"));
  return comm;
}

int fail(Communicator* comm, const std::string& message, ExitCode code, bool on_all_ranks) {
  const bool alone = !comm || comm->size() == 1;
  // Without a communicator every rank fails alike, at the command line: rank 0 speaks for all.
  const bool silent = !comm && launcher_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}) > 0;
  if (!silent && (alone || !on_all_ranks || comm->rank() == 0)) log_error(message);
  if (!alone && !on_all_ranks) run_end_hooks(), comm->abort(static_cast<int>(code));
  return static_cast<int>(code);
}

int run(int argc, char** argv, std::unique_ptr<Communicator>& comm) {
  const CommandLine line = parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  if (line.version || line.command.empty()) {
    std::printf("%s", line.version ? (build_text() + "\n").c_str() : help_text().c_str());
    return line.version || line.help ? 0 : static_cast<int>(ExitCode::usage);
  }
  const Command& command = find_command(line.command);
  if (line.help) {
    std::printf("%s", command.help);
    return 0;
  }
  if (command.saves_on_signal) catch_signals();
  comm = start_communicator(command, line, &argc, &argv);
  Log::configure(comm->rank() == 0, comm->rank() == 0 ? "" : text("[rank ", comm->rank(), " on ", comm->host(), "] "));
  Session session = make_session(*comm, line, command);
  return command.run(session);
}

}  // namespace

int main(int argc, char** argv) {
  std::unique_ptr<Communicator> comm;
  int status = 0;
  try {
    status = run(argc, argv, comm);
  } catch (const Error& e) {
    status = fail(comm.get(), e.what(), e.code(), e.on_all_ranks());
  } catch (const std::bad_alloc&) {
    status = fail(comm.get(), "out of memory", ExitCode::capacity, false);
  } catch (const std::filesystem::filesystem_error& e) {
    status = fail(comm.get(), e.what(), ExitCode::data, false);
  } catch (const std::exception& e) {
    status = fail(comm.get(), text("internal error: ", e.what(), "; please report this with the log"), ExitCode::internal, false);
  }
  Log::open_file("");
  comm.reset();
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized) {
    Phase::enter("the end (MPI_Finalize)");
    WatchdogSettings limits;
    limits.rank = std::max(0, launcher_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}));
    limits.size = 2;
    const Watchdog watchdog(limits);
    const Phase::Wait wait;
    MPI_Finalize();
  }
  return status;
}
