// Which way GPU memory goes between ranks.
#include "comm/gpu_ranks.hpp"

#include <algorithm>
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/comm/gpu_communicator.hpp"

namespace strata {
namespace {

/// The GPU of this rank, as text by which GPUs of all hosts are told apart.
std::string name_of(const Communicator& comm, const Gpu& gpu) {
  return text(comm.host(), " GPU ", gpu.facts().device);
}

// "2 ranks share h1 GPU 0"; empty: every rank has its own.
std::string sharing_text(const GpuNames& names) {
  for (const std::string& name : names)
    if (const auto ranks = std::count(names.begin(), names.end(), name); ranks > 1) return text(ranks, " ranks share ", name);
  return "";
}

}  // namespace

std::unique_ptr<Communicator> make_gpu_ranks(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, GpuNames names) {
  return make_staged_ranks(std::move(shared), std::move(host), std::move(names));
}

std::unique_ptr<Communicator> make_gpu_communicator(std::unique_ptr<Communicator> host, Gpu& gpu) {
  GpuNames names = all_gather_text(*host, name_of(*host, gpu));
  return make_gpu_ranks(std::make_shared<GpuRanks>(gpu), std::move(host), std::move(names));
}

std::unique_ptr<Communicator> gpu_communicator_over(Communicator& host, Gpu* gpu) {
  if (!gpu) return nullptr;
  const GpuNames names = all_gather_text(host, name_of(host, *gpu));
  if (const std::string sharing = sharing_text(names); !sharing.empty())
    log_info(sharing + ": their data goes through the host's memory, NCCL cannot");
  std::vector<int> all(static_cast<std::size_t>(host.size()));
  std::iota(all.begin(), all.end(), 0);
  return make_gpu_ranks(std::make_shared<GpuRanks>(*gpu), host.subgroup(all), names);
}

}  // namespace strata
