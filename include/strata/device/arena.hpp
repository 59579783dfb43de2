#pragma once
// Arena: all memory of a run on one device, asked for by name, once, before the first step.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace strata {

class Gpu;

/// Where work runs. `plan` runs nothing and allocates nothing: it records sizes and costs.
enum class DeviceKind { cpu, cuda, plan };
const char* name_of(DeviceKind kind);

/// Memory the host can still give, as the kernel estimates it. [bytes]
std::int64_t available_memory_bytes();

struct ArenaEntry {
  std::string name;        // "activations.layer.3.attention"
  std::int64_t bytes = 0;  // rounded up to the alignment
};

/// The code that takes memory runs twice: on a planning arena, which only counts, then on one of exactly that size. So what was planned is
/// what is allocated, to the byte.
class Arena {
 public:
  static constexpr std::int64_t alignment = 64;

  /// A planning arena: take() returns null and counts.
  Arena() = default;
  /// A real arena of `bytes` zeroed bytes on the host, in huge pages where the kernel gives them. Throws CapacityError.
  explicit Arena(std::int64_t bytes);
  /// A real arena on a GPU, which must outlive it: `bytes` in all, of which `host_bytes` are page-locked memory of the host, for what is
  /// named "host.". Throws CapacityError.
  Arena(Gpu& gpu, std::int64_t bytes, std::int64_t host_bytes = 0);
  /// Memory of another arena, carved anew: for passes whose sizes change within a bound. Owns nothing. `memory` is 64-byte aligned.
  Arena(void* memory, std::int64_t bytes) : base_(static_cast<unsigned char*>(memory)), capacity_(bytes), owns_(false) {}
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&&) = delete;

  bool planning() const { return base_ == nullptr; }
  /// Where the device's memory begins; null when planning.
  void* memory() const { return base_; }
  /// The next `bytes` bytes, 64-byte aligned. Throws InternalError beyond the planned size.
  void* take(const std::string& name, std::int64_t bytes);
  std::int64_t used() const { return used_; }
  /// Of it what is named "host.", and so lies in the host's memory on any device.
  std::int64_t host_used() const { return host_used_; }
  std::int64_t capacity() const { return capacity_; }
  const std::vector<ArenaEntry>& entries() const { return entries_; }
  /// Bytes by the first `depth` parts of the names ("activations", "state.exp_avg"), in order of first appearance.
  std::vector<ArenaEntry> summary(int depth) const;

 private:
  void free();
  unsigned char *base_ = nullptr, *host_base_ = nullptr;  // on a GPU, "host." is apart
  std::int64_t capacity_ = 0, host_capacity_ = 0, used_ = 0, host_used_ = 0;
  bool owns_ = true;
  Gpu* gpu_ = nullptr;  // whose memory it is; null: the host's
  std::vector<ArenaEntry> entries_;
};

}  // namespace strata
