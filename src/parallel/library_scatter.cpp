#include "strata/parallel/library_scatter.hpp"

namespace strata {

LibraryScatter::LibraryScatter(Arena& arena, const Partition& partition, DType type, Communicator& group)
    : partition_(partition), group_(group) {
  for (View& buffer : buffers_) buffer = take(arena, "workspace.scatter", type, Shape{partition.longest_shard()});
}

void LibraryScatter::begin(int unit, View values, std::function<void(View)> fold, std::function<void()> done) {
  under_way_.push_back({unit, values, std::move(fold), std::move(done), nullptr, View()});
}

bool LibraryScatter::post_one() {
  if (posted_ == std::size(buffers_) || posted_ == under_way_.size()) return false;
  UnderWay& next = under_way_[posted_];
  std::vector<std::size_t> counts;
  for (int owner = 0; owner < group_.size(); ++owner)
    counts.push_back(static_cast<std::size_t>(partition_.elements(next.unit, owner).count()));
  next.shard = buffers_[static_cast<std::size_t>(next_++ % 2)].rows(0, partition_.elements(next.unit).count());
  next.transfer = next.values.type() == DType::f32
                      ? group_.begin_reduce_scatter_fast(next.values.as<float>(), counts, next.shard.as<float>())
                      : group_.begin_reduce_scatter_fast(next.values.as<double>(), counts, next.shard.as<double>());
  ++posted_;
  return true;
}

bool LibraryScatter::end_one() {
  if (posted_ == 0 || !under_way_.front().transfer->done()) return false;
  const UnderWay oldest = std::move(under_way_.front());
  oldest.fold(oldest.shard);
  under_way_.pop_front();
  --posted_;
  oldest.done();
  return true;
}

bool LibraryScatter::advance() {
  return post_one() || end_one();
}

}  // namespace strata
