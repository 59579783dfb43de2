#include "strata/parallel/unit_traffic.hpp"

namespace strata {

void UnitTraffic::poll() {
  if (polling_) return;  // folding what has come is work of its own, which polls again
  polling_ = true;
  if (gather_) gather_->poll();
  reduction_.poll();
  polling_ = false;
}

}  // namespace strata
