#include "strata/base/version.hpp"

#include <fstream>

#include "strata/base/error.hpp"
#include "strata/build_info.hpp"

namespace strata {

const char* version() {
  return STRATA_VERSION;
}

std::string build_text() {
  return text("strata ", STRATA_VERSION, " (", STRATA_COMPILER, ", ", STRATA_BUILD_TYPE, ", -march=", STRATA_ARCH, ", ",
              STRATA_HAS_CUDNN  ? "CUDA with cuDNN"
              : STRATA_HAS_CUDA ? "CUDA"
                                : "no CUDA",
              ")");
}

std::string processor_text() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

}  // namespace strata
