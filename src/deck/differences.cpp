// Keys that differ between a stored deck and the present one.
#include "deck/schema.hpp"
#include "strata/deck/deck.hpp"

namespace strata {
namespace {

/// A schedule without a length of its own is as long as the run.
std::string note_on(const std::string& key, const Settings& stored, const Settings& now) {
  const bool follows = key == "train.max_steps" && stored.schedule.steps == 0 && now.schedule.steps == 0 &&
                       now.schedule.kind != "constant" && now.schedule.kind != "WarmupLR";
  return follows ? "the schedule's length follows it; schedule.steps = " + std::to_string(stored.train.max_steps) + " keeps the stored one"
                 : "";
}

}  // namespace

std::vector<Difference> differences(const Deck& stored, const Deck& now) {
  std::vector<Difference> found;
  for (const auto& section : deck::schema()) {
    for (const auto& key : section.keys) {
      if (key.of_launch) continue;
      const std::string before = key.get(stored.settings()), after = key.get(now.settings());
      if (before == after) continue;
      found.push_back({key.full_name(), before, after, key.decides_result, note_on(key.full_name(), stored.settings(), now.settings())});
    }
  }
  return found;
}

}  // namespace strata
