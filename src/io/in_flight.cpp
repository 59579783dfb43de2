// Transfers that overlap: threads take the next index until there is none, or one of them failed.
#include "strata/io/in_flight.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace strata {
namespace {

struct Flight {
  Flight(std::int64_t n, const std::function<void(std::int64_t, int)>& f) : count(n), work(f) {}
  std::int64_t count;
  const std::function<void(std::int64_t, int)>& work;
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  std::int64_t failed = std::numeric_limits<std::int64_t>::max();

  void take(int worker) noexcept {
    for (std::int64_t i = next++; i < count; i = next++) {
      try {
        work(i, worker);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed) failed = i, error = std::current_exception();
        next = count;
      }
    }
  }
};

}  // namespace

void run_in_flight(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& work) {
  Flight flight(count, work);
  std::vector<std::thread> others;
  try {
    for (int worker = 1; worker < std::min<std::int64_t>(threads, count); ++worker)
      others.emplace_back([&flight, worker] { flight.take(worker); });
  } catch (const std::system_error&) {  // fewer threads than wanted: those there are do it all
  }
  flight.take(0);
  for (std::thread& other : others) other.join();
  if (flight.error) std::rethrow_exception(flight.error);
}

TransferBuffer::TransferBuffer(std::int64_t bytes)
    : memory_(static_cast<std::byte*>(::operator new (static_cast<std::size_t>(bytes), std::align_val_t{transfer_alignment}))) {}

void TransferBuffer::Free::operator()(std::byte* memory) const {
  ::operator delete (memory, std::align_val_t{transfer_alignment});
}

}  // namespace strata
