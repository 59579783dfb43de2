#pragma once
// What is to be done before this process leaves without an orderly end.
#include <functional>
#include <memory>

namespace strata {

/// While it lives, run_end_hooks() calls it, once, in a thread of its own. The call may still be running when the hook is gone, so the
/// callable has to hold a share of what it uses.
class EndHook {
 public:
  explicit EndHook(std::function<void()> call);
  ~EndHook();
  EndHook(const EndHook&) = delete;
  EndHook& operator=(const EndHook&) = delete;

  struct Call;

 private:
  std::shared_ptr<Call> call_;
};

/// How long the end of a process waits for its hooks. [s]
constexpr double end_hook_seconds = 5;

/// Calls all hooks that are alive and were not called yet, at once; what they throw is ignored. Returns when they are done, those that
/// another thread has called included, or after `seconds`: whether they are done. From any thread.
bool run_end_hooks(double seconds = end_hook_seconds);

}  // namespace strata
