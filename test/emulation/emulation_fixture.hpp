// A stream, and arrays in device memory, for the emulation's tests.
#pragma once
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace strata::test {

/// First in the statement of a death test: what AddressSanitizer says of it goes to stderr, where the test looks for it, and not among the
/// findings of test/sanitize.sh.
inline void report_to_stderr() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_set_report_fd(reinterpret_cast<void*>(2));  // a descriptor, as the interface wants it
#endif
}

struct Device {
  cudaStream_t stream = nullptr;
  Device() { EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess); }
  ~Device() { EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
};

template <class T>
class DeviceArray {
 public:
  DeviceArray(const Device& device, std::size_t count) : stream_(device.stream), count_(count) {
    EXPECT_EQ(cudaMalloc(&data_, count * sizeof(T)), cudaSuccess);
  }
  DeviceArray(const Device& device, const std::vector<T>& values) : DeviceArray(device, values.size()) {
    EXPECT_EQ(cudaMemcpyAsync(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice, stream_), cudaSuccess);
  }
  ~DeviceArray() { EXPECT_EQ(cudaFree(data_), cudaSuccess); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  operator T*() const { return data_; }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    EXPECT_EQ(cudaMemcpyAsync(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost, stream_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return values;
  }

 private:
  cudaStream_t stream_;
  std::size_t count_;
  T* data_ = nullptr;
};

}  // namespace strata::test
