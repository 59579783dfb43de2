#pragma once
// Tests on several ranks that share files.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "strata/comm/communicator.hpp"
#include "support/support.hpp"

namespace strata::test {

/// The ranks, and a folder that rank 0 makes and all of them use.
class RanksTest : public ::testing::Test {
 protected:
  RanksTest() {
    if (first()) folder_ = std::make_unique<TemporaryFolder>();
    root_ = broadcast_text(*comm_, first() ? folder_->path().string() : "");
  }
  void TearDown() override { comm_->barrier(); }
  bool first() const { return comm_->rank() == 0; }
  void write(const std::string& name, const std::string& content) {
    comm_->barrier();  // another rank may still read the file that is replaced
    if (first()) write_file(root_ / name, content);
    comm_->barrier();
  }

  std::unique_ptr<Communicator> comm_ = make_mpi_communicator();
  std::filesystem::path root_;

 private:
  std::unique_ptr<TemporaryFolder> folder_;
};

}  // namespace strata::test
