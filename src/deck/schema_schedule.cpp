// Keys of [schedule]: kind, warm-up, length and lowest rate.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_schedule() {
  using C = ScheduleConfig;
  Table<C> table("schedule", "The learning rate over the steps (semantics S1 and S2).", &Settings::schedule);
  table
      .row("kind", &C::kind,
           Choice({{"constant", "linear", "cosine", "cosine_with_min_lr", "warmup_stable_decay", "WarmupLR", "WarmupDecayLR",
                    "WarmupCosineLR"}}),
           "", "Shape, under the names of transformers and DeepSpeed.")
      .fixed();
  table.row("warmup_steps", &C::warmup_steps, Whole::at_least(0), "steps", "Steps of rising learning rate.")
      .fixed()
      .was("warmup_num_steps");
  table.row("steps", &C::steps, Whole::at_least(1).word("auto", 0), "steps", "Length of the whole schedule; auto: train.max_steps.")
      .fixed()
      .was("total_num_steps");
  table
      .row("min_lr", &C::min_lr, Real::at_least(0).word("none", -1), "1",
           "cosine_with_min_lr: lowest learning rate; WarmupLR, WarmupDecayLR: learning rate at the start.")
      .fixed()
      .was("warmup_min_lr");
  table
      .row("min_ratio", &C::min_ratio, Real::between(0, 1).word("none", -1), "1",
           "Lowest share of the peak: cosine_with_min_lr, warmup_stable_decay (none: 0), WarmupCosineLR (none: 0.0001).")
      .fixed()
      .was("cosine_min_ratio")
      .was("cos_min_ratio")
      .was("min_lr_rate")
      .was("min_lr_ratio");
  table.row("warmup_min_ratio", &C::warmup_min_ratio, Real::between(0, 1), "1", "WarmupCosineLR: share of the peak at the start.").fixed();
  table
      .row("warmup_type", &C::warmup_type, Choice({{"log", "linear", "cosine", "1-sqrt"}}), "",
           "Shape of the rise: log or linear for the Warmup kinds; linear (also for log), cosine or 1-sqrt for warmup_stable_decay.")
      .fixed();
  table.row("decay_type", &C::decay_type, Choice({{"linear", "cosine", "1-sqrt"}}), "", "warmup_stable_decay: shape of the fall.").fixed();
  table.row("decay_steps", &C::decay_steps, Whole::at_least(0), "steps", "warmup_stable_decay: steps of falling learning rate.")
      .fixed()
      .was("num_decay_steps");
  table
      .row("stable_steps", &C::stable_steps, Whole::at_least(0).word("auto", -1), "steps",
           "warmup_stable_decay: steps at the peak; auto: what is left.")
      .fixed()
      .was("num_stable_steps");
  table.row("cycles", &C::cycles, Real::above(0), "1", "Cosine kinds: waves over the schedule; 0.5 falls once.").fixed().was("num_cycles");
  return table.done();
}

}  // namespace strata::deck
