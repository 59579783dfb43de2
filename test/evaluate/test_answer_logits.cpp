// Answer logits: gathered from any number of ranks in feature order; what is missing or double is an error everywhere.
#include "strata/evaluate/answer_logits.hpp"

#include <gtest/gtest.h>

#include "strata/base/error.hpp"

namespace strata::test {
namespace {

std::vector<float> row(std::int64_t k, std::int64_t sequence) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < 2 * sequence; ++i) values.push_back(static_cast<float>(1000 * k + i));
  return values;
}

TEST(AnswerLogits, ComeToRankZeroFromEveryRank) {
  const auto comm = make_mpi_communicator();
  constexpr std::int64_t features = 13, sequence = 5;
  AnswerLogits logits(features, sequence);
  // The last rank has the first features, and one rank may have none.
  for (std::int64_t k = features - 1; k >= 0; --k)
    if ((k / 7) % comm->size() == comm->size() - 1 - comm->rank()) logits.put(k, row(k, sequence).data());

  logits.gather(*comm);

  if (comm->rank() != 0) return;
  for (std::int64_t k = 0; k < features; ++k) {
    const FeatureLogits of = logits.of(k);
    ASSERT_EQ(of.start.size(), 5u);
    EXPECT_EQ(of.start[0], static_cast<float>(1000 * k));
    EXPECT_EQ(of.end[4], static_cast<float>(1000 * k + 9));
  }
}

TEST(AnswerLogits, EachFeatureComesOnce) {
  const auto comm = make_mpi_communicator();
  AnswerLogits missing(3, 2), twice(2, 2);
  if (comm->rank() == 0) missing.put(1, row(1, 2).data()), twice.put(1, row(1, 2).data());
  if (comm->rank() == comm->size() - 1 && comm->size() > 1) twice.put(1, row(1, 2).data());
  EXPECT_THROW(missing.gather(*comm), Error);
  EXPECT_THROW(twice.gather(*comm), Error);
}

}  // namespace
}  // namespace strata::test
