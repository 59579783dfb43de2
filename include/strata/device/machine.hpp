#pragma once
// Machine: what one node of a machine can do, as `strata measure` found it. The file is described in doc/profile.md; deck/machine_file.hpp
// reads and writes it.
#include <cstdint>
#include <map>
#include <string>

namespace strata {

/// Rates of one node with all its cores; of a node with GPUs (`gpus` > 0) products, ops and memory are those of one of its GPUs. 0: not
/// measured (one host has no network, one rank no links).
struct Machine {
  std::string name;       // the host it was measured on
  std::string processor;  // as the kernel calls it
  std::string measured;   // when, and by which version
  std::int64_t cores = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t ranks = 0;  // that a node is to run; 0: not said

  std::string gpu;                          // "NVIDIA H200"
  std::int64_t gpus = 0;                    // of a node; 0: the rates are the host's
  std::int64_t gpu_memory_bytes = 0;        // of one
  double to_gpu_gbs = 0, from_gpu_gbs = 0;  // [GB/s] copies from and to page-locked memory of the host, by one

  double fp32_gflops = 0, bf16_gflops = 0, fp64_gflops = 0;  // [GFLOP/s] the best product of each type
  std::map<std::string, double> products;                    // [GFLOP/s] by ProductShape::name(), as it comes on average (median)
  std::map<std::string, double> ops;                         // [GFLOP/s] or [GB/s] (counts_flops) by op_name()

  double read_gbs = 0, copy_gbs = 0, triad_gbs = 0;  // [GB/s] memory
  double pool_us = 0;                                // [us] a run of the thread pool that does nothing

  double disk_write_gbs = 0, disk_read_gbs = 0;  // [GB/s] with fsync; past the page cache

  double host_latency_us = 0, host_gbs = 0;        // [us], [GB/s] one message between two ranks of a host
  double network_latency_us = 0, network_gbs = 0;  // the same between two hosts
  double gather_gbs = 0;                           // [GB/s] all-gather: bytes that reach each rank per second
  std::int64_t gather_ranks = 0;                   // of so many ranks

  double clock_mhz = 0, loaded_clock_mhz = 0;  // [MHz] all cores busy with little, and right after products

  /// The share of the file's rates that each of so many ranks of a node has: of its cores with so many threads, or of a GPU.
  double share(int threads, int on_node) const {
    const double part = gpus > 0 ? static_cast<double>(gpus) / on_node : static_cast<double>(threads) / static_cast<double>(cores);
    return part < 1 ? part : 1;
  }
  /// What so many ranks of a node have together: its memory, or that of their GPUs. [bytes] 0: not known.
  std::int64_t memory_of(std::int64_t on_node) const {
    return gpus > 0 ? gpu_memory_bytes * (on_node < gpus ? on_node : gpus) : memory_bytes;
  }
  /// GFLOP/s of "fp32" | "bf16" | "fp16" (taken to be those of bf16) | "fp64".
  double gflops(const std::string& precision) const {
    return precision == "fp64" ? fp64_gflops : precision == "bf16" || precision == "fp16" ? bf16_gflops : fp32_gflops;
  }
  /// The best of the three. [GB/s]
  double memory_gbs() const {
    const double streams = copy_gbs > triad_gbs ? copy_gbs : triad_gbs;
    return read_gbs > streams ? read_gbs : streams;
  }
};

}  // namespace strata
