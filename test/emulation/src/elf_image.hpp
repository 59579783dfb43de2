// What the symbol and section tables of this process's program and libraries tell.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace emulation {

struct Range {
  char* begin;
  std::size_t bytes;
};

/// "strata::(anonymous namespace)::copy_kernel(float*)", or the address where no symbol is found.
std::string function_name(const void* function);
/// Where a block of this kernel may have static shared variables: its own, and those of functions that any kernel may call.
const std::vector<Range>& shared_ranges(const void* kernel);
/// [bytes] of a kernel's own.
std::size_t shared_variables(const void* function);

}  // namespace emulation
