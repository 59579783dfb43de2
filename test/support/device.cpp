#include "support/device.hpp"

#include <cstdlib>
#include <string>

namespace strata::test {

bool tests_on_gpu() {
  const char* device = std::getenv("STRATA_TEST_DEVICE");
  return device && std::string(device) == "cuda";
}

Gpu* test_gpu() {
  if (!tests_on_gpu()) return nullptr;
  // Lives to the end: tensors of static life may hold its memory.
  static Gpu* const gpu = open_gpu(0, 1).release();
  return gpu;
}

Stream test_stream(ThreadPool& pool) {
  return test_gpu() ? Stream::cuda(*test_gpu(), pool) : Stream::cpu(pool);
}

Stream test_stream(ThreadPool& pool, Arena& arena, std::int64_t workspace_bytes) {
  return test_gpu() ? Stream::cuda(*test_gpu(), pool, arena, workspace_bytes) : Stream::cpu(pool, arena, workspace_bytes);
}

DeviceKind test_device() {
  return test_gpu() ? DeviceKind::cuda : DeviceKind::cpu;
}

Arena test_arena(std::int64_t bytes, std::int64_t host_bytes) {
  return test_gpu() ? Arena(*test_gpu(), bytes, host_bytes) : Arena(bytes);
}

TestMemory& TestMemory::operator=(const TestMemory& other) {
  if (this == &other) return *this;
  std::vector<unsigned char> bytes = other.bytes();
  device_.reset();
  host_ = std::move(bytes), lent_ = false;
  return *this;
}

void TestMemory::place() const {
  if (device_ || !test_gpu() || host_.empty()) return;
  device_.emplace(*test_gpu(), static_cast<std::int64_t>(host_.size()));
  device_->take("test", static_cast<std::int64_t>(host_.size()));
  upload();
}

void TestMemory::upload() const {
  if (device_) copy_memory(device_->memory(), host_.data(), static_cast<std::int64_t>(host_.size()));
}

const void* TestMemory::data() const {
  place();
  return device_ ? device_->memory() : host_.data();
}

void* TestMemory::data() {
  place();
  lent_ = true;
  return device_ ? device_->memory() : host_.data();
}

const std::vector<unsigned char>& TestMemory::bytes() const {
  if (device_ && lent_) copy_memory(host_.data(), device_->memory(), static_cast<std::int64_t>(host_.size()));
  return host_;
}

}  // namespace strata::test
