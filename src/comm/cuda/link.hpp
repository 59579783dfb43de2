#pragma once
// The entries of the table of collectives (comm/cuda/table.hpp).
#include "comm/cuda/table.hpp"

namespace strata::cuda {

std::string bus_name(Gpu& gpu);
std::string nccl_version();
#ifdef STRATA_WITH_NCCL
void new_link_id(LinkId& id);
GpuLink* open_link(Gpu& gpu, const LinkId& id, int rank, int ranks);
#endif

}  // namespace strata::cuda
