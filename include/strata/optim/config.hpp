#pragma once
// Settings of the deck's [optimizer] and [schedule] sections.
#include <cstdint>
#include <string>

namespace strata {

struct OptimizerConfig {
  std::string kind = "adamw";
  double lr = 5e-5;  // [1] peak learning rate
  double beta1 = 0.9, beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;
  std::string decay = "matrices";  // matrices | all: which tensors decay
};

/// Names and formulas of semantics S1 and S2. Negative or zero: not given.
struct ScheduleConfig {
  std::string kind =
      "cosine";  // constant | linear | cosine | cosine_with_min_lr | warmup_stable_decay | WarmupLR | WarmupDecayLR | WarmupCosineLR
  std::int64_t warmup_steps = 0;
  std::int64_t steps = 0;             // [steps] length of the whole schedule; 0: train.max_steps
  double min_lr = -1;                 // cosine_with_min_lr; WarmupLR and WarmupDecayLR: warmup_min_lr
  double min_ratio = -1;              // cosine_with_min_lr: min_lr_rate; WarmupCosineLR: cos_min_ratio; warmup_stable_decay: min_lr_ratio
  double warmup_min_ratio = 0;        // WarmupCosineLR
  std::string warmup_type = "log";    // log | linear; warmup_stable_decay: linear (also where this says log) | cosine | 1-sqrt
  std::string decay_type = "cosine";  // warmup_stable_decay: linear | cosine | 1-sqrt
  std::int64_t decay_steps = 0;       // warmup_stable_decay
  std::int64_t stable_steps = -1;     // warmup_stable_decay; -1: what is left
  double cycles = 0.5;                // cosine kinds: number of half waves is twice this
};

}  // namespace strata
