// The sampler against every recorded case of transformers, a plain second computation at the size of a real vocabulary, and bad input.
#include "strata/evaluate/sampler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "strata/base/error.hpp"
#include "strata/tensor/random.hpp"
#include "support/support.hpp"

namespace strata {
namespace {

using nlohmann::json;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr std::size_t real_vocabulary = 151936;

SamplerConfig config_of(const json& s) {
  SamplerConfig config;
  config.temperature = s.value("temperature", 1.0);
  config.top_k = s.value("top_k", 0);
  config.top_p = s.value("top_p", 1.0);
  config.min_p = s.value("min_p", 0.0);
  config.repetition_penalty = s.value("repetition_penalty", 1.0);
  return config;
}

TEST(Sampler, EqualsEveryRecordedCase) {
  const json file = json::parse(test::read_file(test::data_file("evaluate/sampling.json")));
  const std::vector<TokenId> history = file.at("history");
  ASSERT_EQ(file.at("cases").size(), 189u);
  for (const json& c : file["cases"]) {
    SCOPED_TRACE(c["logits"].dump() + " " + c["settings"].dump());
    std::vector<float> logits;
    for (const json& x : file["logits_times_64"][c["logits"].get<std::string>()])
      logits.push_back(x.is_null() ? -infinity : x.get<float>() / 64);
    std::vector<std::pair<TokenId, double>> expected;
    for (const auto& [id, p] : c["probabilities"].items()) expected.emplace_back(std::stoul(id), p);
    std::sort(expected.begin(), expected.end());

    Sampler sampler(config_of(c["settings"]));
    const auto kept = sampler.distribution(logits, history);

    ASSERT_EQ(kept.ids.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(kept.ids[i], expected[i].first);
      // Below 1.2e-38 the recorded f32 is only a multiple of 1.4e-45.
      ASSERT_NEAR(kept.probabilities[i], expected[i].second, 2e-5 * expected[i].second + 1.5e-45) << "id " << kept.ids[i];
    }
  }
}

/// A second computation straight from the description, with full sorts.
std::vector<std::pair<TokenId, double>> plainly(const SamplerConfig& c, const std::vector<float>& logits,
                                                const std::vector<TokenId>& history) {
  std::vector<float> x = logits;
  for (const TokenId id : std::set<TokenId>(history.begin(), history.end())) {
    const float r = static_cast<float>(c.repetition_penalty);
    x[id] = x[id] < 0 ? x[id] * r : x[id] / r;
  }
  for (float& v : x) v /= static_cast<float>(c.temperature);
  std::vector<TokenId> order(x.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return x[a] != x[b] ? x[a] > x[b] : a > b; });
  if (c.top_k > 0) {
    while (order.size() > static_cast<std::size_t>(c.top_k) && x[order.back()] < x[order[static_cast<std::size_t>(c.top_k) - 1]])
      order.pop_back();
  }
  const auto weight = [&](TokenId id) { return std::exp(double{x[id]} - double{x[order[0]]}); };
  const auto mass = [&] {
    return std::accumulate(order.begin(), order.end(), 0.0, [&](double sum, TokenId id) { return sum + weight(id); });
  };
  if (c.top_p < 1) {
    const double target = c.top_p * mass();
    double above = weight(order[0]);
    std::size_t kept = 1;
    while (kept < order.size() && above < target) above += weight(order[kept++]);
    order.resize(kept);
  }
  while (weight(order.back()) < c.min_p) order.pop_back();
  const double total = mass();
  std::vector<std::pair<TokenId, double>> out;
  for (const TokenId id : order) out.emplace_back(id, weight(id) / total);
  std::sort(out.begin(), out.end());
  return out;
}

/// Normal logits, coarse enough for ties if `step` says so.
std::vector<float> random_logits(std::size_t v, std::uint64_t seed, double spread, double step) {
  std::vector<float> logits(v);
  for (std::size_t i = 0; i < v; ++i) {
    const double x = spread * random_normals(seed, RandomPurpose::test, i, 0)[0];
    logits[i] = static_cast<float>(step > 0 ? std::round(x / step) * step : x);
  }
  return logits;
}

TEST(Sampler, EqualsFullSortsAtTheSizeOfARealVocabulary) {
  const std::vector<TokenId> history{1, 5, 5, 151935, 70000};
  const SamplerConfig configs[] = {{.temperature = 0.6, .top_p = 0.95, .top_k = 20},
                                   {.top_p = 0.9},
                                   {.temperature = 1.7, .top_p = 0.999, .repetition_penalty = 1.2},
                                   {.temperature = 1.5, .min_p = 0.02},
                                   {.top_p = 0.3, .min_p = 0.5, .top_k = 100000},
                                   {.top_p = 0.0}};
  for (const auto& [spread, step] : {std::pair{2.5, 0.0}, {2.5, 0.25}, {0.05, 0.0}, {0.0, 0.0}}) {
    const std::vector<float> logits = random_logits(real_vocabulary, 7, spread, step);
    for (const SamplerConfig& config : configs) {
      SCOPED_TRACE(text("spread ", spread, ", step ", step, ", top_p ", config.top_p, ", top_k ", config.top_k));
      const auto expected = plainly(config, logits, history);
      Sampler sampler(config);

      const auto kept = sampler.distribution(logits, history);

      // Where the cut falls within a rounding error of a sum, one id more or less is right too; the seeds have no such case.
      ASSERT_EQ(kept.ids.size(), expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(kept.ids[i], expected[i].first);
        ASSERT_NEAR(kept.probabilities[i], expected[i].second, 1e-9 * expected[i].second);
      }
    }
  }
}

TEST(Sampler, ReportsItsSpeed) {
  const std::vector<float> logits = random_logits(real_vocabulary, 3, 2.5, 0);
  for (const SamplerConfig& config : {SamplerConfig{}, SamplerConfig{.temperature = 0.6, .top_p = 0.95, .top_k = 20},
                                      SamplerConfig{.top_p = 0.9}, SamplerConfig{.temperature = 0}}) {
    Sampler sampler(config);
    sampler.sample(logits, {}, 0.5);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) sampler.sample(logits, {}, i / 20.0);
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count() / 20;
    RecordProperty(text("ms_temperature_", config.temperature, "_top_k_", config.top_k, "_top_p_", config.top_p), text(ms));
    EXPECT_LT(ms, 500.0);  // far above any machine: a guard against a quadratic step
  }
}

