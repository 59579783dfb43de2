#include "strata/optim/loss_scale.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "strata/base/error.hpp"

namespace strata {
namespace {

// Beyond this a scale rises no more: the loss itself has overflowed long before.
constexpr double largest = 0x1p40;

constexpr const char *value_name = "loss_scale", *good_name = "loss_scale_good_steps", *overflows_name = "loss_scale_overflows";

double number_in(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : 0;
}

std::string digits_of(double value) {
  char digits[64];
  return std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

bool is_power_of_two(double value) {
  int exponent = 0;
  return value > 0 && std::isfinite(value) && std::frexp(value, &exponent) == 0.5;
}

}  // namespace

bool is_loss_scale(const std::string& text) {
  const double value = number_in(text);
  return text == "dynamic" || text == "none" || (is_power_of_two(value) && value >= 1 && value <= largest);
}

LossScale::LossScale(const PrecisionConfig& config) {
  if (config.compute != "fp16" || config.loss_scale == "none") return;
  STRATA_ASSERT(is_loss_scale(config.loss_scale), "precision.loss_scale = ", config.loss_scale);
  if (config.loss_scale != "dynamic") {
    value_ = number_in(config.loss_scale);
    return;
  }
  for (const double power : {config.initial_scale, config.scale_growth, config.scale_backoff, config.smallest_scale})
    STRATA_ASSERT(is_power_of_two(power), "a loss scale of ", power, ", expected a power of two");
  STRATA_ASSERT(config.scale_window > 0 && config.scale_growth >= 1 && config.scale_backoff < 1, "a loss scale that cannot follow");
  value_ = config.initial_scale, growth_ = config.scale_growth, backoff_ = config.scale_backoff;
  smallest_ = config.smallest_scale, window_ = config.scale_window;
}

bool LossScale::update_made() {
  if (!adapts() || ++good_ < window_) return false;
  good_ = 0;
  if (value_ * growth_ > largest) return false;
  value_ *= growth_;
  return true;
}

void LossScale::overflowed() {
  STRATA_ASSERT(can_fall(), "a loss scale of ", value_, " cannot fall");
  value_ *= backoff_, good_ = 0, overflows_ += 1;
}

std::string LossScale::str() const {
  return digits_of(value_);
}

std::string LossScale::exhausted_text() const {
  return ", with the loss scale at " + str() + ", which cannot fall below precision.smallest_scale = " + digits_of(smallest_);
}

void LossScale::save(std::map<std::string, std::string>& texts) const {
  if (!adapts() && overflows_ == 0) return;
  texts[value_name] = str(), texts[good_name] = std::to_string(good_), texts[overflows_name] = std::to_string(overflows_);
}

void LossScale::restore(const std::map<std::string, std::string>& texts) {
  const auto whole = [&](const char* name) {
    const auto at = texts.find(name);
    return at == texts.end() ? 0 : std::strtoll(at->second.c_str(), nullptr, 10);
  };
  overflows_ = whole(overflows_name);
  const auto at = texts.find(value_name);
  const double stored = at == texts.end() ? 0 : number_in(at->second);
  if (adapts() && is_power_of_two(stored)) value_ = stored, good_ = whole(good_name);
}

}  // namespace strata
