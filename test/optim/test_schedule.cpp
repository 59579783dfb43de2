// Schedules against every recorded case of transformers and DeepSpeed, the reference numbers of semantics S1 and S2, and bad settings.
#include "strata/optim/schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "support/support.hpp"

namespace strata {
namespace {

using nlohmann::json;

/// The settings of a recorded case, whose parameters have the libraries' names.
ScheduleConfig config_of(const json& c) {
  ScheduleConfig config;
  config.kind = c.at("kind") == "constant_with_warmup" ? "constant" : c.at("kind").get<std::string>();
  config.warmup_steps = c.contains("warmup_steps") ? c["warmup_steps"] : c.at("warmup_num_steps");
  config.min_lr = c.value("min_lr", c.value("warmup_min_lr", -1.0));
  config.min_ratio = c.value("min_lr_rate", c.value("min_lr_ratio", c.value("cos_min_ratio", -1.0)));
  config.warmup_min_ratio = c.value("warmup_min_ratio", 0.0);
  config.warmup_type = c.value("warmup_type", "log");
  config.decay_type = c.value("decay_type", "cosine");
  config.decay_steps = c.value("num_decay_steps", 0);
  config.stable_steps = c.value("num_stable_steps", -1);
  config.cycles = c.value("num_cycles", 0.5);
  // Without decay Strata wants the stable steps said; transformers computes the same number.
  if (config.kind == "warmup_stable_decay" && config.decay_steps == 0)
    config.stable_steps = c.at("total_steps").get<std::int64_t>() - config.warmup_steps;
  return config;
}

TEST(Schedule, EqualsEveryRecordedCase) {
  const json file = json::parse(test::read_file(test::data_file("optim/schedules.json")));
  double worst = 0;
  int rates = 0;
  for (const json& c : file.at("cases")) {
    SCOPED_TRACE(c.dump().substr(0, 200));
    const Schedule schedule(config_of(c), c.at("base_lr"), c.at("total_steps"));
    std::vector<double> expected = c.at("lr"), beyond = c.at("lr_beyond");
    ASSERT_EQ(std::ssize(expected), c.at("total_steps").get<std::int64_t>());
    expected.insert(expected.end(), beyond.begin(), beyond.end());

    for (std::size_t k = 0; k < expected.size(); ++k) {
      const double rate = schedule.lr(static_cast<std::int64_t>(k) + 1);
      ASSERT_LE(std::abs(rate - expected[k]), 1e-12 * std::abs(expected[k])) << "step " << k + 1 << ": " << rate << " for " << expected[k];
      if (expected[k] != 0) worst = std::max(worst, std::abs(rate / expected[k] - 1));
      ++rates;
    }
  }
  RecordProperty("largest_relative_difference", text(worst));
  EXPECT_EQ(file["cases"].size(), 101u);
  EXPECT_GT(rates, 3000);
}

/// The numbers that semantics.md states, computed by other means than the recorded cases.
TEST(Schedule, MeetsTheReferenceNumbersOfCosineWithMinLr) {
  ScheduleConfig config;
  config.kind = "cosine_with_min_lr";
  config.min_lr = 1e-7;
  config.warmup_steps = 100;
  const Schedule schedule(config, 1e-5, 10000);

  const std::pair<std::int64_t, double> known[] = {{2, 1e-7}, {51, 5e-6}, {101, 1e-5}, {5000, 5.130107e-6}, {10000, 1.000002e-7}};
  EXPECT_EQ(schedule.lr(1), 0.0);
  for (const auto& [step, rate] : known) EXPECT_NEAR(schedule.lr(step), rate, 1e-6 * rate) << "step " << step;
}

TEST(Schedule, WarmupCosineFallsToItsDefaultShareAndStays) {
  ScheduleConfig config;
  config.kind = "WarmupCosineLR";
  config.warmup_steps = 10;
  const Schedule schedule(config, 5e-5, 100);

  EXPECT_EQ(schedule.lr(1), 0.0);
  EXPECT_NEAR(schedule.lr(3), 1.505150e-5, 1e-11);
  EXPECT_NEAR(schedule.lr(101), 5e-9, 1e-20);
  EXPECT_EQ(schedule.lr(101), schedule.lr(5000));
}

TEST(Schedule, OwnStepsWinOverTheRunsLength) {
  ScheduleConfig config;
  config.kind = "linear";
  config.steps = 10;

  EXPECT_EQ(Schedule(config, 1.0, 1000).lr(6), 0.5);
  config.steps = 0;
  EXPECT_EQ(Schedule(config, 1.0, 20).lr(6), 0.75);
}

TEST(Schedule, DescribesItself) {
  ScheduleConfig config;
  config.warmup_steps = 10;
  EXPECT_EQ(Schedule(config, 5e-5, 100).describe(), "cosine: lr 5e-05, 10 warm-up steps, 100 steps");
  config.kind = "WarmupLR";
  EXPECT_EQ(Schedule(config, 5e-5, 0).describe(), "WarmupLR: lr 5e-05, 10 warm-up steps (log), lowest rate 0");
  config.kind = "warmup_stable_decay";
  config.decay_steps = 30;
  config.min_ratio = 0.1;
  EXPECT_EQ(Schedule(config, 1e-3, 100).describe(),
            "warmup_stable_decay: lr 0.001, 10 warm-up steps (linear), 60 stable steps, 30 decay steps (cosine), lowest rate 0.0001");
  config = {};
  config.kind = "constant";
  EXPECT_EQ(Schedule(config, 1e-3, 0).describe(), "constant: lr 0.001");
}

/// Builds the kind after `change`, and expects a DeckError whose message begins with `begin` and contains `part`.
void expect_refused(const std::string& kind, void (*change)(ScheduleConfig&), const std::string& begin, const std::string& part,
                    std::int64_t total_steps = 100) {
  ScheduleConfig config;
  config.kind = kind;
  change(config);
  try {
    Schedule schedule(config, 1e-3, total_steps);
    ADD_FAILURE() << kind << " was accepted; expected: " << begin << " ... " << part;
  } catch (const DeckError& e) {
    EXPECT_THAT(e.what(), testing::StartsWith(begin));
    EXPECT_THAT(e.what(), testing::HasSubstr(part));
  }
}

TEST(Schedule, RefusesMissingParameters) {
  const auto nothing = [](ScheduleConfig&) {};
  expect_refused("cosine_with_min_lr", nothing, "schedule.min_lr:", "neither is given");
  expect_refused("warmup_stable_decay", nothing, "schedule.decay_steps:", "needs the length of the decay");
  for (const char* kind : {"linear", "cosine", "WarmupDecayLR", "WarmupCosineLR"}) {
    expect_refused(kind, nothing, "schedule.steps:", "train.max_steps", 0);
  }
  expect_refused(
      "warmup_stable_decay", [](ScheduleConfig& c) { c.decay_steps = 3; }, "schedule.steps:", "needs its length", 0);
}

TEST(Schedule, RefusesContradictions) {
  expect_refused(
      "cosine_with_min_lr", [](ScheduleConfig& c) { c.min_lr = 1e-4, c.min_ratio = 0.1; }, "schedule.min_lr:", "give one of them");
  expect_refused(
      "cosine_with_min_lr", [](ScheduleConfig& c) { c.min_lr = 1e-2; }, "schedule.min_lr:", "above the peak rate optimizer.lr = 0.001");
  expect_refused(
      "warmup_stable_decay", [](ScheduleConfig& c) { c.steps = 10, c.stable_steps = 4, c.decay_steps = 5; },
      "schedule.stable_steps:", "= 9 contradicts schedule.steps = 10");
  expect_refused(
      "linear", [](ScheduleConfig& c) { c.min_lr = 0; }, "schedule.min_lr:", "\"linear\" has no such parameter");
  expect_refused(
      "WarmupLR", [](ScheduleConfig& c) { c.min_ratio = 0.1; }, "schedule.min_ratio:", "no such parameter");
  expect_refused(
      "cosine", [](ScheduleConfig& c) { c.warmup_min_ratio = 0.1; }, "schedule.warmup_min_ratio:", "no such parameter");
  expect_refused(
      "cosine", [](ScheduleConfig& c) { c.decay_steps = 1; }, "schedule.decay_steps:", "no such parameter");
  expect_refused(
      "cosine", [](ScheduleConfig& c) { c.stable_steps = 0; }, "schedule.stable_steps:", "no such parameter");
  expect_refused(
      "cosine", [](ScheduleConfig& c) { c.decay_type = "linear"; }, "schedule.decay_type:", "no such parameter");
  expect_refused(
      "WarmupCosineLR", [](ScheduleConfig& c) { c.cycles = 1; }, "schedule.cycles:", "no such parameter");
}

TEST(Schedule, RefusesValuesOutOfRange) {
  expect_refused(
      "linear", [](ScheduleConfig& c) { c.warmup_steps = INT64_MAX; }, "schedule.warmup_steps:", "to 1000000000000000, found 9223");
  expect_refused(
      "warmup_stable_decay", [](ScheduleConfig& c) { c.stable_steps = -2; }, "schedule.stable_steps:", "found -2");
  expect_refused(
      "cosin", [](ScheduleConfig&) {}, "schedule.kind:", "known are constant, linear, cosine,");
  expect_refused(
      "cosine", [](ScheduleConfig& c) { c.warmup_steps = -1; }, "schedule.warmup_steps:", "found -1");
  expect_refused(
      "cosine", [](ScheduleConfig& c) { c.steps = -5; }, "schedule.steps:", "found -5");
  expect_refused(
      "cosine", [](ScheduleConfig& c) { c.cycles = 0; }, "schedule.cycles:", "found 0");
  expect_refused(
      "cosine", [](ScheduleConfig& c) { c.warmup_type = "cosine"; }, "schedule.warmup_type:", "expected log or linear");
  expect_refused(
      "warmup_stable_decay", [](ScheduleConfig& c) { c.decay_steps = -2; }, "schedule.decay_steps:", "found -2");
  expect_refused(
      "warmup_stable_decay", [](ScheduleConfig& c) { c.decay_steps = 2, c.decay_type = "log"; }, "schedule.decay_type:", "found \"log\"");
  expect_refused(
      "WarmupCosineLR", [](ScheduleConfig& c) { c.min_ratio = 1.5; }, "schedule.min_ratio:", "found 1.5");
  expect_refused(
      "WarmupCosineLR", [](ScheduleConfig& c) { c.warmup_min_ratio = -0.5; }, "schedule.warmup_min_ratio:", "found -0.5");
  expect_refused(
      "cosine_with_min_lr", [](ScheduleConfig& c) { c.min_lr = std::nan(""); }, "schedule.min_lr:", "found nan");
  EXPECT_THROW(Schedule({}, -1.0, 10), DeckError);
  EXPECT_THROW(Schedule({}, 1.0, 10).lr(0), InternalError);
}

}  // namespace
}  // namespace strata
