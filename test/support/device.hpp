#pragma once
// The device that tests of ops and models run on: the host, or with STRATA_TEST_DEVICE=cuda a GPU, real or emulated. The same tests, the
// same truth.
#include <cstdint>
#include <optional>
#include <vector>

#include "strata/device/compute_device.hpp"

namespace strata::test {

/// Whether tests run on a GPU. Opens none.
bool tests_on_gpu();
/// The GPU of this test; null: tests run on the host.
Gpu* test_gpu();
/// A stream of the tests' device; its workspace grows as asked.
Stream test_stream(ThreadPool& pool);
/// A stream whose scratch and workspace come from an arena of the tests' device.
Stream test_stream(ThreadPool& pool, Arena& arena, std::int64_t workspace_bytes);
/// What a plan for the tests' device plans for.
DeviceKind test_device();
/// An arena in the memory of the tests' device, `host_bytes` of it for what is named "host.".
Arena test_arena(std::int64_t bytes, std::int64_t host_bytes = 0);

/// Bytes in the memory of the tests' device, which the host reads and writes through copies. What an op wrote through a pointer that was
/// handed out is seen whenever the host looks.
class TestMemory {
 public:
  TestMemory() = default;
  TestMemory(std::size_t bytes, unsigned char value) : host_(bytes, value) {}
  TestMemory(const TestMemory& other) : host_(other.bytes()) {}
  TestMemory& operator=(const TestMemory& other);
  TestMemory(TestMemory&&) = default;
  TestMemory& operator=(TestMemory&&) = default;

  /// For ops that read, and that write.
  const void* data() const;
  void* data();
  /// What is there now.
  const std::vector<unsigned char>& bytes() const;
  /// Changes it: edit(bytes).
  template <class Edit>
  void change(Edit&& edit) {
    bytes();
    edit(host_.data());
    upload();
  }

 private:
  void place() const;
  void upload() const;
  mutable std::vector<unsigned char> host_;
  mutable std::optional<Arena> device_;
  bool lent_ = false;  // for writing: the device's bytes may be newer
};

}  // namespace strata::test
