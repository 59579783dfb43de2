#pragma once
// Learning rate schedules: the rate of every optimizer step as a function of its number, as transformers and DeepSpeed have it (S1, S2).
#include <cstdint>
#include <string>

#include "strata/optim/config.hpp"

namespace strata {

/// Immutable; every function is pure, local and thread-safe. With lr the peak rate, k the step from 1, s = k - 1, i = k - 2,
/// W = warmup_steps, T = steps (or total_steps), c = cycles, wave(p) = (1 + cos(2 pi c p)) / 2:
///
/// transformers; while s < W the rate is lr s / W (W = 0: no warm-up), then, with p = (s - W) / max(1, T - W), not clamped:
///   constant            lr                         (with W > 0 this is transformers' constant_with_warmup)
///   linear              lr max(0, 1 - p)
///   cosine              lr max(0, wave(p))
///   cosine_with_min_lr  lr max(0, wave(p) (1 - r) + r),  r = min_ratio, or min_lr / lr: exactly one of them must be given
///   warmup_stable_decay with D = decay_steps, N = stable_steps (default T - W - D), m = min_ratio (default 0):
///                       s < W: lr (up(s / W) (1 - m) + m);  s < W + N: lr;
///                       s < W + N + D: lr (down((s - W - N) / D) (1 - m) + m);  then lr m
///                       up(x):   linear x,  cosine (1 - cos(pi x)) / 2,  1-sqrt 1 - sqrt(1 - x);  shape warmup_type (log: linear)
///                       down(x): linear 1 - x,  cosine wave(x),  1-sqrt 1 - sqrt(x);      shape decay_type
/// DeepSpeed (0.19.3 and later); W = max(2, warmup_steps); up(i) = ln(i + 1) / ln(W) for warmup_type log, i / W for linear, 0 at the first
/// step:
///   WarmupLR            i < W: a + (lr - a) up(i), then lr;  a = min_lr (default 0)
///   WarmupDecayLR       as WarmupLR, but from i = W on a + (lr - a) max(0, (T - i) / max(1, T - W))
///   WarmupCosineLR      first step 0;  i < W: lr (m + (1 - m) up(i));  then lr max(0, f + (1 - f) (1 + cos(pi p)) / 2),
///                       p = min(1, (i - W + 1) / max(1, T - W)), m = warmup_min_ratio, f = min_ratio (default 0.0001)
///
/// k counts updates that were made: a step skipped for an overflow does not advance it.
class Schedule {
 public:
  /// peak_lr [1]; total_steps [steps] is used where config.steps is 0. Throws DeckError that names schedule.<key> for an unknown kind or
  /// shape, a value out of range, a parameter the kind needs and does not have (min_lr or min_ratio; decay_steps: 0 only together with
  /// stable_steps; steps), and one that it has no use for or that contradicts another.
  Schedule(const ScheduleConfig& config, double peak_lr, std::int64_t total_steps);

  /// Rate [1] that optimizer step `step` (from 1) uses; steps beyond the end are defined too.
  double lr(std::int64_t step) const;
  /// One line for the log: "cosine: lr 5e-05, 10 warm-up steps, 100 steps".
  std::string describe() const;

 private:
  enum class Kind { constant, linear, cosine, cosine_with_min_lr, warmup_stable_decay, warmup, warmup_decay, warmup_cosine };

  static Kind kind_named(const std::string& name);
  void check_numbers() const;
  void check_unused() const;
  void settle_steps(std::int64_t total_steps);
  void settle_low();
  void settle_shapes() const;
  double transformers_factor(double s) const;
  double stable_decay_factor(double s) const;
  double deepspeed_lr(double i) const;

  ScheduleConfig config_;  // steps, stable_steps and warmup_type settled
  Kind kind_;
  double peak_;
  double low_ = 0;  // the ratio r, m or f of the kind; WarmupLR and WarmupDecayLR: the rate a
};

}  // namespace strata
