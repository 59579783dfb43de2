// Hooks of a process that ends: called once, at once, bounded in time, and not when they are gone.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>

#include "strata/base/clock.hpp"
#include "strata/base/end_hook.hpp"

namespace strata {
namespace {

std::shared_ptr<std::atomic<int>> counter() {
  return std::make_shared<std::atomic<int>>(0);
}

TEST(EndHook, IsCalledOnceWhileItLives) {
  const auto calls = counter(), gone = counter();
  {
    const EndHook hook([gone] { ++*gone; });
  }
  const EndHook first([calls] { ++*calls; }), second([calls] { *calls += 10; });

  EXPECT_TRUE(run_end_hooks(60));
  EXPECT_TRUE(run_end_hooks(60));

  EXPECT_EQ(*calls, 11);
  EXPECT_EQ(*gone, 0);
}

TEST(EndHook, WhatAHookThrowsStopsNoOther) {
  const auto calls = counter();
  const EndHook bad([] { throw std::runtime_error("cannot"); }), good([calls] { ++*calls; });
  EXPECT_TRUE(run_end_hooks(60));
  EXPECT_EQ(*calls, 1);
}

// One that hangs is left behind, and holds up neither the others nor the end.
TEST(EndHook, AHookThatHangsIsNotWaitedFor) {
  const auto calls = counter();
  const auto released = std::make_shared<std::promise<void>>();
  const auto over = released->get_future().share();
  {
    const EndHook hangs([over] { over.wait(); });
    const EndHook good([calls] { ++*calls; });
    const Stopwatch watch;
    EXPECT_FALSE(run_end_hooks(0.3));
    EXPECT_GE(watch.seconds(), 0.29);
    std::thread other([calls] {  // somebody else may wait for the same
      while (*calls == 0) std::this_thread::yield();
      EXPECT_FALSE(run_end_hooks(0.01));
    });
    other.join();
    EXPECT_EQ(*calls, 1);
  }
  EXPECT_TRUE(run_end_hooks(60)) << "it is gone";
  released->set_value();
}

}  // namespace
}  // namespace strata
