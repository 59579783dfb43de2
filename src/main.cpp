// strata: starts the ranks' communicator, runs one command, turns errors into exit codes.
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/base/version.hpp"
#include "strata/commands/command.hpp"
#include "strata/train/signals.hpp"

namespace {

using namespace strata;

// Whether a launcher started this process as one of several. Without one MPI is not needed, and starts a second faster.
bool launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_STEP_ID"})
    if (std::getenv(name)) return true;
  return false;
}

// A number from the launcher's environment, before there is a communicator; -1: none.
int launcher_number(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = std::getenv(name)) return std::atoi(value);
  return -1;
}

std::unique_ptr<Communicator> start_communicator(const Command& command, int* argc, char*** argv) {
  if (!command.parallel && launcher_number({"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"}) > 1)
    throw DeckError(text("strata ", command.name, " runs on one rank: start it without mpirun"));
  if (!command.parallel || !launched()) return make_self_communicator();
  int provided = 0;
  MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
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
  if (!alone && !on_all_ranks) comm->abort(static_cast<int>(code));
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
  comm = start_communicator(command, &argc, &argv);
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
  if (initialized) MPI_Finalize();
  return status;
}
