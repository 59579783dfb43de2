#pragma once
// Phase: what this process is doing right now. The watchdog reads it, and messages about ranks that hang quote it. Never decides a result.
#include <cstdint>
#include <string>

namespace strata {

/// One phase per process, set by the thread that drives the run and read by any. Setting one costs a few stores.
class Phase {
 public:
  /// From now on the process is in `what`, a text that lives for ever ("micro-batch"), with its number if it has one.
  static void enter(const char* what, std::int64_t number = -1);
  /// The step all phases from now on belong to; 0: none yet.
  static void set_step(std::int64_t step);
  static std::int64_t step();
  /// Something went forward inside the phase: a piece was read or written, a micro-batch computed. Any thread.
  static void tick();
  /// Changes with every enter() and tick().
  static std::uint64_t ticks();
  /// Whether the driving thread waits for other ranks.
  static bool waiting();
  /// "micro-batch 3 of step 57"
  static std::string text();

  /// While it lives the driving thread waits for other ranks.
  class Wait {
   public:
    Wait();
    ~Wait();
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
  };
};

}  // namespace strata
