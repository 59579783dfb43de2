// Views: strides, slices, splits, and the errors of ops that are given the wrong one.
#include "strata/tensor/view.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace strata {
namespace {

class Views : public ::testing::Test {
 protected:
  Views() { std::iota(memory_.begin(), memory_.end(), 0.0f); }
  float at(const ConstView& view, std::initializer_list<std::int64_t> index) const {
    std::int64_t offset = 0;
    int d = 0;
    for (const std::int64_t i : index) offset += i * view.stride(d++);
    return view.as<float>()[offset];
  }
  std::vector<float> memory_ = std::vector<float>(120);
  View whole_{memory_.data(), DType::f32, Shape{2, 5, 12}};
};

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const InternalError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(Views, ContiguousStridesAndSizes) {
  EXPECT_EQ(whole_.stride(0), 60);
  EXPECT_EQ(whole_.stride(1), 12);
  EXPECT_EQ(whole_.stride(2), 1);
  EXPECT_EQ(whole_.elements(), 120);
  EXPECT_EQ(whole_.bytes(), 480);
  EXPECT_TRUE(whole_.contiguous());
  EXPECT_TRUE(whole_.given());
  EXPECT_FALSE(View().given());
  EXPECT_EQ(at(whole_, {1, 2, 3}), 87.0f);
}

TEST_F(Views, ColumnsAreStridedSlices) {
  const View slice = whole_.columns(4, 6);

  EXPECT_EQ(slice.shape(), (Shape{2, 5, 6}));
  EXPECT_FALSE(slice.contiguous());
  EXPECT_EQ(at(slice, {1, 2, 0}), 88.0f);
  EXPECT_EQ(at(slice.split_last(3, 2), {1, 2, 1, 1}), 91.0f);
}

TEST_F(Views, RowsAndSplitsKeepTheElements) {
  const View rows = whole_.rows(1, 1), flat = whole_.reshaped(Shape{10, 12}), split = flat.split_first(5, 2);

  EXPECT_EQ(at(rows, {0, 2, 3}), 87.0f);
  EXPECT_TRUE(rows.contiguous());
  EXPECT_EQ(at(split, {3, 1, 3}), 87.0f);
  EXPECT_EQ(at(flat.columns(6, 6).split_first(2, 5), {1, 2, 1}), 91.0f);
}

TEST_F(Views, SlicesOfOneElementAreContiguousWhateverTheStride) {
  EXPECT_TRUE(whole_.rows(0, 1).columns(0, 12).contiguous());
  EXPECT_TRUE(View(memory_.data(), DType::f32, Shape{1, 4}, {99, 1}).contiguous());
  EXPECT_FALSE(View(memory_.data(), DType::f32, Shape{2, 4}, {99, 1}).contiguous());
}

TEST_F(Views, PlannedViewsHaveNoMemory) {
  const View planned(nullptr, DType::bf16, Shape{4, 8});

  EXPECT_TRUE(planned.given());
  EXPECT_EQ(planned.columns(2, 4).data(), nullptr);
  EXPECT_EQ(planned.rows(2, 1).data(), nullptr);
}

TEST_F(Views, MisuseIsNamed) {
  EXPECT_NE(message_of([&] { whole_.columns(8, 6); }).find("columns 8+6 of [2, 5, 12]"), std::string::npos);
  EXPECT_NE(message_of([&] { whole_.rows(1, 2); }).find("rows 1+2 of [2, 5, 12]"), std::string::npos);
  EXPECT_NE(message_of([&] { whole_.columns(0, 6).reshaped(Shape{60}); }).find("cannot reshape [2, 5, 6] to [60]"), std::string::npos);
  EXPECT_NE(message_of([&] { whole_.split_last(5, 2); }).find("cannot split [2, 5, 12] into 5 x 2"), std::string::npos);
  EXPECT_NE(message_of([&] { whole_.as<double>(); }).find("a view of f32 used as another type"), std::string::npos);
}

TEST_F(Views, ExpectationsNameOpAndOperand) {
  EXPECT_EQ(message_of([&] { expect_shape("rope", "x", whole_, Shape{2, 5}); }), "rope: x has shape [2, 5, 12], expected [2, 5]");
  EXPECT_EQ(message_of([&] { expect_type("rope", "x", whole_, DType::bf16); }), "rope: x is f32, expected bf16");
  EXPECT_NO_THROW(expect_shape("rope", "x", whole_, Shape{2, 5, 12}));
}

TEST_F(Views, TakenFromAnArena) {
  Arena planning;
  const View planned = take(planning, "activations.x", DType::f32, Shape{3, 5});
  Arena arena(planning.used());
  const View taken = take(arena, "activations.x", DType::f32, Shape{3, 5});

  EXPECT_EQ(planned.data(), nullptr);
  EXPECT_EQ(planning.used(), 64);
  ASSERT_NE(taken.data(), nullptr);
  EXPECT_EQ(taken.as<float>()[14], 0.0f);
}

}  // namespace
}  // namespace strata
