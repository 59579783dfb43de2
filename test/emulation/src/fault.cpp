#include "fault.hpp"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "block.hpp"
#include "emulation/run.hpp"
#include "kernel.hpp"
#include "memory.hpp"

namespace emulation {
namespace {

struct sigaction previous_fault, previous_bus, previous_abort;

std::string where() {
  std::string text = running_kernel().empty() ? "" : "\n  in kernel " + running_kernel();
  if (in_kernel()) text += ", " + running_thread();
  return text;
}

void say(const std::string& message) {
  const std::string line = "CUDA emulation: " + message + where() + "\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
}

std::string describe(const void* address) {
  if (is_stack_overflow(address)) return "a thread's stack overflows (64 KiB)";
  const Allocation* const a = find_near(address);
  if (a == nullptr) return "";
  const std::string name = std::string(a->kind == Kind::device ? "device" : "pinned") + " allocation " + std::to_string(a->number) + " (" +
                           std::to_string(a->bytes) + " bytes" + (a->freed ? ", freed" : "") + ")";
  const std::string offset = std::to_string(static_cast<const char*>(address) - a->begin);
  const char* const who = in_kernel() ? "a kernel" : "host code";
  const bool inside = address >= a->begin && address < a->begin + a->bytes;
  if (inside && !in_kernel() && !a->freed) return "host code touched device memory at offset " + offset + " of " + name;
  return std::string(who) + " touched offset " + offset + " of " + name;
}

void on_fault(int signal, siginfo_t* info, void*) {
  const std::string what = describe(info->si_addr);
  if (!what.empty() || in_kernel()) say(what.empty() ? "a kernel touched memory that is none" : what);
  // The instruction runs again, and the handler that was there before, or none, ends the process.
  sigaction(signal, signal == SIGBUS ? &previous_bus : &previous_fault, nullptr);
}

void on_abort(int signal) {
  if (in_kernel()) say("abort");
  sigaction(signal, &previous_abort, nullptr);
  raise(signal);
}

}  // namespace

void watch_faults() {
  // On a stack of its own, as a fiber's may be full. The stack belongs to the thread that calls.
  static thread_local bool has_stack = false;
  if (!has_stack) {
    has_stack = true;
    stack_t old{};
    if (sigaltstack(nullptr, &old) == 0 && (old.ss_flags & SS_DISABLE) != 0) {
      constexpr std::size_t bytes = 64 * 1024;
      static thread_local char* const memory = static_cast<char*>(std::malloc(bytes));
      stack_t stack{};
      stack.ss_sp = memory;
      stack.ss_size = bytes;
      sigaltstack(&stack, nullptr);
    }
  }
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    action.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &action, &previous_fault);
    sigaction(SIGBUS, &action, &previous_bus);
    struct sigaction abort_action {};
    abort_action.sa_flags = SA_ONSTACK;
    abort_action.sa_handler = on_abort;
    sigaction(SIGABRT, &abort_action, &previous_abort);
  });
}

void fail(const std::string& message) {
  say(message);
  signal(SIGABRT, SIG_DFL);
  std::abort();
}

}  // namespace emulation
