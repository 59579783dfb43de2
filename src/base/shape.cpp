#include "strata/base/shape.hpp"

#include "strata/base/error.hpp"

namespace strata {

Shape::Shape(std::initializer_list<std::int64_t> sizes) {
  for (std::int64_t size : sizes) append(size);
}

void Shape::append(std::int64_t size) {
  STRATA_ASSERT(rank_ < max_rank, "a shape has at most ", max_rank, " dimensions");
  STRATA_ASSERT(size >= 0, "a dimension of ", size);
  sizes_[static_cast<std::size_t>(rank_++)] = size;
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= sizes_[static_cast<std::size_t>(i)];
  return product;
}

std::string Shape::str() const {
  std::string out = "[";
  for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string((*this)[i]);
  return out + "]";
}

}  // namespace strata
