// Device and pinned memory: each allocation between guard pages, device memory closed to the host.
#pragma once
#include <cstddef>
#include <mutex>
#include <string>

namespace emulation {

/// One lock for everything: the emulated device does one thing at a time.
using Guard = std::unique_lock<std::recursive_mutex>;
Guard lock();

enum class Kind { pageable, pinned, device };

struct Allocation {
  Kind kind = Kind::pageable;
  char* begin = nullptr;  // as the caller has it
  std::size_t bytes = 0;
  char* pages = nullptr;  // what is mapped with access
  std::size_t page_bytes = 0;
  bool freed = false;
  int number = 0;  // the how manyeth
};

Allocation* allocate(Kind kind, std::size_t bytes);  // null: more than the device has
bool release(Kind kind, void* pointer);
bool register_host(void* pointer, std::size_t bytes);
bool unregister_host(void* pointer);

/// The live allocation that holds an address, or null.
const Allocation* find(const void* pointer);
/// The allocation, live or freed, in whose mapping or guard pages an address lies. For the handler of signals: takes no lock.
const Allocation* find_near(const void* pointer);

std::size_t device_bytes();       // [bytes] STRATA_EMULATION_MEMORY
std::size_t device_bytes_used();  // [bytes]

/// While one exists, device memory can be touched.
class Open {
 public:
  Open();
  ~Open();
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
};
/// While one exists, it cannot, although it is open: for host functions among a stream's work.
class Closed {
 public:
  Closed();
  ~Closed();
  Closed(const Closed&) = delete;
  Closed& operator=(const Closed&) = delete;

 private:
  int depth_;
};

/// Ends the process if anything was written between the ends of an allocation and its guard pages; `writer` is who ran last.
void check_margins(const std::string& writer);

}  // namespace emulation
