// Checks across the keys of [schedule]: what each kind needs, and what it has no use for.
#include <algorithm>

#include "deck/schema.hpp"
#include "deck/text_tools.hpp"
#include "deck/validate.hpp"

namespace strata::deck {
namespace {

/// A key that only some kinds use.
struct Use {
  const char* key;
  std::vector<std::string> kinds;
};

const std::vector<Use>& uses() {
  static const std::vector<Use> table = {
      {"min_lr", {"cosine_with_min_lr", "WarmupLR", "WarmupDecayLR"}},
      {"min_ratio", {"cosine_with_min_lr", "warmup_stable_decay", "WarmupCosineLR"}},
      {"warmup_min_ratio", {"WarmupCosineLR"}},
      {"warmup_type", {"warmup_stable_decay", "WarmupLR", "WarmupDecayLR", "WarmupCosineLR"}},
      {"decay_type", {"warmup_stable_decay"}},
      {"decay_steps", {"warmup_stable_decay"}},
      {"stable_steps", {"warmup_stable_decay"}},
      {"cycles", {"cosine", "cosine_with_min_lr", "warmup_stable_decay"}},
  };
  return table;
}

/// A value other than the default that the kind never looks at would be ignored in silence.
void refuse_unused(Validation& v) {
  const Settings defaults;
  const std::string& kind = v.settings().schedule.kind;
  for (const auto& use : uses()) {
    const std::string key = std::string("schedule.") + use.key;
    if (std::find(use.kinds.begin(), use.kinds.end(), kind) != use.kinds.end()) continue;
    if (v.deck.value(key) == find_key(key)->get(defaults)) continue;
    v.refuse(key, "the kind " + kind + " has no use for it (used by " + joined(use.kinds, ", ") +
                      "); remove it, or choose another schedule.kind");
  }
}

void check_lowest(Validation& v) {
  const auto& s = v.settings().schedule;
  if (s.kind == "cosine_with_min_lr" && s.min_lr < 0 && s.min_ratio < 0) {
    v.missing("schedule.min_lr", "schedule.kind = cosine_with_min_lr needs it, or schedule.min_ratio");
  }
  if (s.kind == "cosine_with_min_lr" && s.min_lr >= 0 && s.min_ratio >= 0) {
    v.refuse("schedule.min_ratio", "given together with " + v.quote("schedule.min_lr") + "; give one of them");
  }
  if (s.min_lr > v.settings().optimizer.lr) v.refuse("schedule.min_lr", "above the peak " + v.quote("optimizer.lr"));
}

void check_shapes(Validation& v) {
  const auto& s = v.settings().schedule;
  const bool shape = s.warmup_type == "cosine" || s.warmup_type == "1-sqrt";
  if (shape && s.kind.rfind("Warmup", 0) == 0) v.refuse("schedule.warmup_type", "the kind " + s.kind + " takes log or linear");
  if (s.kind == "warmup_stable_decay" && s.decay_steps == 0 && s.stable_steps < 0) {
    v.missing("schedule.decay_steps", "schedule.kind = warmup_stable_decay needs it (or stable_steps, to never fall)");
  }
}

void check_length(Validation& v) {
  const auto& s = v.settings().schedule;
  const bool decays = s.kind == "warmup_stable_decay";
  const bool needed = s.kind != "constant" && s.kind != "WarmupLR" && !(decays && s.stable_steps >= 0);
  const std::string source = s.steps > 0 ? "schedule.steps" : "train.max_steps";
  const std::int64_t length = s.steps > 0 ? s.steps : v.settings().train.max_steps;
  if (needed && length == 0 && v.settings().train.epochs == 0) {  // epochs give a length too, once the data is open
    v.missing("schedule.steps", "schedule.kind = " + s.kind + " needs its length; give it, or train.max_steps or train.epochs");
  }
  if (!needed || length == 0) return;
  if (s.warmup_steps > length) {
    v.refuse("schedule.warmup_steps", "longer than the whole schedule, " + v.quote(source) +
                                          (s.steps > 0 ? "" : "; schedule.steps sets the schedule's length apart from the run's"));
  } else if (decays && s.decay_steps > length - s.warmup_steps) {
    v.refuse("schedule.decay_steps", "too long behind " + v.quote("schedule.warmup_steps") + " for " + v.quote(source));
  }
}

}  // namespace

void validate_schedule(Validation& v) {
  if (!v.trains()) return;
  refuse_unused(v);
  check_lowest(v);
  check_shapes(v);
  if (v.command != "plan") check_length(v);  // a plan is of one step
  const auto& s = v.settings().schedule;
  const bool contradicts =
      s.kind == "warmup_stable_decay" && s.stable_steps >= 0 && s.steps > 0 &&
      (s.warmup_steps > s.steps || s.stable_steps > s.steps - s.warmup_steps || s.decay_steps != s.steps - s.warmup_steps - s.stable_steps);
  if (contradicts) {
    v.refuse("schedule.steps", "not the sum of " + v.quote("schedule.warmup_steps") + ", " + v.quote("schedule.stable_steps") + " and " +
                                   v.quote("schedule.decay_steps") + "; leave one of them out");
  }
}

}  // namespace strata::deck
