#pragma once
// What tests of ops share: tensors with seeded values in any type, central differences in fp64, and agreement with an fp64 result.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>
#include <vector>

#include "strata/base/half.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/random.hpp"
#include "strata/tensor/values.hpp"
#include "support/device.hpp"

namespace strata::test {

using Doubles = std::vector<double>;

/// Types that ops take on the tests' device: f16 on a GPU only.
inline const std::vector<DType> all_types =
    tests_on_gpu() ? std::vector{DType::f32, DType::bf16, DType::f16, DType::f64} : std::vector{DType::f32, DType::bf16, DType::f64};

/// n standard normal numbers times `scale`, a function of the seed alone.
inline Doubles random_values(std::int64_t n, std::uint64_t seed, double scale = 1.0) {
  Doubles values(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    const auto pair = random_normals(seed, RandomPurpose::test, 0, static_cast<std::uint64_t>(i / 2));
    values[static_cast<std::size_t>(i)] = scale * pair[static_cast<std::size_t>(i % 2)];
  }
  return values;
}

/// n whole numbers in [0, bound), a function of the seed alone.
inline std::vector<std::int32_t> random_ids(std::int64_t n, std::int64_t bound, std::uint64_t seed) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i)
    ids[static_cast<std::size_t>(i)] =
        static_cast<std::int32_t>(random_uniform(seed, RandomPurpose::test, 1, static_cast<std::uint64_t>(i)) * static_cast<double>(bound));
  return ids;
}

/// Calls f(T{}) with the C++ type of a floating element type.
template <class F>
void with_element(DType type, F&& f) {
  if (type == DType::f64)
    f(double{});
  else if (type == DType::f32)
    f(float{});
  else if (type == DType::f16)
    f(Half{});
  else
    f(BFloat16{});
}

/// Every element of a floating view, strided or not, in any memory, as double, in row-major order.
inline Doubles doubles_of(const ConstView& anywhere) {
  const OnHost here(anywhere);
  const ConstView& view = here.view();
  Doubles values;
  values.reserve(static_cast<std::size_t>(view.elements()));
  with_element(view.type(), [&](auto element) {
    using T = decltype(element);
    const T* data = view.as<T>();
    for (std::int64_t i = 0; i < view.elements(); ++i) {
      std::int64_t rest = i, offset = 0;
      for (int d = view.rank() - 1; d >= 0; --d) offset += rest % view.size(d) * view.stride(d), rest /= view.size(d);
      if constexpr (sizeof(T) == 2)
        values.push_back(static_cast<double>(static_cast<float>(data[offset])));
      else
        values.push_back(static_cast<double>(data[offset]));
    }
  });
  return values;
}

/// A tensor that owns its memory, `padding` unused elements (NaN) after each row of the last dimension. Converts to View and ConstView.
class TestTensor {
 public:
  TestTensor() = default;
  TestTensor(DType type, Shape shape, std::int64_t padding = 0) : type_(type), shape_(shape) {
    std::int64_t step = 1;
    for (int d = shape.rank() - 1; d >= 0; --d) {
      strides_[static_cast<std::size_t>(d)] = step;
      step *= shape[d];
      if (d == shape.rank() - 1) step += padding;
    }
    memory_ = TestMemory(static_cast<std::size_t>(std::max<std::int64_t>(step, 1)) * size_of(type), 0xff);  // NaN in every floating type
    set(Doubles(static_cast<std::size_t>(shape.elements()), 0.0));
  }
  TestTensor(DType type, Shape shape, const Doubles& values, std::int64_t padding = 0) : TestTensor(type, shape, padding) { set(values); }

  View view() { return View(memory_.data(), type_, shape_, strides_); }
  ConstView view() const { return ConstView(memory_.data(), type_, shape_, strides_); }
  operator View() { return view(); }             // NOLINT: implicit on purpose
  operator ConstView() const { return view(); }  // NOLINT
  Doubles values() const { return doubles_of(view()); }
  /// Every byte, padding included: for comparing bits.
  const std::vector<unsigned char>& bytes() const { return memory_.bytes(); }

