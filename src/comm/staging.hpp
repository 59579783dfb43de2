#pragma once
// Page-locked memory of the host through which GPU memory travels.
#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "strata/device/gpu.hpp"

namespace strata {

/// The size of the block that holds so many bytes: few sizes, so that blocks fit again.
std::size_t staging_block(std::size_t bytes);
/// Sums over ranks of a whole model's gradients are staged in pieces. [bytes]
constexpr std::size_t staged_sum_bytes = std::size_t{64} << 20;

/// Blocks of page-locked memory, used again and again. It outlives every call that uses it.
class StagingPool {
 public:
  explicit StagingPool(Gpu& gpu) : gpu_(gpu) {}
  ~StagingPool();
  StagingPool(const StagingPool&) = delete;
  StagingPool& operator=(const StagingPool&) = delete;

  struct Block {
    char* memory;
    std::size_t bytes;
    enum { free, taken, leaving } state;
  };
  /// A block of at least so many bytes. Waits for blocks that leave before it takes more memory.
  Block* take(std::size_t bytes);
  /// The queue holds copies out of the block: it is free when they are done.
  static void leave(Block* block) { block->state = Block::leaving; }
  static void free(Block* block) { block->state = Block::free; }
  /// Waits for the queue.
  void wait();
  Gpu& gpu() { return gpu_; }
  std::size_t bytes() const;  // in all

 private:
  Block* find(std::size_t bytes);
  Gpu& gpu_;
  std::deque<Block> blocks_;
};

/// The memory of one call: stand-ins for what lies on the GPU, host memory itself.
class Staging {
 public:
  explicit Staging(std::shared_ptr<StagingPool> pool) : pool_(std::move(pool)) {}
  Staging(Staging&&) = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  /// An exception on its way: MPI may still use the blocks, so they are not given out again.
  ~Staging() = default;

  /// Memory to be read by the call, to be written, or both.
  void* in(const void* data, std::size_t bytes) { return place(const_cast<void*>(data), bytes, true, false); }
  void* out(void* data, std::size_t bytes) { return place(data, bytes, false, true); }
  void* in_out(void* data, std::size_t bytes) { return place(data, bytes, true, true); }
  /// To be called when all is named, before the call: what it reads is there.
  void begin();
  /// And after it: what it wrote is on its way to the GPU, in the queue's order.
  void end();
  bool used() const { return !parts_.empty(); }

 private:
  struct Part {
    void* data;
    std::size_t bytes;
    bool out;
    StagingPool::Block* block;
  };
  void* place(void* data, std::size_t bytes, bool in, bool out);
  std::shared_ptr<StagingPool> pool_;
  std::vector<Part> parts_;
  bool reads_ = false;
};

}  // namespace strata
