#include "strata/base/end_hook.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace strata {

struct EndHook::Call {
  std::function<void()> run;
  bool begun = false, done = false;
};

namespace {

struct Registry {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::shared_ptr<EndHook::Call>> calls;
};

// Never destroyed: a call that hangs may come back while the process ends.
Registry& registry() {
  static Registry& only = *new Registry;
  return only;
}

void start(const std::shared_ptr<EndHook::Call>& call) {
  call->begun = true;
  std::thread([call] {
    try {
      call->run();
    } catch (...) {  // the process ends all the same
    }
    const std::scoped_lock lock(registry().mutex);
    call->done = true;
    registry().changed.notify_all();
  }).detach();
}

}  // namespace

EndHook::EndHook(std::function<void()> call) : call_(std::make_shared<Call>()) {
  call_->run = std::move(call);
  const std::scoped_lock lock(registry().mutex);
  registry().calls.push_back(call_);
}

EndHook::~EndHook() {
  const std::scoped_lock lock(registry().mutex);
  std::erase(registry().calls, call_);
}

bool run_end_hooks(double seconds) {
  Registry& r = registry();
  std::unique_lock lock(r.mutex);
  const auto calls = r.calls;
  for (const auto& call : calls)
    if (!call->begun) start(call);
  return r.changed.wait_for(lock, std::chrono::duration<double>(seconds),
                            [&] { return std::all_of(calls.begin(), calls.end(), [](const auto& call) { return call->done; }); });
}

}  // namespace strata
