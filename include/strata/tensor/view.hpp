#pragma once
// View: a typed, shaped, strided window on memory that somebody else owns.
#include <array>
#include <cstdint>
#include <string>

#include "strata/base/dtype.hpp"
#include "strata/base/error.hpp"
#include "strata/base/shape.hpp"
#include "strata/device/arena.hpp"

namespace strata {

/// Up to four dimensions, the last one contiguous. Data may be null on the plan device.
template <class Pointer>
class BasicView {
 public:
  BasicView() = default;
  /// Contiguous.
  BasicView(Pointer data, DType type, Shape shape) : data_(data), type_(type), shape_(shape) {
    std::int64_t step = 1;
    for (int d = shape.rank() - 1; d >= 0; --d) strides_[static_cast<std::size_t>(d)] = step, step *= shape[d];
  }
  BasicView(Pointer data, DType type, Shape shape, std::array<std::int64_t, Shape::max_rank> strides)
      : data_(data), type_(type), shape_(shape), strides_(strides) {}
  /// A View is also a ConstView.
  template <class Other, class = std::enable_if_t<std::is_convertible_v<Other, Pointer>>>
  BasicView(const BasicView<Other>& o) : data_(o.data()), type_(o.type()), shape_(o.shape()), strides_(o.strides()) {}  // NOLINT

  /// False for a default-constructed view, which stands for "not given".
  bool given() const { return shape_.rank() > 0; }
  Pointer data() const { return data_; }
  DType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  std::int64_t size(int d) const { return shape_[d]; }
  int rank() const { return shape_.rank(); }
  std::int64_t elements() const { return shape_.elements(); }
  std::int64_t bytes() const { return elements() * static_cast<std::int64_t>(size_of(type_)); }
  const std::array<std::int64_t, Shape::max_rank>& strides() const { return strides_; }
  std::int64_t stride(int d) const { return strides_[static_cast<std::size_t>(d)]; }
  bool contiguous() const {
    std::int64_t step = 1;
    for (int d = rank() - 1; d >= 0; step *= shape_[d], --d)
      if (shape_[d] != 1 && stride(d) != step) return false;
    return true;
  }
  /// Typed pointer; the type must be the view's.
  template <class T>
  auto* as() const {
    STRATA_ASSERT(dtype_of<std::remove_const_t<T>>::value == type_, "a view of ", name_of(type_), " used as another type");
    if constexpr (std::is_const_v<std::remove_pointer_t<Pointer>>)
      return static_cast<const T*>(data_);
    else
      return static_cast<T*>(data_);
  }
  /// The same memory in another shape; contiguous views only.
  BasicView reshaped(Shape shape) const {
    STRATA_ASSERT(contiguous() && shape.elements() == elements(), "cannot reshape ", shape_.str(), " to ", shape.str());
    return BasicView(data_, type_, shape);
  }
  /// Columns [first, first + count) of the last dimension.
  BasicView columns(std::int64_t first, std::int64_t count) const {
    STRATA_ASSERT(first >= 0 && first + count <= shape_.back(), "columns ", first, "+", count, " of ", shape_.str());
    Shape shape;
    for (int d = 0; d + 1 < rank(); ++d) shape.append(shape_[d]);
    shape.append(count);
    return BasicView(advanced(first), type_, shape, strides_);
  }
  /// Rows [first, first + count) of the first dimension.
  BasicView rows(std::int64_t first, std::int64_t count) const {
    STRATA_ASSERT(first >= 0 && first + count <= shape_[0], "rows ", first, "+", count, " of ", shape_.str());
    Shape shape{count};
    for (int d = 1; d < rank(); ++d) shape.append(shape_[d]);
    return BasicView(advanced(first * stride(0)), type_, shape, strides_);
  }
  /// The last dimension split in two: [.., n * m] -> [.., n, m].
  BasicView split_last(std::int64_t n, std::int64_t m) const {
    STRATA_ASSERT(n * m == shape_.back() && rank() < Shape::max_rank, "cannot split ", shape_.str(), " into ", n, " x ", m);
    Shape shape;
    std::array<std::int64_t, Shape::max_rank> strides{};
    for (int d = 0; d + 1 < rank(); ++d) shape.append(shape_[d]), strides[static_cast<std::size_t>(d)] = stride(d);
    shape.append(n), shape.append(m);
    strides[static_cast<std::size_t>(rank() - 1)] = m, strides[static_cast<std::size_t>(rank())] = 1;
    return BasicView(data_, type_, shape, strides);
  }
  /// The first dimension split in two: [n * m, ..] -> [n, m, ..].
  BasicView split_first(std::int64_t n, std::int64_t m) const {
    STRATA_ASSERT(n * m == shape_[0] && rank() < Shape::max_rank, "cannot split ", shape_.str(), " into ", n, " x ", m);
    Shape shape{n, m};
    std::array<std::int64_t, Shape::max_rank> strides{m * stride(0), stride(0)};
    for (int d = 1; d < rank(); ++d) shape.append(shape_[d]), strides[static_cast<std::size_t>(d + 1)] = stride(d);
    return BasicView(data_, type_, shape, strides);
  }

 private:
  Pointer advanced(std::int64_t elements) const {
    using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<Pointer>>, const unsigned char, unsigned char>;
    return data_ ? static_cast<Byte*>(data_) + elements * static_cast<std::int64_t>(size_of(type_)) : data_;
  }

  Pointer data_ = nullptr;
  DType type_ = DType::f32;
  Shape shape_;
  std::array<std::int64_t, Shape::max_rank> strides_{};
};

using View = BasicView<void*>;
using ConstView = BasicView<const void*>;

/// A contiguous tensor from the arena.
inline View take(Arena& arena, const std::string& name, DType type, Shape shape) {
  return View(arena.take(name, shape.elements() * static_cast<std::int64_t>(size_of(type))), type, shape);
}

/// Throws InternalError unless the view has this type and shape. For op fronts: what[, expected].
void expect_shape(const char* op, const char* what, const ConstView& view, const Shape& shape);
void expect_type(const char* op, const char* what, const ConstView& view, DType type);

}  // namespace strata
