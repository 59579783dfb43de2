#pragma once
// Stop agreement: one rank's wish to stop reaches the others at their next look, without a collective per look.
#include "strata/comm/communicator.hpp"

namespace strata {

/// Wishes are numbers above 0 (signals). Between two decisions a rank looks as often as it likes; at decide() all ranks meet. A wish
/// travels over rank 0, so that it costs two messages per rank however many ranks have it.
class StopAgreement {
 public:
  explicit StopAgreement(Communicator& comm) : comm_(comm) {}
  /// The largest wish known here, `own` (0: none) included. Tells the others of it. Does not wait. Local.
  int look(int own);
  /// The largest wish of any rank. If a rank's look() gave one since the last decision, decide() gives one on every rank. Collective.
  int decide(int own);

 private:
  void hear();
  void settle();
  Communicator& comm_;
  int known_ = 0, received_ = 0;
  bool told_ = false;
};

}  // namespace strata
