// Read-ahead: one thread, a bounded queue, memory that goes round.
#include "strata/data/loader.hpp"

namespace strata {

ReadAhead::ReadAhead(const TokenLoader& loader, std::int64_t end, std::function<std::optional<std::int64_t>()> next_position, int depth)
    : loader_(loader),
      end_(end),
      next_position_(std::move(next_position)),
      depth_(static_cast<std::size_t>(depth < 1 ? 1 : depth)),
      thread_([this] { work(); }) {}

ReadAhead::~ReadAhead() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

/// Waits for room; the batch goes in, spare memory comes back.
void ReadAhead::put(TokenBatch& batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stop_ || ready_.size() < depth_; });
  if (stop_) return;
  ready_.push_back(std::move(batch));
  batch = TokenBatch();
  if (!spare_.empty()) batch = std::move(spare_.back()), spare_.pop_back();
  changed_.notify_all();
}

void ReadAhead::work() {
  std::exception_ptr error;
  try {
    TokenBatch batch;
    for (bool stop = false; !stop;) {
      const std::optional<std::int64_t> position = next_position_();
      if (!position) break;
      loader_.fill(*position, end_, batch);
      put(batch);
      const std::scoped_lock lock(mutex_);
      stop = stop_;
    }
  } catch (...) {
    error = std::current_exception();
  }
  const std::scoped_lock lock(mutex_);
  error_ = error, done_ = true;
  changed_.notify_all();
}

bool ReadAhead::next(TokenBatch& batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !ready_.empty() || done_; });
  if (ready_.empty()) {
    if (error_) std::rethrow_exception(error_);
    return false;
  }
  std::swap(batch, ready_.front());
  spare_.push_back(std::move(ready_.front()));
  ready_.pop_front();
  changed_.notify_all();
  return true;
}

}  // namespace strata
