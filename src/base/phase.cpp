// The phase as atomics: a reader may see the name of one phase with the number of the next, which a message survives.
#include "strata/base/phase.hpp"

#include <atomic>

#include "strata/base/error.hpp"

namespace strata {
namespace {
constexpr auto relaxed = std::memory_order_relaxed;
std::atomic<const char*> current{"the start"};
std::atomic<std::int64_t> current_number{-1}, current_step{0};
std::atomic<std::uint64_t> progress{0};
std::atomic<int> waits{0};
}  // namespace

void Phase::enter(const char* what, std::int64_t number) {
  current.store(what, relaxed);
  current_number.store(number, relaxed);
  tick();
}

void Phase::set_step(std::int64_t step) {
  current_step.store(step, relaxed);
}

std::int64_t Phase::step() {
  return current_step.load(relaxed);
}

void Phase::tick() {
  progress.fetch_add(1, relaxed);
}

std::uint64_t Phase::ticks() {
  return progress.load(relaxed);
}

bool Phase::waiting() {
  return waits.load(relaxed) > 0;
}

std::string Phase::text() {
  const std::int64_t number = current_number.load(relaxed), step = current_step.load(relaxed);
  return strata::text(current.load(relaxed), number < 0 ? "" : strata::text(" ", number), step > 0 ? strata::text(" of step ", step) : "");
}

Phase::Wait::Wait() {
  waits.fetch_add(1, relaxed);
  tick();
}

Phase::Wait::~Wait() {
  waits.fetch_sub(1, relaxed);
  tick();
}

}  // namespace strata
