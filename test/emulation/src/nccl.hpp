// What a communicator of the emulated NCCL holds.
#pragma once
#include <mpi.h>
#include <nccl.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace emulation {

enum class Call { send, receive, broadcast, reduce, all_reduce, reduce_scatter, all_gather };

struct Operation {
  Call call;
  const char* from;
  char* to;
  std::size_t count;
  ncclDataType_t type;
  int peer;  // or root
  ncclComm_t comm;
  cudaStream_t stream;
};

std::size_t bytes_of(ncclDataType_t type);
/// Between ncclGroupStart and ncclGroupEnd.
bool in_nccl_group();
/// Keeps the reason for ncclGetLastError.
ncclResult_t refuse(ncclResult_t result, const std::string& reason);

}  // namespace emulation

struct ncclComm {
  int rank = 0, ranks = 1, device = 0, tag = 0;
  std::vector<int> world;  // ranks of MPI_COMM_WORLD
  bool blocking = true;
  std::function<bool()> meet;  // what is in progress (the making, the giving of a group to its stream), until it returns true; then empty
  ncclResult_t async = ncclSuccess;  // ncclInProgress meanwhile; else how that ended
  ncclResult_t error = ncclSuccess;  // of a group on the stream
  bool aborted = false;
  int groups = 0;   // so many were begun
  int fail_at = 0;  // the group that fails; 0: none
  int hang_at = 0;  // the group that never ends
  bool hangs = false;
  std::string name() const { return "rank " + std::to_string(rank) + " of " + std::to_string(ranks); }
};
