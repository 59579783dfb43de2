// Main of the serial tests. A file whose every test was skipped exits with 77, which CTest reports as skipped.
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/support.hpp"

int main(int argc, char** argv) {
  // A test on a GPU runs on the emulation unless a library is named.
  if (const char* emulated = std::getenv("STRATA_CUDA_EMULATED")) setenv("STRATA_CUDA_LIBRARY", emulated, 0);
  ::testing::InitGoogleTest(&argc, argv);
  return strata::test::exit_status(RUN_ALL_TESTS());
}
