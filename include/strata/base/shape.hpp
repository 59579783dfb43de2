#pragma once
// Shape: the sizes of up to four dimensions, outermost first.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace strata {

class Shape {
 public:
  static constexpr int max_rank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes);

  int rank() const { return rank_; }
  std::int64_t operator[](int dimension) const { return sizes_[static_cast<std::size_t>(dimension)]; }
  std::int64_t back() const { return rank_ == 0 ? 1 : sizes_[static_cast<std::size_t>(rank_ - 1)]; }
  /// Product of all sizes; 1 for rank 0.
  std::int64_t elements() const;
  /// Product of all sizes but the last: the number of rows.
  std::int64_t rows() const { return rank_ == 0 ? 1 : (back() == 0 ? 0 : elements() / back()); }
  void append(std::int64_t size);
  bool operator==(const Shape&) const = default;
  /// "[2, 512, 1024]"
  std::string str() const;

 private:
  std::array<std::int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

}  // namespace strata
