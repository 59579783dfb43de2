#pragma once
// Signals that ask a run to save and leave: SIGUSR1 and SIGTERM. Remembered when they come; ranks agree on them at the next micro-batch.

namespace strata {

/// From now on SIGUSR1 and SIGTERM end nothing and interrupt nothing: they are remembered. Call first in main, before MPI and any other
/// thread starts.
void catch_signals();
/// The signal that arrived last on this rank, or 0. Local.
int pending_signal();
/// "SIGUSR1", "SIGTERM" or "a signal".
const char* signal_name(int signal);

}  // namespace strata
