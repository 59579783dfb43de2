// NCCL on the emulation: lazy, in groups, refusing what NCCL refuses.
#include <cuda_runtime.h>
#include <gtest/gtest.h>
#include <mpi.h>
#include <nccl.h>

#include <cstdlib>
#include <thread>
#include <vector>

namespace {

struct World {
  World() { MPI_Comm_rank(MPI_COMM_WORLD, &rank), MPI_Comm_size(MPI_COMM_WORLD, &size); }
  int rank = 0, size = 1;
};

ncclResult_t settle(ncclComm_t comm) {
  for (;;) {
    ncclResult_t state = ncclInProgress;
    EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
    if (state != ncclInProgress) return state;
    std::this_thread::yield();
  }
}

// A communicator of all ranks, each on the device that `device` gives it.
ncclComm_t join(const World& world, int device, ncclResult_t expected) {
  setenv("STRATA_EMULATION_DEVICES", std::to_string(world.size).c_str(), 1);
  EXPECT_EQ(cudaSetDevice(device), cudaSuccess);
  ncclUniqueId id;
  if (world.rank == 0) {
    EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  }
  MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, MPI_COMM_WORLD);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t comm = nullptr;
  EXPECT_EQ(ncclCommInitRankConfig(&comm, world.size, id, world.rank, &config), ncclInProgress);
  EXPECT_EQ(settle(comm), expected);
  return comm;
}

TEST(Nccl, RefusesTwoRanksOnOneGpu) {
  const World world;
  const ncclComm_t comm = join(world, 0, world.size > 1 ? ncclInvalidUsage : ncclSuccess);
  if (world.size > 1) {
    EXPECT_NE(std::string(ncclGetLastError(comm)).find("Duplicate GPU detected"), std::string::npos);
  }
  EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST(Nccl, MovesAndSumsWhenTheStreamIsWaitedFor) {
  const World world;
  const int n = world.size, rank = world.rank;
  const ncclComm_t comm = join(world, rank, ncclSuccess);
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  const auto count = static_cast<std::size_t>(n);
  float *mine = nullptr, *all = nullptr, *host = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&mine), count * sizeof(float)), cudaSuccess);
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&all), count * sizeof(float)), cudaSuccess);
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&host), count * sizeof(float)), cudaSuccess);
  const auto put = [&](float first) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = first + static_cast<float>(i);
    ASSERT_EQ(cudaMemcpyAsync(mine, values.data(), count * sizeof(float), cudaMemcpyHostToDevice, stream), cudaSuccess);
  };
  const auto got = [&](std::size_t i) {
    EXPECT_EQ(cudaMemcpyAsync(host, all, count * sizeof(float), cudaMemcpyDeviceToHost, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    return host[i];
  };
  const auto begun = [&](ncclResult_t result) {
    EXPECT_EQ(result, ncclInProgress);
    EXPECT_EQ(settle(comm), ncclSuccess);
  };
  const auto last = count - 1;

  put(static_cast<float>(rank));
  begun(ncclAllGather(mine, all, 1, ncclFloat, comm, stream));
  EXPECT_EQ(got(last), static_cast<float>(n - 1));
  begun(ncclAllReduce(mine, all, count, ncclFloat, ncclSum, comm, stream));
  EXPECT_EQ(got(last), static_cast<float>(n * (n - 1) / 2 + n * (n - 1)));
  begun(ncclReduceScatter(mine, all, 1, ncclFloat, ncclSum, comm, stream));
  EXPECT_EQ(got(0), static_cast<float>(n * (n - 1) / 2 + n * rank));
  begun(ncclBroadcast(mine, all, count, ncclFloat, n - 1, comm, stream));
  EXPECT_EQ(got(0), static_cast<float>(n - 1));
  // A ring; the message to oneself where there is one rank.
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  ASSERT_EQ(ncclSend(mine, 1, ncclFloat, (rank + 1) % n, comm, stream), ncclSuccess);
  ASSERT_EQ(ncclRecv(all, 1, ncclFloat, (rank + n - 1) % n, comm, stream), ncclSuccess);
  begun(ncclGroupEnd());
  EXPECT_EQ(got(0), static_cast<float>((rank + n - 1) % n));
  // The host's memory is refused, and with it all of its group.
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  ASSERT_EQ(ncclSend(mine, 1, ncclFloat, (rank + 1) % n, comm, stream), ncclSuccess);
  EXPECT_EQ(ncclSend(host, 1, ncclFloat, 0, comm, stream), ncclInvalidArgument);
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidArgument);

  EXPECT_EQ(ncclCommFinalize(comm), ncclSuccess);
  EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
  cudaFree(mine), cudaFree(all), cudaFreeHost(host);
  cudaStreamDestroy(stream);
}

}  // namespace
