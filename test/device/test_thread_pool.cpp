// Thread pool: every task once, errors carried out, cores shared among ranks.
#include <gtest/gtest.h>
#include <omp.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "strata/base/error.hpp"
#include "strata/device/thread_pool.hpp"

namespace strata {
namespace {

TEST(ThreadPool, EveryTaskOnceByAKnownWorker) {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.threads(), threads);
    for (const std::int64_t tasks : {0, 1, 2, 5, 1000}) {
      std::vector<std::atomic<int>> taken(static_cast<std::size_t>(tasks));
      std::atomic<int> strangers{0};

      pool.run(tasks, [&](std::int64_t task, int worker) {
        taken[static_cast<std::size_t>(task)] += 1;
        if (worker < 0 || worker >= threads) strangers += 1;
      });

      for (const auto& count : taken) EXPECT_EQ(count.load(), 1);
      EXPECT_EQ(strangers.load(), 0);
    }
  }
}

TEST(ThreadPool, AWorkerNumberIsNeverSharedByTwoThreadsAtOnce) {
  ThreadPool pool(3);
  std::vector<std::atomic<int>> inside(3);
  std::atomic<int> clashes{0};

  pool.run(3000, [&](std::int64_t, int worker) {
    auto& here = inside[static_cast<std::size_t>(worker)];
    if (here.fetch_add(1) != 0) clashes += 1;
    here.fetch_sub(1);
  });

  EXPECT_EQ(clashes.load(), 0);
}

TEST(ThreadPool, ResultsOfARunAreVisibleAfterIt) {
  ThreadPool pool(4);
  std::vector<std::int64_t> values(257, 0);
  for (int round = 0; round < 3000; ++round)
    pool.run(257, [&](std::int64_t task, int) { values[static_cast<std::size_t>(task)] += task; });  // not atomic on purpose
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], static_cast<std::int64_t>(i) * 3000);
}

TEST(ThreadPool, WorksAfterSleeping) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pool.run(10, [&](std::int64_t, int) { done += 1; });
  }
  EXPECT_EQ(done.load(), 50);
}

TEST(ThreadPool, AnExceptionComesOutAfterTheOtherTasksEnded) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::atomic<int> done{0};
    const auto failing = [&](std::int64_t task, int) {
      if (task == 5) throw DataError("task five is ill");
      done += 1;
    };

    try {
      pool.run(40, failing);
      FAIL() << "no error";
    } catch (const DataError& error) {
      EXPECT_STREQ(error.what(), "task five is ill");
    }

    EXPECT_EQ(done.load(), 39) << threads << " threads";
    done = 0;
    pool.run(4, [&](std::int64_t, int) { done += 1; });  // the pool still works
    EXPECT_EQ(done.load(), 4);
  }
}

TEST(ThreadPool, OpenMpStaysOnOneThreadInTasks) {
  ThreadPool pool(3);
  std::atomic<int> several{0};
  pool.run(300, [&](std::int64_t, int) { several += omp_get_max_threads() != 1; });
  EXPECT_EQ(several.load(), 0);
}

TEST(ThreadPool, RefusesNoThreads) {
  EXPECT_THROW(ThreadPool(0), InternalError);
}

TEST(ThreadPool, CoresAreSharedAmongRanksAndNeverZero) {
  const int cores = default_threads(1);
  EXPECT_GE(cores, 1);
  EXPECT_EQ(default_threads(0), cores);
  EXPECT_EQ(default_threads(cores), 1);
  EXPECT_EQ(default_threads(100000), 1);
}

}  // namespace
}  // namespace strata
