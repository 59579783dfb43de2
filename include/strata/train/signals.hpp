#pragma once
// Signals that ask a run to save and leave: SIGUSR1 and SIGTERM. The handler sets a flag; ranks agree on it between steps.

namespace strata {

/// Installs the handlers; before MPI starts, so that a signal during start-up is not lost.
void install_signal_handlers();
/// The signal that arrived last on this rank, or 0. Local.
int pending_signal();
/// "SIGUSR1", "SIGTERM" or "signal N".
const char* signal_name(int signal);

}  // namespace strata
