// Main of the serial tests. A file whose every test was skipped exits with 77, which CTest reports as skipped.
#include <gtest/gtest.h>

#include "support/support.hpp"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return strata::test::exit_status(RUN_ALL_TESTS());
}
