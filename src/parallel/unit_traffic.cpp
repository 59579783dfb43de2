#include "strata/parallel/unit_traffic.hpp"

#include "strata/base/fault.hpp"
#include "strata/base/phase.hpp"

namespace strata {

void UnitTraffic::use(int unit) {
  if (const auto weights = coming_.find(unit); weights != coming_.end()) {
    weights->second->wait();
    coming_.erase(weights);
  }
  if (!gather_) return;
  STRATA_FAULT("gather", Phase::step());
  gather_->use(unit);
}

void UnitTraffic::expect(int unit, std::unique_ptr<Transfer> weights) {
  coming_[unit] = std::move(weights);
  poll();
}

void UnitTraffic::settle_weights() {
  for (const auto& [unit, weights] : coming_) weights->wait();
  coming_.clear();
}

void UnitTraffic::close_gradient(int unit) {
  if (!scattering_) return;
  STRATA_FAULT("scatter", Phase::step());
  reduction_.close(unit);
}

std::vector<std::int64_t> UnitTraffic::describe_pass() const {
  std::vector<std::int64_t> text{use_acts(), open_acts(), close_acts()};
  if (gather_) gather_->describe(text);
  if (scattering_) reduction_.describe_round(text);
  return text;
}

void UnitTraffic::poll() {
  if (polling_) return;  // folding what has come is work of its own, which polls again
  polling_ = true;
  if (gather_) gather_->poll();
  std::erase_if(coming_, [](const auto& weights) { return weights.second->done(); });
  reduction_.poll();
  polling_ = false;
}

}  // namespace strata
