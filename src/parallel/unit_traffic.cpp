#include "strata/parallel/unit_traffic.hpp"

#include "strata/base/fault.hpp"
#include "strata/base/phase.hpp"

namespace strata {

void UnitTraffic::use(int unit) {
  if (!gather_) return;
  STRATA_FAULT("gather", Phase::step());
  gather_->use(unit);
}

void UnitTraffic::close_gradient(int unit) {
  if (!scattering_) return;
  STRATA_FAULT("scatter", Phase::step());
  reduction_.close(unit);
}

void UnitTraffic::poll() {
  if (polling_) return;  // folding what has come is work of its own, which polls again
  polling_ = true;
  if (gather_) gather_->poll();
  reduction_.poll();
  polling_ = false;
}

}  // namespace strata
