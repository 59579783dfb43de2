// Main of the tests that run under mpirun: every rank runs every test; a failure on any rank fails all.
#include <gtest/gtest.h>
#include <mpi.h>

#include <cstdio>
#include <string>

#include "support/support.hpp"

namespace {
/// Marks the lines of ranks other than 0, and keeps their successes quiet.
class RankPrinter : public ::testing::EmptyTestEventListener {
 public:
  RankPrinter(int rank, int size) : rank_(rank), size_(size) {}
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (result.failed())
      std::fprintf(stderr, "[Rank %d/%d] %s:%d: %s\n", rank_, size_, result.file_name() ? result.file_name() : "?", result.line_number(),
                   result.message());
  }

 private:
  int rank_, size_;
};
}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  ::testing::InitGoogleTest(&argc, argv);
  if (rank != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new RankPrinter(rank, size));
  }
  int status = strata::test::exit_status(RUN_ALL_TESTS());
  int failed = status != 0 && status != 77, any = 0;
  MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  MPI_Finalize();
  return any ? 1 : status;
}
