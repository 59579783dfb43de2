// Element types, shapes, texts and error classes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "strata/base/clock.hpp"
#include "strata/base/dtype.hpp"
#include "strata/base/error.hpp"
#include "strata/base/shape.hpp"

namespace strata {
namespace {

TEST(BFloat16, RoundsToNearestWithTiesUpward) {
  EXPECT_EQ(BFloat16(1.0f).bits, 0x3f80);
  EXPECT_EQ(BFloat16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f81);  // a tie
  EXPECT_EQ(BFloat16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);  // a tie that ties-to-even would also raise
  EXPECT_EQ(BFloat16(std::bit_cast<float>(0x3f807fffu)).bits, 0x3f80);
  EXPECT_TRUE(std::isinf(static_cast<float>(BFloat16(std::numeric_limits<float>::max()))));
  EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(BFloat16, RemainderFitsSixteenBitsAndIsExact) {
  for (std::uint64_t bits = 0; bits < 0x7f7f0000u; bits += 65521) {
    const auto u = static_cast<std::uint32_t>(bits);
    const std::int64_t remainder = static_cast<std::int64_t>(u) - (std::int64_t{BFloat16(std::bit_cast<float>(u)).bits} << 16);
    ASSERT_GE(remainder, -32768) << u;
    ASSERT_LE(remainder, 32767) << u;
  }
}

TEST(DType, NamesGoBothWays) {
  for (DType type :
       {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u32, DType::i16, DType::u16, DType::u8})
    EXPECT_EQ(dtype_from_name(name_of(type)), type);
  EXPECT_EQ(dtype_from_name("fp32"), DType::f32);
  EXPECT_EQ(dtype_from_name("BFloat16"), DType::bf16);
  EXPECT_THROW(dtype_from_name("fp8"), DataError);
}

TEST(Shape, CountsRowsAndElements) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.elements(), 24);
  EXPECT_EQ(shape.rows(), 6);
  EXPECT_EQ(shape.str(), "[2, 3, 4]");
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_THROW((Shape{1, 2, 3, 4, 5}), InternalError);
}

TEST(Error, ClassesCarryTheirExitCodes) {
  EXPECT_EQ(static_cast<int>(DeckError("").code()), 2);
  EXPECT_EQ(static_cast<int>(DataError("").code()), 3);
  EXPECT_EQ(static_cast<int>(CapacityError("").code()), 4);
  EXPECT_EQ(static_cast<int>(DivergenceError("").code()), 5);
  EXPECT_EQ(static_cast<int>(CommError("").code()), 6);
  EXPECT_EQ(static_cast<int>(InternalError("").code()), 1);
}

TEST(Text, QuantitiesReadWell) {
  EXPECT_EQ(duration_text(725), "12:05");
  EXPECT_EQ(duration_text(11525), "3:12:05");
  EXPECT_EQ(bytes_text(2310000000.0), "2.31 GB");
  EXPECT_EQ(bytes_text(999), "999 B");
}

}  // namespace
}  // namespace strata
