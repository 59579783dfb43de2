#pragma once
// What `strata measure` does on GPUs that it does not do on hosts: their memory, copies, and the tuning file.
#include "commands/measure_ops.hpp"
#include "commands/measure_report.hpp"
#include "commands/preflight.hpp"
#include "strata/device/compute_device.hpp"
#include "strata/device/peaks.hpp"
#include "strata/device/tuning.hpp"

namespace strata {

/// A GPU's memory by the ops that training streams with: a sum of squares reads, a copy, c += a. [bytes/s]
MemoryRate gpu_memory_rate(Stream& stream, double seconds);

/// Copies between a GPU and page-locked memory of the host. [bytes/s]
struct CopyRates {
  double to_gpu = 0, from_gpu = 0;
};
CopyRates gpu_copy_rates(Gpu& gpu, double seconds);

/// The attention among `ops` by our own kernels and by cuDNN's, in about `seconds` for all; those that cuDNN does not take are left out.
/// Says in the log where there is no cuDNN.
std::vector<AttentionTimes> attention_times(Stream& stream, const std::vector<MeasuredOp>& ops, double seconds);

/// Whether the deck says enough of a run for its products to be tuned: a model and a batch.
bool names_a_run(const Settings& s);
/// Runs one step of the deck's training, on made-up data and weights that are zero, and tunes the products that it asks for: rank 0 of
/// `ranks` (gpu_communicator_over the session's) times, all have the result. Takes what training takes of the GPU's memory. Collective.
Tuning tune_run(Session& session, ComputeDevice& device, Communicator& ranks, double seconds);
/// "41 products, 12 of them by another algorithm than cuBLASLt's first, 6.1 % less time together"
std::string tuning_summary(const Tuning& tuning);

}  // namespace strata
