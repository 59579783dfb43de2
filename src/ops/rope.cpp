// Rotary embedding: tables at set-up, checks, cost and dispatch.
#include "strata/ops/rope.hpp"

#include <cmath>
#include <numbers>

#include "ops/check.hpp"
#include "ops/cpu/rope.hpp"
#include "ops/cuda/table.hpp"
#include "strata/tensor/values.hpp"

namespace strata {
namespace {

/// Llama 3: wavelengths above original_positions / low_freq_factor are stretched by `factor`, those below original_positions /
/// high_freq_factor kept.
double llama3_frequency(const RopeConfig& config, double frequency) {
  const double periods = static_cast<double>(config.original_positions) * frequency / (2 * std::numbers::pi);
  if (periods < config.low_freq_factor) return frequency / config.factor;
  if (periods > config.high_freq_factor) return frequency;
  const double smooth = (periods - config.low_freq_factor) / (config.high_freq_factor - config.low_freq_factor);
  return (1 - smooth) * frequency / config.factor + smooth * frequency;
}

template <class T>
void fill_tables(const RopeConfig& config, const View& cos, const View& sin) {
  const std::int64_t half = config.head_size / 2, positions = cos.size(0);
  std::vector<T> cosines(static_cast<std::size_t>(positions * half)), sines(cosines.size());
  for (std::int64_t i = 0; i < half; ++i) {
    double frequency = std::pow(config.theta, -2.0 * static_cast<double>(i) / static_cast<double>(config.head_size));
    if (config.llama3) frequency = llama3_frequency(config, frequency);
    frequency = static_cast<double>(static_cast<T>(frequency));
    for (std::int64_t p = 0; p < positions; ++p) {
      const double angle = static_cast<double>(p) * frequency;
      cosines[static_cast<std::size_t>(p * half + i)] = static_cast<T>(std::cos(angle));
      sines[static_cast<std::size_t>(p * half + i)] = static_cast<T>(std::sin(angle));
    }
  }
  set_values(cos, cosines), set_values(sin, sines);
}

void apply(const char* op, Stream& stream, const ConstView& x, const ConstView& cos, const ConstView& sin, const ConstView& positions,
           bool inverse, const View& y) {
  expect_float(op, "x", x), expect_rank(op, "x", x, 3);
  STRATA_ASSERT(x.size(2) % 2 == 0, op, ": head size ", x.size(2), " is odd");
  expect_shape(op, "y", y, x.shape()), expect_type(op, "y", y, x.type());
  expect_rank(op, "cos", cos, 2);
  expect_shape(op, "cos", cos, Shape{cos.size(0), x.size(2) / 2}), expect_type(op, "cos", cos, cpu::sum_type(x.type()));
  expect_shape(op, "sin", sin, cos.shape()), expect_type(op, "sin", sin, cos.type());
  expect_shape(op, "positions", positions, Shape{x.size(0)}), expect_type(op, "positions", positions, DType::i32);
  // Per pair: four products, two sums. The rows of the tables that are read are at most as many as x has.
  const auto timed = stream.record(op, 3 * count_of(x.elements()), count_of(x.bytes() + y.bytes() + positions.bytes()),
                                   {x.type(), {x.size(0) * x.size(1), x.size(2)}});
  if (stream.planning()) return;
  if (stream.on_gpu())
    cuda::ops().rope_rotate(op, stream, x, cos, sin, positions, inverse, y);
  else
    cpu::rope_rotate(op, stream, x, cos, sin, positions, inverse, y);
}

}  // namespace

void rope_tables(const RopeConfig& config, View cos, View sin) {
  constexpr const char* op = "rope_tables";
  STRATA_ASSERT(config.head_size > 0 && config.head_size % 2 == 0, op, ": head size ", config.head_size, ", expected an even number");
  STRATA_ASSERT(!config.llama3 || (config.original_positions > 0 && config.high_freq_factor > config.low_freq_factor), op,
                ": llama3 scaling needs original_positions > 0 and high_freq_factor > low_freq_factor");
  expect_rank(op, "cos", cos, 2);
  expect_shape(op, "cos", cos, Shape{cos.size(0), config.head_size / 2});
  expect_shape(op, "sin", sin, cos.shape()), expect_type(op, "sin", sin, cos.type());
  if (cos.data() == nullptr) return;  // the plan device
  if (cos.type() == DType::f64) return fill_tables<double>(config, cos, sin);
  expect_type(op, "cos", cos, DType::f32);
  fill_tables<float>(config, cos, sin);
}

void rope_forward(Stream& stream, ConstView x, ConstView cos, ConstView sin, ConstView positions, View y) {
  apply("rope_forward", stream, x, cos, sin, positions, false, y);
}

void rope_backward(Stream& stream, ConstView dy, ConstView cos, ConstView sin, ConstView positions, View dx) {
  apply("rope_backward", stream, dy, cos, sin, positions, true, dx);
}

}  // namespace strata
