// Communicators of the emulated NCCL: the ranks find each other through the one that made the id.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "emulation/run.hpp"
#include "memory.hpp"
#include "nccl.hpp"

using namespace emulation;

namespace {

struct Id {
  int magic, world_rank, number;
};
constexpr int id_magic = 0x4e43434c;

struct Member {
  int rank, world_rank, device;
  char host[MPI_MAX_PROCESSOR_NAME];
};

std::string& last_error() {
  static std::string text;
  return text;
}

bool mpi_runs() {
  int begun = 0, over = 0;
  MPI_Initialized(&begun), MPI_Finalized(&over);
  return begun && !over;
}

// Both ranks of a group of its own are told apart from those of other groups by the tag. Strata's own messages are on duplicates.
int tag_of(const Id& id) {
  return 1024 + id.world_rank * 512 % 16384 + id.number % 512;
}

// The members' meeting at the id's maker, as steps.
struct Meeting {
  ncclComm* comm;
  Id id;
  std::vector<Member> members;
  std::vector<MPI_Request> requests;
  bool answered = false;

  Member own() const {
    Member m{comm->rank, id.world_rank, comm->device, {}};
    int length = 0;
    if (mpi_runs()) MPI_Comm_rank(MPI_COMM_WORLD, &m.world_rank), MPI_Get_processor_name(m.host, &length);
    return m;
  }
  bool hosts() const { return own().world_rank == id.world_rank; }
  void begin() {
    members.assign(static_cast<std::size_t>(comm->ranks), Member{});
    members[0] = own();
    if (comm->ranks == 1) return;
    if (!mpi_runs()) fail("several ranks of NCCL need MPI on the emulation");
    constexpr int bytes = sizeof(Member);
    if (hosts()) {
      for (int r = 1; r < comm->ranks; ++r)
        MPI_Irecv(&members[static_cast<std::size_t>(r)], bytes, MPI_BYTE, MPI_ANY_SOURCE, comm->tag, MPI_COMM_WORLD,
                  &requests.emplace_back());
    } else {
      MPI_Send(members.data(), bytes, MPI_BYTE, id.world_rank, comm->tag, MPI_COMM_WORLD);
      MPI_Irecv(members.data(), bytes * comm->ranks, MPI_BYTE, id.world_rank, comm->tag, MPI_COMM_WORLD, &requests.emplace_back());
    }
  }
  bool step() {
    int done = 1;
    if (!requests.empty()) MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    if (!done) return false;
    if (hosts() && !answered) {
      answered = true;
      std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) { return a.rank < b.rank; });
      requests.clear();
      for (const Member& m : members)
        if (m.world_rank != id.world_rank)
          MPI_Isend(members.data(), static_cast<int>(members.size() * sizeof(Member)), MPI_BYTE, m.world_rank, comm->tag, MPI_COMM_WORLD,
                    &requests.emplace_back());
      if (!requests.empty()) return false;
    }
    finish();
    return true;
  }
  void finish() {
    comm->async = ncclSuccess;
    for (std::size_t i = 0; i < members.size(); ++i) {
      comm->world.push_back(members[i].world_rank);
      for (std::size_t j = 0; j < i; ++j)
        if (members[i].device == members[j].device && std::strcmp(members[i].host, members[j].host) == 0)
          comm->async = refuse(ncclInvalidUsage, "Duplicate GPU detected : rank " + std::to_string(j) + " and rank " + std::to_string(i) +
                                                     " both on CUDA device " + std::to_string(16 + members[i].device) + "000");
    }
  }
};

void step(ncclComm* comm) {
  if (!comm->meet) return;
  const auto meet = std::exchange(comm->meet, nullptr);
  if (!meet()) comm->meet = meet;
}

int from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? std::atoi(value) : 0;
}

}  // namespace

namespace emulation {

ncclResult_t refuse(ncclResult_t result, const std::string& reason) {
  last_error() = reason;
  return result;
}

}  // namespace emulation

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
    case ncclSystemError:
      return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
    case ncclInternalError:
      return "internal error - please report this issue to the NCCL developers";
    case ncclInvalidArgument:
      return "invalid argument (run with NCCL_DEBUG=WARN for details)";
    case ncclInvalidUsage:
      return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t) {
  return last_error().c_str();
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static int number = 0;
  Id made{id_magic, 0, ++number};
  if (mpi_runs()) MPI_Comm_rank(MPI_COMM_WORLD, &made.world_rank);
  std::memset(id, 0, sizeof *id);
  std::memcpy(id, &made, sizeof made);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  auto meeting = std::make_shared<Meeting>();
  std::memcpy(&meeting->id, &id, sizeof meeting->id);
  if (comm == nullptr || ranks < 1 || rank < 0 || rank >= ranks) return refuse(ncclInvalidArgument, "ranks and rank");
  if (meeting->id.magic != id_magic) return refuse(ncclInvalidArgument, "an id that ncclGetUniqueId did not make");
  static auto* const all = new std::deque<ncclComm>;
  *comm = &all->emplace_back();
  (*comm)->rank = rank, (*comm)->ranks = ranks, (*comm)->tag = tag_of(meeting->id);
  (*comm)->fail_at = from_environment("STRATA_EMULATION_NCCL_ERROR"), (*comm)->hang_at = from_environment("STRATA_EMULATION_NCCL_HANG");
  cudaGetDevice(&(*comm)->device);
  meeting->comm = *comm;
  meeting->begin();
  (*comm)->async = ncclInProgress;
  (*comm)->meet = [meeting] { return meeting->step(); };
  (*comm)->blocking = config == nullptr || config->blocking != 0;
  if (!(*comm)->blocking) return ncclInProgress;
  while ((*comm)->meet) step(*comm), std::this_thread::yield();
  return (*comm)->async;
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  return ncclCommInitRankConfig(comm, ranks, id, rank, nullptr);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  step(comm);
  *error = comm->error != ncclSuccess ? comm->error : comm->async;
  return ncclSuccess;
}

// Work under way refers to it: a communicator is small, and stays.
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  return comm->meet ? refuse(ncclInvalidUsage, "finalized before it was made") : ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  comm->aborted = true;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (in_nccl_group()) fail("ncclCommAbort in an open group: it would be done at the group's end");
  if (comm->hangs) std::fprintf(stderr, "emulation: NCCL gives up a group that hangs, as %s asks\n", comm->name().c_str());
  comm->aborted = true;
  return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  *count = comm->ranks;
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  *rank = comm->rank;
  return ncclSuccess;
}
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device) {
  *device = comm->device;
  return ncclSuccess;
}

}  // extern "C"