TEST(Sampler, TakesTheFirstIdWhoseSumExceedsU) {
  const std::vector<float> logits{std::log(0.5f), -infinity, std::log(0.25f), std::log(0.25f)};
  Sampler sampler({});

  EXPECT_EQ(sampler.sample(logits, {}, 0.0), 0u);
  EXPECT_EQ(sampler.sample(logits, {}, 0.4999), 0u);
  EXPECT_EQ(sampler.sample(logits, {}, 0.5001), 2u);
  EXPECT_EQ(sampler.sample(logits, {}, 0.7499), 2u);
  EXPECT_EQ(sampler.sample(logits, {}, 0.7501), 3u);
  EXPECT_EQ(sampler.sample(logits, {}, std::nextafter(1.0, 0.0)), 3u);
}

/// Exact ties: four equal probabilities of 1/4 have no rounding error, so both boundaries can be tested at equality.
TEST(Sampler, BoundariesBelongToTheNextId) {
  const std::vector<float> logits(4, 1.0f);
  Sampler all({}), half({.top_p = 0.5});

  EXPECT_EQ(all.sample(logits, {}, 0.25), 1u);
  EXPECT_EQ(all.sample(logits, {}, 0.5), 2u);
  EXPECT_THAT(half.distribution(logits, {}).ids, testing::ElementsAre(2u, 3u));
}

/// 20,000 draws with the random numbers of a run: every id as often as its probability says, within five standard deviations.
TEST(Sampler, DrawsInProportion) {
  const std::vector<float> logits{1, 0, 2, -1, 0.5};
  Sampler sampler({.temperature = 0.8, .top_k = 4});
  std::vector<int> count(5);
  const int draws = 20000;

  for (int i = 0; i < draws; ++i)
    ++count[sampler.sample(logits, {}, random_uniform(11, RandomPurpose::sampling, 0, static_cast<std::uint64_t>(i)))];

  const auto kept = sampler.distribution(logits, {});
  EXPECT_EQ(count[3], 0);
  for (std::size_t i = 0; i < kept.ids.size(); ++i) {
    const double p = kept.probabilities[i];
    EXPECT_NEAR(count[kept.ids[i]], draws * p, 5 * std::sqrt(draws * p * (1 - p)));
  }
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  const std::vector<float> logits{0, 3, 1, 3};
  Sampler plain({.temperature = 0, .top_p = 0.1, .top_k = 1}), penalised({.temperature = 0, .repetition_penalty = 2});
  const std::vector<TokenId> history{1, 1};

  EXPECT_EQ(plain.sample(logits, {}, 0.99), 1u);
  EXPECT_EQ(plain.sample(logits, history, 0.99), 1u);
  EXPECT_EQ(penalised.sample(logits, history, 0.0), 3u);
  EXPECT_THAT(penalised.distribution(logits, history).probabilities, testing::ElementsAre(1.0));
}

TEST(Sampler, RefusesSettingsOutOfRange) {
  const auto refused = [](const SamplerConfig& config, const std::string& message) {
    try {
      Sampler sampler(config);
      ADD_FAILURE() << "accepted; expected: " << message;
    } catch (const DeckError& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr(message));
    }
  };
  refused({.temperature = -0.1}, "generate.temperature: expected a finite number >= 0 (0 is greedy), found -0.1");
  refused({.temperature = std::nan("")}, "generate.temperature");
  refused({.top_p = 1.01}, "generate.top_p: expected a probability between 0 and 1 (1 is off), found 1.01");
  refused({.min_p = -1}, "generate.min_p");
  refused({.repetition_penalty = 0}, "generate.repetition_penalty: expected a finite number > 0");
  refused({.top_k = -3}, "generate.top_k: expected a number of tokens >= 0 (0 is off), found -3");
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
  Sampler sampler({});
  EXPECT_THROW(sampler.sample(std::vector<float>{0, std::nanf("")}, {}, 0.5), DivergenceError);
  EXPECT_THROW(sampler.sample(std::vector<float>{infinity, 0}, {}, 0.5), DivergenceError);
  EXPECT_THROW(sampler.sample(std::vector<float>{-infinity, -infinity}, {}, 0.5), DivergenceError);
  EXPECT_THROW(sampler.sample(std::vector<float>{0, 0}, {}, 1.0), InternalError);
  Sampler penalised({.repetition_penalty = 2});
  EXPECT_THROW(penalised.sample(std::vector<float>{0, 0}, std::vector<TokenId>{2}, 0.5), InternalError);
}

}  // namespace
}  // namespace strata
