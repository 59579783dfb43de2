#include "strata/parallel/gradient_scatter.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {

GradientScatter::GradientScatter(Arena& arena, const Partition& partition, DType type, Communicator& group, std::int64_t bucket, int depth,
                                 bool overlap, Fold fold)
    : partition_(partition),
      group_(group),
      overlap_(overlap),
      fold_(std::move(fold)),
      windows_(arena, "gradients.window", type, Partition(partition.set()), depth),
      leaf_(partition.set()) {
  // No piece is longer than the longest shard of any rank.
  std::int64_t longest = 1;
  for (int u = 0; u < static_cast<int>(partition.set().units().size()); ++u)
    for (int part = 0; part < partition.parts(); ++part) longest = std::max(longest, partition.elements(u, part).count());
  // Many others share the room that eight have.
  bucket_ = std::min(longest, std::max<std::int64_t>(4096, std::min(bucket, 8 * bucket / std::max(group.size() - 1, 1))));
  for (View& buffer : buffers_) buffer = take(arena, "workspace.scatter", type, Shape{std::max(group.size() - 1, 1), bucket_});
}

void GradientScatter::open(int unit) {
  const int before = windows_.leaves_for(unit);
  const auto under_way = [&](int u) {
    return std::any_of(leaving_.begin(), leaving_.end(), [&](const Leaving& l) { return l.unit == u; });
  };
  while ((before >= 0 && under_way(before)) || under_way(unit))
    if (!post_one() && !fold_one(true)) retire_one(true);
  leaf_.place(unit, windows_.holds(unit) ? windows_.of(unit) : windows_.assign(unit));
}

void GradientScatter::close(int unit) {
  leaving_.push_back({unit, windows_.of(unit), round_, present_, group_.rank() < present_, nullptr});
  send(leaving_.back());
  overlap_ ? poll() : finish();
}

void GradientScatter::send(Leaving& leaving) {
  std::vector<Message> sends;
  for (int owner = 0; leaving.mine && owner < group_.size(); ++owner) {
    if (owner == group_.rank()) continue;
    const Range theirs = partition_.elements(leaving.unit, owner);
    for (std::int64_t at = 0; at < theirs.count(); at += bucket_) {
      const View piece = leaving.window.rows(theirs.first + at, std::min(bucket_, theirs.count() - at));
      sends.push_back({owner, piece.data(), static_cast<std::size_t>(piece.bytes())});
    }
  }
  leaving.sends = group_.begin_exchange(sends, {}, Channel::gradients);
}

// Receives the next piece into a buffer that is free. False: none is, or nothing is to come.
bool GradientScatter::post_one() {
  const std::size_t buffer = taken_[0] ? 1 : 0;
  if (taken_[buffer]) return false;
  const auto next = std::find_if(leaving_.begin(), leaving_.end(), [&](const Leaving& l) { return l.posted < shard(l); });
  if (next == leaving_.end()) return false;
  Post post{&*next, next->posted, std::min(bucket_, shard(*next) - next->posted), {}, nullptr, buffer};
  std::vector<Message> receives;
  for (int from = 0, row = 0; from < next->present; ++from) {
    if (from == group_.rank()) {  // one's own stays where it is
      post.slices.push_back(next->window.rows(partition_.elements(next->unit).first + post.first, post.count));
      continue;
    }
    post.slices.push_back(buffers_[buffer].rows(row++, 1).reshaped(Shape{bucket_}).rows(0, post.count));
    receives.push_back({from, post.slices.back().data(), static_cast<std::size_t>(post.slices.back().bytes())});
  }
  post.receives = group_.begin_exchange({}, receives, Channel::gradients);
  next->posted += post.count;
  taken_[buffer] = true;
  posts_.push_back(std::move(post));
  return true;
}

// Folds the oldest piece once it has come. False: it has not, or there is none.
bool GradientScatter::fold_one(bool wait) {
  if (posts_.empty()) return false;
  if (wait)
    posts_.front().receives->wait();
  else if (!posts_.front().receives->done())
    return false;
  const Post post = std::move(posts_.front());
  posts_.pop_front();
  fold_({post.of->round, post.of->unit, post.first, post.slices});
  post.of->folded += post.count;
  taken_[post.buffer] = false;
  return true;
}

// Forgets the oldest unit once all of it has come and left.
bool GradientScatter::retire_one(bool wait) {
  if (leaving_.empty() || leaving_.front().folded < shard(leaving_.front())) return false;
  if (wait)
    leaving_.front().sends->wait();
  else if (!leaving_.front().sends->done())
    return false;
  leaving_.pop_front();
  return true;
}

void GradientScatter::poll() {
  while (post_one() || fold_one(false) || retire_one(false)) {
  }
}

void GradientScatter::finish() {
  while (!leaving_.empty())
    if (!post_one() && !fold_one(true)) retire_one(true);
}

}  // namespace strata
