#pragma once
// Transfers that overlap: a few threads of its own, which mostly wait for the disk.
#include <cstdint>
#include <functional>
#include <memory>

namespace strata {

/// Threads that keep a disk busy while others hash and copy.
inline constexpr int transfers_in_flight = 4;
/// The same for reading through the page cache, which reads ahead by itself: more only disturb it.
inline constexpr int reads_in_flight = 2;
/// Offsets, lengths and memory of transfers past the page cache are multiples of this. [bytes]
inline constexpr std::int64_t transfer_alignment = 4096;

/// Calls work(i, worker) for every i below `count`, started in rising order by at most `threads` threads, worker being below `threads`.
/// After a failure no further i is begun, and the failure with the smallest i that occurred is thrown when all threads have ended. Local.
void run_in_flight(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& work);

/// Memory for transfers past the page cache, aligned and not cleared.
class TransferBuffer {
 public:
  explicit TransferBuffer(std::int64_t bytes);
  std::byte* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
};

}  // namespace strata