  /// Sets all elements, each rounded to the tensor's type.
  void set(const Doubles& values) {
    memory_.change([&](unsigned char* data) {
      for (std::size_t i = 0; i < values.size(); ++i) put(data, static_cast<std::int64_t>(i), values[i]);
    });
  }
  /// Sets one element by its row-major number.
  void set(std::int64_t index, double value) {
    memory_.change([&](unsigned char* data) { put(data, index, value); });
  }

 private:
  void put(unsigned char* data, std::int64_t index, double value) const {
    std::int64_t rest = index, offset = 0;
    for (int d = shape_.rank() - 1; d >= 0; --d) offset += rest % shape_[d] * strides_[static_cast<std::size_t>(d)], rest /= shape_[d];
    with_element(type_, [&](auto element) {
      using T = decltype(element);
      if constexpr (sizeof(T) == 2)
        reinterpret_cast<T*>(data)[offset] = T(static_cast<float>(value));
      else
        reinterpret_cast<T*>(data)[offset] = static_cast<T>(value);
    });
  }

  DType type_ = DType::f32;
  Shape shape_;
  std::array<std::int64_t, Shape::max_rank> strides_{};
  TestMemory memory_;
};

/// A tensor of whole numbers, i32.
class TestIds {
 public:
  TestIds(std::vector<std::int32_t> ids, Shape shape)
      : ids_(std::move(ids)), memory_(ids_.size() * sizeof(std::int32_t), 0), shape_(shape) {
    if (ids_.empty()) return;  // nothing has no address
    memory_.change([&](unsigned char* data) { std::memcpy(data, ids_.data(), ids_.size() * sizeof(std::int32_t)); });
  }
  explicit TestIds(const std::vector<std::int32_t>& ids) : TestIds(ids, Shape{static_cast<std::int64_t>(ids.size())}) {}
  operator ConstView() const { return ConstView(memory_.data(), DType::i32, shape_); }  // NOLINT
  std::int32_t operator[](std::int64_t i) const { return ids_[static_cast<std::size_t>(i)]; }

 private:
  std::vector<std::int32_t> ids_;
  TestMemory memory_;
  Shape shape_;
};

/// sum_i a_i b_i: a scalar function of a tensor, whose gradient is b.
inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// ||a - b|| / ||b||, or ||a - b|| where b is zero.
inline double relative_difference(const Doubles& a, const Doubles& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), norm += b[i] * b[i];
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

/// d f / d x by central differences, f reading the f64 tensor `x`, which is put back as it was. Two steps per element, 2h and h, combined
/// (Richardson), so that the error is of order h^4.
inline Doubles central_differences(TestTensor& x, const std::function<double()>& f, double h = 1e-3) {
  const Doubles at = x.values();
  Doubles gradient(at.size());
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto difference = [&](double step) {
      x.set(static_cast<std::int64_t>(i), at[i] + step);
      const double above = f();
      x.set(static_cast<std::int64_t>(i), at[i] - step);
      const double below = f();
      x.set(static_cast<std::int64_t>(i), at[i]);
      return (above - below) / (2 * step);
    };
    gradient[i] = (4 * difference(h) - difference(2 * h)) / 3;
  }
  return gradient;
}

/// Expects `gradient`, an op's backward result in fp64, to equal central differences of f with respect to x, relative to the gradient's
/// norm.
inline void expect_gradient(const char* name, TestTensor& x, const Doubles& gradient, const std::function<double()>& f,
                            double tolerance = 1e-8) {
  EXPECT_LT(relative_difference(gradient, central_differences(x, f)), tolerance) << "gradient of " << name;
}

/// Relative error, in norm, that one rounding to a type causes at most; tests multiply it by a factor with its reason.
inline double rounding_of(DType type) {
  return type == DType::f64 ? 0x1p-53 : type == DType::f32 ? 0x1p-24 : type == DType::f16 ? 0x1p-11 : 0x1p-8;
}

}  // namespace strata::test
