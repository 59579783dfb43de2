#include "strata/parallel/piece_exchange.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {

std::int64_t shared_bucket(std::int64_t bucket, std::int64_t others, std::int64_t longest) {
  return std::min(std::max<std::int64_t>(longest, 1),
                  std::max<std::int64_t>(4096, std::min(bucket, 8 * bucket / std::max<std::int64_t>(others, 1))));
}

PieceExchange::PieceExchange(Arena& arena, const std::string& name, DType type, Communicator& group, Channel channel,
                             std::int64_t most_pieces, std::int64_t bucket)
    : group_(group), channel_(channel), bucket_(bucket) {
  for (View& buffer : buffers_) buffer = take(arena, name, type, Shape{std::max<std::int64_t>(most_pieces, 1), bucket_});
}

std::vector<Range> PieceExchange::parts_of(const Task& task, int owner) const {
  std::vector<Range> parts;
  for (const Range& stretch : task.owned(owner))
    for (std::int64_t at = stretch.first; at < stretch.last; at += bucket_) parts.push_back({at, std::min(stretch.last, at + bucket_)});
  return parts;
}

void PieceExchange::begin(Task task) {
  under_way_.push_back({std::move(task), {}, nullptr});
  UnderWay& u = under_way_.back();
  u.parts = parts_of(u.task, group_.rank());
  std::vector<Message> sends;
  for (int owner = 0; !u.task.own.empty() && owner < group_.size(); ++owner) {
    if (owner == group_.rank()) continue;
    for (const Range& part : parts_of(u.task, owner))
      for (const View& piece : u.task.own) {
        const View values = piece.rows(part.first, part.count());
        sends.push_back({owner, values.data(), static_cast<std::size_t>(values.bytes())});
      }
  }
  u.sends = group_.begin_exchange(sends, {}, channel_);
}

// Receives the next part into a buffer that is free. False: none is, or nothing is to come.
bool PieceExchange::post_one() {
  const std::size_t buffer = taken_[0] ? 1 : 0;
  if (taken_[buffer]) return false;
  const auto next = std::find_if(under_way_.begin(), under_way_.end(), [](const UnderWay& u) { return u.posted < u.parts.size(); });
  if (next == under_way_.end()) return false;
  Post post{&*next, next->parts[next->posted], {}, nullptr, buffer};
  std::vector<Message> receives;
  std::int64_t row = 0;
  for (int from = 0; from < group_.size(); ++from) {
    if (from == group_.rank()) {  // one's own stay where they are
      for (const View& piece : next->task.own) post.slices.push_back(piece.rows(post.part.first, post.part.count()));
      continue;
    }
    for (int p = 0; p < next->task.pieces[static_cast<std::size_t>(from)]; ++p) {
      post.slices.push_back(buffers_[buffer].rows(row++, 1).reshaped(Shape{bucket_}).rows(0, post.part.count()));
      receives.push_back({from, post.slices.back().data(), static_cast<std::size_t>(post.slices.back().bytes())});
    }
  }
  post.receives = group_.begin_exchange({}, receives, channel_);
  next->posted += 1;
  taken_[buffer] = true;
  posts_.push_back(std::move(post));
  return true;
}

bool PieceExchange::fold_one() {
  if (posts_.empty() || !posts_.front().receives->done()) return false;
  const Post post = std::move(posts_.front());
  posts_.pop_front();
  post.of->task.fold(post.part, post.slices);
  post.of->folded += 1;
  taken_[post.buffer] = false;
  return true;
}

bool PieceExchange::end_one() {
  if (under_way_.empty()) return false;
  UnderWay& oldest = under_way_.front();
  if (oldest.folded < oldest.parts.size() || !oldest.sends->done()) return false;
  const auto done = std::move(oldest.task.done);
  under_way_.pop_front();
  done();
  return true;
}

bool PieceExchange::advance() {
  return post_one() || fold_one() || end_one();
}

}  // namespace strata
