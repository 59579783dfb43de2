// Learning rate schedules: checks of the settings first, then the formulas of schedule.hpp.
#include "strata/optim/schedule.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "strata/base/error.hpp"

namespace strata {
namespace {

constexpr double pi = std::numbers::pi;

[[noreturn]] void refuse(const std::string& key, const std::string& message) {
  throw DeckError("schedule." + key + ": " + message);
}

void expect_ratio(const char* key, double value) {
  if (!(value <= 1)) refuse(key, text("expected a share of the peak rate between 0 and 1, found ", value));
}

/// The upper bound keeps every sum of step counts far from overflow, and every count exact in a double.
void expect_steps(const char* key, std::int64_t value, std::int64_t lowest) {
  constexpr std::int64_t most = 1'000'000'000'000'000;
  if (value < lowest || value > most) refuse(key, text("expected a number of steps from ", lowest, " to ", most, ", found ", value));
}

/// What a schedule of transformers multiplies its rate with on the way up (x from 0 to 1).
double rise(const std::string& shape, double x) {
  if (shape == "cosine") return 0.5 * (1.0 - std::cos(pi * x));
  if (shape == "1-sqrt") return 1.0 - std::sqrt(1.0 - x);
  return x;
}

/// The same on the way down. The products stand in the order of the library, so that the bits are the same.
double fall(const std::string& shape, double x, double cycles) {
  if (shape == "cosine") return 0.5 * (1.0 + std::cos(pi * cycles * 2.0 * x));
  if (shape == "1-sqrt") return 1.0 - std::sqrt(x);
  return 1.0 - x;
}

bool is_shape(const std::string& name) {
  return name == "linear" || name == "cosine" || name == "1-sqrt";
}

}  // namespace

Schedule::Kind Schedule::kind_named(const std::string& name) {
  static constexpr std::array<std::pair<const char*, Kind>, 8> kinds{{{"constant", Kind::constant},
                                                                      {"linear", Kind::linear},
                                                                      {"cosine", Kind::cosine},
                                                                      {"cosine_with_min_lr", Kind::cosine_with_min_lr},
                                                                      {"warmup_stable_decay", Kind::warmup_stable_decay},
                                                                      {"WarmupLR", Kind::warmup},
                                                                      {"WarmupDecayLR", Kind::warmup_decay},
                                                                      {"WarmupCosineLR", Kind::warmup_cosine}}};
  std::string known;
  for (const auto& [spelling, kind] : kinds) {
    if (name == spelling) return kind;
    known += (known.empty() ? "" : ", ") + std::string(spelling);
  }
  refuse("kind", "there is no schedule \"" + name + "\"; known are " + known);
}

Schedule::Schedule(const ScheduleConfig& config, double peak_lr, std::int64_t total_steps)
    : config_(config), kind_(kind_named(config.kind)), peak_(peak_lr) {
  check_numbers();
  check_unused();
  settle_steps(total_steps);
  settle_low();
  if (kind_ == Kind::warmup_stable_decay && config_.warmup_type == "log") config_.warmup_type = "linear";
  settle_shapes();
}

void Schedule::check_numbers() const {
  if (!(peak_ >= 0) || !std::isfinite(peak_)) throw DeckError(text("optimizer.lr: expected a finite number >= 0, found ", peak_));
  expect_steps("warmup_steps", config_.warmup_steps, 0);
  expect_steps("decay_steps", config_.decay_steps, 0);
  expect_steps("stable_steps", config_.stable_steps, -1);
  expect_steps("steps", config_.steps, 0);
  if (std::isnan(config_.min_lr)) refuse("min_lr", "expected a rate >= 0, found nan");
  expect_ratio("min_ratio", config_.min_ratio);
  expect_ratio("warmup_min_ratio", config_.warmup_min_ratio);
  if (config_.warmup_min_ratio < 0) refuse("warmup_min_ratio", text("expected a share between 0 and 1, found ", config_.warmup_min_ratio));
  if (!(config_.cycles > 0) || !std::isfinite(config_.cycles)) refuse("cycles", text("expected a number > 0, found ", config_.cycles));
}

/// A parameter that the kind does not know would be ignored in silence, and cost the run.
void Schedule::check_unused() const {
  const auto among = [&](std::initializer_list<Kind> kinds) { return std::find(kinds.begin(), kinds.end(), kind_) != kinds.end(); };
  const auto only = [&](const char* key, bool given, bool used) {
    if (given && !used)
      refuse(key, "given, but the schedule \"" + config_.kind + "\" has no such parameter; remove it or choose another kind");
  };
  const bool wsd = kind_ == Kind::warmup_stable_decay;
  only("min_lr", config_.min_lr >= 0, among({Kind::cosine_with_min_lr, Kind::warmup, Kind::warmup_decay}));
  only("min_ratio", config_.min_ratio >= 0, wsd || among({Kind::cosine_with_min_lr, Kind::warmup_cosine}));
  only("warmup_min_ratio", config_.warmup_min_ratio > 0, kind_ == Kind::warmup_cosine);
  only("decay_steps", config_.decay_steps > 0, wsd);
  only("stable_steps", config_.stable_steps >= 0, wsd);
  only("decay_type", config_.decay_type != "cosine", wsd);
  only("cycles", config_.cycles != 0.5, wsd || among({Kind::cosine, Kind::cosine_with_min_lr}));
}

void Schedule::settle_steps(std::int64_t total_steps) {
  if (kind_ == Kind::warmup_stable_decay) {
    if (config_.decay_steps == 0 && config_.stable_steps < 0)
      refuse("decay_steps", "warmup_stable_decay needs the length of the decay; for a schedule without decay give stable_steps as well");
    const std::int64_t sum = config_.warmup_steps + config_.stable_steps + config_.decay_steps;
    if (config_.stable_steps >= 0 && config_.steps > 0 && sum != config_.steps)
      refuse("stable_steps", text("warmup_steps + stable_steps + decay_steps = ", sum, " contradicts schedule.steps = ", config_.steps,
                                  "; leave one of them out"));
  }
  if (config_.steps == 0) config_.steps = std::max<std::int64_t>(0, total_steps);
  const bool needed =
      !(kind_ == Kind::constant || kind_ == Kind::warmup || (kind_ == Kind::warmup_stable_decay && config_.stable_steps >= 0));
  if (needed && config_.steps == 0) refuse("steps", "the schedule \"" + config_.kind + "\" needs its length; give it, or train.max_steps");
  // May be negative where warm-up and decay overlap; the decay then begins in its middle, as in transformers.
  if (kind_ == Kind::warmup_stable_decay && config_.stable_steps < 0)
    config_.stable_steps = config_.steps - config_.warmup_steps - config_.decay_steps;
}

void Schedule::settle_low() {
  const bool rate = config_.min_lr >= 0, ratio = config_.min_ratio >= 0;
  if (rate && config_.min_lr > peak_)
    refuse("min_lr", text("the lowest rate ", config_.min_lr, " is above the peak rate optimizer.lr = ", peak_));
  if (kind_ == Kind::cosine_with_min_lr) {
    if (rate == ratio)
      refuse("min_lr",
             rate ? "given together with min_ratio; give one of them" : "cosine_with_min_lr needs min_lr or min_ratio, neither is given");
    low_ = ratio ? config_.min_ratio : (peak_ > 0 ? config_.min_lr / peak_ : 0.0);
  } else if (kind_ == Kind::warmup_stable_decay) {
    low_ = ratio ? config_.min_ratio : 0.0;
  } else if (kind_ == Kind::warmup_cosine) {
    low_ = ratio ? config_.min_ratio : 0.0001;
  } else if (rate) {
    low_ = config_.min_lr;
  }
}

void Schedule::settle_shapes() const {
  const std::string& up = config_.warmup_type;
  if (kind_ == Kind::warmup_stable_decay) {
    if (!is_shape(up)) refuse("warmup_type", "warmup_stable_decay knows linear, cosine and 1-sqrt, found \"" + up + "\"");
    if (!is_shape(config_.decay_type)) refuse("decay_type", "expected linear, cosine or 1-sqrt, found \"" + config_.decay_type + "\"");
  } else if (up != "log" && up != "linear") {
    refuse("warmup_type", "expected log or linear, found \"" + up + "\"");
  }
}

double Schedule::lr(std::int64_t step) const {
  STRATA_ASSERT(step >= 1, "optimizer steps count from 1, asked for step ", step);
  switch (kind_) {
    case Kind::warmup:
    case Kind::warmup_decay:
    case Kind::warmup_cosine:
      return deepspeed_lr(static_cast<double>(step - 2));
    case Kind::warmup_stable_decay:
      return peak_ * stable_decay_factor(static_cast<double>(step - 1));
    default:
      return peak_ * transformers_factor(static_cast<double>(step - 1));
  }
}

double Schedule::transformers_factor(double s) const {
  const double w = static_cast<double>(config_.warmup_steps), t = static_cast<double>(config_.steps);
  if (s < w) return s / std::max(1.0, w);
  if (kind_ == Kind::constant) return 1.0;
  if (kind_ == Kind::linear) return std::max(0.0, (t - s) / std::max(1.0, t - w));
  const double p = (s - w) / std::max(1.0, t - w);
  const double wave = fall("cosine", p, config_.cycles);
  return std::max(0.0, kind_ == Kind::cosine ? wave : wave * (1.0 - low_) + low_);
}

double Schedule::stable_decay_factor(double s) const {
  const double w = static_cast<double>(config_.warmup_steps), n = static_cast<double>(config_.stable_steps),
               d = static_cast<double>(config_.decay_steps);
  if (s < w) return std::max(0.0, rise(config_.warmup_type, s / std::max(1.0, w)) * (1.0 - low_) + low_);
  if (s < w + n) return 1.0;
  if (s < w + n + d) return std::max(0.0, fall(config_.decay_type, (s - w - n) / std::max(1.0, d), config_.cycles) * (1.0 - low_) + low_);
  return low_;
}

double Schedule::deepspeed_lr(double i) const {
  const double w = std::max(2.0, static_cast<double>(config_.warmup_steps)), t = static_cast<double>(config_.steps);
  const bool first = i < 0;
  const double up = first ? 0.0 : config_.warmup_type == "log" ? std::log(i + 1.0) / std::log(w) : i / w;
  if (kind_ == Kind::warmup_cosine) {
    const double m = config_.warmup_min_ratio;
    if (first) return 0.0;
    if (i < w) return peak_ * (m + (1.0 - m) * up);
    const double p = std::min(1.0, (i - w + 1.0) / std::max(1.0, t - w));
    return peak_ * std::max(0.0, low_ + (1.0 - low_) * (1.0 + std::cos(pi * p)) / 2.0);
  }
  const double later = kind_ == Kind::warmup ? 1.0 : std::max(0.0, (t - i) / std::max(1.0, t - w));
  return low_ + (peak_ - low_) * (i < w ? up : later);
}

std::string Schedule::describe() const {
  std::string line = text(config_.kind, ": lr ", peak_);
  const bool deepspeed = kind_ == Kind::warmup || kind_ == Kind::warmup_decay || kind_ == Kind::warmup_cosine;
  const std::int64_t warmup = deepspeed ? std::max<std::int64_t>(2, config_.warmup_steps) : config_.warmup_steps;
  if (warmup > 0) line += text(", ", warmup, " warm-up steps");
  if (deepspeed || kind_ == Kind::warmup_stable_decay) line += " (" + config_.warmup_type + ")";
  if (kind_ == Kind::warmup_stable_decay)
    line += text(", ", config_.stable_steps, " stable steps, ", config_.decay_steps, " decay steps (", config_.decay_type, ")");
  else if (kind_ != Kind::constant && kind_ != Kind::warmup)
    line += text(", ", config_.steps, " steps");
  if (kind_ == Kind::warmup || kind_ == Kind::warmup_decay)
    line += text(", lowest rate ", low_);
  else if (low_ > 0)
    line += text(", lowest rate ", peak_ * low_);
  return line;
}

}  // namespace strata
