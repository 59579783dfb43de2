// Which way GPU memory goes between ranks.
#include "comm/gpu_ranks.hpp"

#include <algorithm>
#include <numeric>

#include "comm/cuda/table.hpp"
#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/comm/gpu_communicator.hpp"

namespace strata {
namespace {

/// The GPU of this rank, told apart from all others: its number may mean another one in another process. "0 of h1 (0000:1b:00.0)"
std::string gpu_name(const Communicator& comm, Gpu& gpu) {
  return text(gpu.facts().device, " of ", comm.host(), " (", cuda::collectives().name(gpu), ")");
}

// So many ranks share this one; at least 1.
std::int64_t sharing(const GpuNames& names, const std::string& name) {
  return std::count(names.begin(), names.end(), name);
}
bool all_differ(const GpuNames& names) {
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) { return sharing(names, name) == 1; });
}

// On which way data goes; empty: there is one rank.
std::string way_text(const GpuNames& names) {
  if (names.size() == 1) return "";
  for (const std::string& name : names)
    if (const std::int64_t ranks = sharing(names, name); ranks > 1)
      return text(ranks, " ranks share GPU ", name, ": their data goes through the host's memory, NCCL cannot");
  const std::string version = cuda::collectives().version();
  if (version.empty()) return "This program was built without NCCL: data between GPUs goes through the host's memory";
  return "Data between GPUs goes by " + version;
}

}  // namespace

std::unique_ptr<Communicator> make_gpu_ranks(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, GpuNames names) {
  const bool linked = names.size() > 1 && all_differ(names) && !cuda::collectives().version().empty();
  return (linked ? make_linked_ranks : make_staged_ranks)(std::move(shared), std::move(host), std::move(names));
}

std::vector<std::string> gpu_names(Communicator& comm, Gpu& gpu) {
  return all_gather_text(comm, gpu_name(comm, gpu));
}

std::unique_ptr<Communicator> make_gpu_communicator(std::unique_ptr<Communicator> host, Gpu& gpu) {
  GpuNames names = all_gather_text(*host, gpu_name(*host, gpu));
  return make_gpu_ranks(std::make_shared<GpuRanks>(gpu), std::move(host), std::move(names));
}

std::unique_ptr<Communicator> gpu_communicator_over(Communicator& host, Gpu* gpu) {
  if (!gpu) return nullptr;
  const GpuNames names = all_gather_text(host, gpu_name(host, *gpu));
  if (const std::string way = way_text(names); !way.empty()) log_info(way);
  std::vector<int> all(static_cast<std::size_t>(host.size()));
  std::iota(all.begin(), all.end(), 0);
  return make_gpu_ranks(std::make_shared<GpuRanks>(*gpu), host.subgroup(all), names);
}

}  // namespace strata
