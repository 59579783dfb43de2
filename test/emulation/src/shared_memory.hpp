// Shared memory: the dynamic one, and the variables declared __shared__.
#pragma once
#include <cstddef>

namespace emulation {

/// Makes room for a launch, with `dynamic` bytes that end (but for alignment) at a guard page, and finds the static variables of the
/// kernel's module.
void prepare_shared(const void* kernel, std::size_t dynamic);
/// Fills both with a pattern that is NaN: a block finds nothing from the one before.
void poison_shared();
bool is_shared(const void* pointer, std::size_t bytes);
/// [bytes] of the variables that a kernel itself declares (not those of the functions it calls).
std::size_t static_shared(const void* kernel);

}  // namespace emulation
