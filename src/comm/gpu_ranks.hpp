#pragma once
// How communicators of GPU memory are made, one out of another.
#include <memory>
#include <string>
#include <vector>

#include "comm/staging.hpp"
#include "comm/while_waiting.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {

class LinkedCommunicator;

/// What the communicators of one GPU share.
struct GpuRanks {
  explicit GpuRanks(Gpu& of) : gpu(of), pool(std::make_shared<StagingPool>(of)) {}
  Gpu& gpu;
  std::shared_ptr<StagingPool> pool;
  std::vector<LinkedCommunicator*> linked;  // alive: whoever waits, in these or others, moves all of them on
  WhileWaiting waiting{[this] { move_on(); }};
  void move_on();
};

/// GPUs of the ranks of a communicator: which they are, as text.
using GpuNames = std::vector<std::string>;
/// The GPUs of some of the ranks.
inline GpuNames names_of(const GpuNames& all, const std::vector<int>& ranks) {
  GpuNames names;
  for (const int r : ranks) names.push_back(all[static_cast<std::size_t>(r)]);
  return names;
}

/// The communicator for these ranks: the fastest way that their GPUs allow. Collective.
std::unique_ptr<Communicator> make_gpu_ranks(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, GpuNames names);
/// GPU memory goes from GPU to GPU, by NCCL; each rank has its own.
std::unique_ptr<Communicator> make_linked_ranks(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, GpuNames names);
/// All GPU memory goes through the host's.
std::unique_ptr<Communicator> make_staged_ranks(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, GpuNames names);

}  // namespace strata
