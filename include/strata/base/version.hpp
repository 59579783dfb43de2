#pragma once
// What this binary is: version, compiler, target architecture; and the processor it runs on.
#include <string>

namespace strata {

const char* version();
/// One line: version, compiler, build type, architecture, CUDA or not.
std::string build_text();
/// The processor's name as the kernel gives it, or "unknown processor".
std::string processor_text();

}  // namespace strata
