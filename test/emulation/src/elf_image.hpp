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
/// The sections named strata_shared_* of the module that holds a function.
const std::vector<Range>& shared_sections(const void* function);
/// [bytes] of a function's own variables that lie in such sections.
std::size_t shared_variables(const void* function);

}  // namespace emulation
