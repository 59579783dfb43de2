// Signals are blocked in every thread and taken by one that waits for them: oneDNN's generated kernels use the memory below the stack
// pointer, so a handler's frame on a computing thread destroys their data (seen with oneDNN 2.6: heap corruption and segmentation faults).
#include "strata/train/signals.hpp"

#include <atomic>
#include <csignal>
#include <thread>

namespace strata {
namespace {
std::atomic<int> received{0};
}

void catch_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);  // inherited by every thread that starts later
  std::thread([set] {
    for (int signal = 0; sigwait(&set, &signal) == 0;) received.store(signal);
  }).detach();
}

int pending_signal() {
  return received.load();
}

const char* signal_name(int signal) {
  return signal == SIGUSR1 ? "SIGUSR1" : signal == SIGTERM ? "SIGTERM" : "a signal";
}

}  // namespace strata
