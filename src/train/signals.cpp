#include "strata/train/signals.hpp"

#include <csignal>

namespace strata {
namespace {
volatile std::sig_atomic_t received = 0;
void remember(int signal) { received = signal; }
}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int pending_signal() { return received; }

const char* signal_name(int signal) { return signal == SIGUSR1 ? "SIGUSR1" : signal == SIGTERM ? "SIGTERM" : "a signal"; }

}  // namespace strata
