#include "comm/staging.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace strata {
namespace {

constexpr std::size_t least_bytes = 64 * 1024;

}  // namespace

std::size_t staging_block(std::size_t bytes) {
  return std::bit_ceil(std::max(bytes, least_bytes));
}

StagingPool::~StagingPool() {
  for (const Block& block : blocks_) gpu_.release_host(block.memory);
}

// The smallest that is free and large enough.
StagingPool::Block* StagingPool::find(std::size_t bytes) {
  Block* best = nullptr;
  for (Block& block : blocks_)
    if (block.state == Block::free && block.bytes >= bytes && (!best || block.bytes < best->bytes)) best = &block;
  return best;
}

StagingPool::Block* StagingPool::take(std::size_t bytes) {
  Block* block = find(bytes);
  if (!block &&
      std::any_of(blocks_.begin(), blocks_.end(), [&](const Block& b) { return b.state == Block::leaving && b.bytes >= bytes; })) {
    wait();
    block = find(bytes);
  }
  if (!block) {
    const std::size_t size = staging_block(bytes);
    block = &blocks_.emplace_back(Block{static_cast<char*>(gpu_.allocate_host(static_cast<std::int64_t>(size))), size, Block::free});
  }
  block->state = Block::taken;
  return block;
}

void StagingPool::wait() {
  gpu_.wait();
  for (Block& block : blocks_)
    if (block.state == Block::leaving) block.state = Block::free;
}

std::size_t StagingPool::bytes() const {
  return std::accumulate(blocks_.begin(), blocks_.end(), std::size_t{0}, [](std::size_t sum, const Block& b) { return sum + b.bytes; });
}

void* Staging::place(void* data, std::size_t bytes, bool in, bool out) {
  if (bytes == 0 || !gpu_of(data)) return data;
  // One shard goes to many.
  for (const Part& part : parts_)
    if (!out && !part.out && part.data == data && part.bytes == bytes) return part.block->memory;
  StagingPool::Block* const block = pool_->take(bytes);
  parts_.push_back({data, bytes, out, block});
  if (in) pool_->gpu().copy(block->memory, data, static_cast<std::int64_t>(bytes)), reads_ = true;
  return block->memory;
}

void Staging::begin() {
  if (reads_) pool_->wait();
}

void Staging::end() {
  for (const Part& part : parts_) {
    if (part.out) pool_->gpu().copy(part.data, part.block->memory, static_cast<std::int64_t>(part.bytes));
    part.out ? StagingPool::leave(part.block) : StagingPool::free(part.block);
  }
  parts_.clear();
}

}  // namespace strata
