#pragma once
// Communication of GPU memory: the same Communicator, whose functions take addresses of a GPU as well as the host's.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/device/gpu.hpp"

namespace strata {

/// The ranks of `host`, which moves host memory (MPI), each with its GPU: messages may lie in either memory, also in one call, and the two
/// ends of a message in different ones; of a collective all ranks' memory is of one kind. What arrives in GPU memory is seen by ops that
/// are given to the GPU's queue after the call returned, or the transfer was done. `host` never sees GPU memory: that goes through
/// page-locked memory of the host, which grows to the largest need and stays. Host and GPU memory are counted alike. Collective.
std::unique_ptr<Communicator> make_gpu_communicator(std::unique_ptr<Communicator> host, Gpu& gpu);
/// Page-locked memory of the host that data between GPUs takes where NCCL cannot carry it, counted on planned ranks: blocks as the calls of
/// a step ask for them, each given back when its transfer is found done. Where others are late, more transfers are under way at once.
class PlannedStaging {
 public:
  /// The number of a block of at least so many bytes.
  std::size_t take(std::size_t bytes);
  void give_back(std::size_t block) { blocks_[block].free = true; }
  std::int64_t bytes() const;  // in all

 private:
  struct Block {
    std::size_t bytes;
    bool free;
  };
  std::vector<Block> blocks_;
};
/// make_plan_communicator() for ranks whose messages and fast sums lie in GPU memory: counts in `staging` what make_gpu_communicator()
/// takes where ranks share a GPU.
std::unique_ptr<Communicator> make_plan_gpu_communicator(int ranks, int per_host, std::shared_ptr<PlannedStaging> staging);
/// What NCCL may take of a GPU's memory beside the arena: an allowance, for it takes buffers by the number of its channels and of the ranks
/// that it connects, and tells nobody how many. NCCL_BUFFSIZE and NCCL_MAX_NCHANNELS make it take less.
constexpr std::int64_t nccl_allowance_bytes = std::int64_t{512} << 20;

/// Page-locked memory that `comm`, made by make_gpu_communicator(), and those made of it hold for staging. Local.
std::int64_t staging_bytes(const Communicator& comm);

/// The GPU of each rank of `comm`, told apart by host and PCI address: equal texts are one GPU. `gpu` is this rank's. Collective.
std::vector<std::string> gpu_names(Communicator& comm, Gpu& gpu);

/// make_gpu_communicator() for all ranks of `host`, on a duplicate of it, and says in the log on which way the data will go. Null where
/// `gpu` is. Collective.
std::unique_ptr<Communicator> gpu_communicator_over(Communicator& host, Gpu* gpu);

}  // namespace strata
