#pragma once
// Communication of GPU memory: the same Communicator, whose functions take addresses of a GPU as well as the host's.
#include <memory>

#include "strata/comm/communicator.hpp"
#include "strata/device/gpu.hpp"

namespace strata {

/// The ranks of `host`, which moves host memory (MPI), each with its GPU: messages may lie in either memory, also in one call, and the two
/// ends of a message in different ones; of a collective all ranks' memory is of one kind. What arrives in GPU memory is seen by ops that
/// are given to the GPU's queue after the call returned, or the transfer was done. `host` never sees GPU memory: that goes through
/// page-locked memory of the host, which grows to the largest need and stays. Host and GPU memory are counted alike. Collective.
std::unique_ptr<Communicator> make_gpu_communicator(std::unique_ptr<Communicator> host, Gpu& gpu);
/// The same for all ranks of `host`, on a duplicate of it, and says in the log on which way the data will go. Null where `gpu` is.
/// Collective.
std::unique_ptr<Communicator> gpu_communicator_over(Communicator& host, Gpu* gpu);

}  // namespace strata
