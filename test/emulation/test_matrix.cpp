// The emulation's matrix instructions and asynchronous copies.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "emulation/emulation_fixture.hpp"
#include "emulation/kernels/kernels.hpp"

using strata::test::Device;
using strata::test::DeviceArray;

namespace {

float value(int i) {
  return static_cast<float>((i * 37 % 41) - 20) / 8.0f;  // exact in all three types
}

// 1 + A B, with A [16,K] by rows and B [K,8] by columns or rows.
std::vector<float> product(int K, bool b_by_rows) {
  std::vector<float> d(128);
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 8; ++n) {
      float sum = 1.0f;
      for (int k = 0; k < K; ++k) sum += value(m * K + k) * value(7 + (b_by_rows ? k * 8 + n : n * K + k));
      d[static_cast<std::size_t>(m * 8 + n)] = sum;
    }
  }
  return d;
}

template <class Bits, class F>
std::vector<Bits> filled(int count, int first, F bits) {
  std::vector<Bits> values;
  for (int i = 0; i < count; ++i) values.push_back(bits(value(first + i)));
  return values;
}

std::uint16_t bf16(float x) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(x));
}
std::uint16_t f16(float x) {
  return __half_as_ushort(__float2half_rn(x));
}

}  // namespace

TEST(EmulatedMatrix, Mma) {
  Device device;
  for (const auto type : {kernels::Mma::bf16, kernels::Mma::f16}) {
    const auto bits = type == kernels::Mma::bf16 ? bf16 : f16;
    const DeviceArray<std::uint16_t> a(device, filled<std::uint16_t>(256, 0, bits)), b(device, filled<std::uint16_t>(128, 7, bits));
    const DeviceArray<float> d(device, 128);
    kernels::mma(type, a, b, d, device.stream);
    EXPECT_EQ(d.read(), product(16, false));
  }
  const auto bits = [](float x) { return std::bit_cast<std::uint32_t>(x) | 0x1fffu; };  // bits that tf32 does not have
  const DeviceArray<std::uint32_t> a(device, filled<std::uint32_t>(128, 0, bits)), b(device, filled<std::uint32_t>(64, 7, bits));
  const DeviceArray<float> d(device, 128);
  kernels::mma(kernels::Mma::tf32, a, b, d, device.stream);
  EXPECT_EQ(d.read(), product(8, false));
}

TEST(EmulatedMatrix, MmaThroughLdmatrix) {
  Device device;
  const DeviceArray<std::uint16_t> a(device, filled<std::uint16_t>(256, 0, bf16)), b(device, filled<std::uint16_t>(128, 7, bf16));
  const DeviceArray<float> d(device, 128);

  kernels::mma_from_shared(a, b, d, device.stream);

  EXPECT_EQ(d.read(), product(16, true));
}

TEST(EmulatedMatrix, Ldmatrix) {
  Device device;
  std::vector<std::uint16_t> rows(256);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::uint16_t>(i);
  const DeviceArray<std::uint16_t> d_rows(device, rows);
  const DeviceArray<unsigned> d_registers(device, 128);
  for (const int count : {4, 2}) {
    for (const bool transposed : {false, true}) {
      kernels::load_matrices(d_rows, d_registers, count, transposed, device.stream);
      const auto registers = d_registers.read();
      for (int lane = 0; lane < 32; ++lane) {
        for (int m = 0; m < count; ++m) {
          const int i = lane / 4, j = lane % 4 * 2;
          const int low = 64 * m + (transposed ? 8 * j + i : 8 * i + j), high = low + (transposed ? 8 : 1);
          EXPECT_EQ(registers[static_cast<std::size_t>(4 * lane + m)], static_cast<unsigned>(low | high << 16))
              << count << transposed << lane;
        }
      }
    }
  }
}

TEST(EmulatedMatrix, AsynchronousCopiesWantTheirWait) {
  Device device;
  std::vector<float> x(512);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  const DeviceArray<float> d_x(device, x), d_y(device, 512);

  kernels::copy_async(d_x, d_y, 400, true, device.stream);
  const auto waited = d_y.read();
  kernels::copy_async(d_x, d_y, 400, false, device.stream);
  const auto forgotten = d_y.read();

  for (std::size_t i = 0; i < 512; ++i) {
    EXPECT_EQ(waited[i], i < 400 ? x[i] : 0.0f);
    EXPECT_TRUE(std::isnan(forgotten[i]));
  }
}
