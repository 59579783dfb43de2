#include "comm/linked.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <exception>
#include <limits>
#include <numeric>
#include <thread>

#include "strata/base/error.hpp"
#include "strata/base/phase.hpp"

namespace strata {
namespace {

constexpr std::size_t waiting_calls = 5;  // the channel of calls that wait

std::vector<int> all_ranks(const Communicator& comm) {
  std::vector<int> all(static_cast<std::size_t>(comm.size()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

bool bit(std::uint64_t bits, std::size_t i) {
  return (bits >> i & 1) != 0;
}

}  // namespace

class LinkedCommunicator::Posted final : public Transfer {
 public:
  Posted(LinkedCommunicator& comm, Open open) : comm_(comm), open_(std::move(open)) {}
  bool done() override {
    if (*open_ > 0) comm_.shared_->move_on();
    return *open_ == 0;
  }
  void wait() override { comm_.wait_for(open_); }

 private:
  LinkedCommunicator& comm_;
  Open open_;
};

LinkedCommunicator::LinkedCommunicator(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host,
                                       std::unique_ptr<Communicator> notices, std::unique_ptr<Communicator> apart, GpuNames names)
    : ForwardingCommunicator(std::move(host)),
      shared_(std::move(shared)),
      notices_(std::move(notices)),
      apart_(std::move(apart)),
      names_(std::move(names)) {
  cuda::LinkId id{};
  if (rank() == 0) cuda::collectives().new_id(id);
  const Uncounted quiet(*this);
  inner_->broadcast(&id, sizeof id, 0);
  link_.reset(cuda::collectives().open(shared_->gpu, id, rank(), size()));
  hook_.emplace([link = link_] { link->abort(); });
  const Phase::Wait wait;
  while (!link_->ready()) shared_->move_on(), std::this_thread::yield();
  shared_->linked.push_back(this);
}

// The others may still need this rank in a round, and MPI a round's memory.
LinkedCommunicator::~LinkedCommunicator() {
  std::erase(shared_->linked, this);
  if (std::uncaught_exceptions() > 0) {
    leave_behind();
    return;
  }
  constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
  bool broken = false;
  const WhileWaiting::Paused alone;
  const auto all_move = [&] {
    try {
      if (!broken) move_on(), shared_->move_on();
    } catch (const Error&) {
      broken = true;
    }
  };
  const Uncounted quiet(*this);
  news_ = false;
  inner_->all_max_while(0, all_move);
  const std::int64_t last = inner_->all_max_while(broken ? never : round_ ? next_round_ : next_round_ - 1, all_move);
  broken = last == never;
  while (!broken && next_round_ <= last) {
    if (!round_) begin_round();
    all_move();
  }
  if (broken) leave_behind();
  // A message that nobody has received would come to the next communicator.
  if (last == never) return;
  const std::int64_t told = inner_->all_sum(told_) - told_;
  while (wakes_ < told) hear();
}

void LinkedCommunicator::hear() {
  for (std::optional<int> round; (round = notices_->heard()); ++wakes_) heard_ = std::max(heard_, *round);
}

// MPI may still write a notice: what it knows of lives on as long as the process.
void LinkedCommunicator::leave_behind() {
  static auto* const left = new std::deque<Round>;
  if (round_) left->push_back(std::move(*round_));
}

void LinkedCommunicator::broadcast(void* data, std::size_t bytes, int root) {
  if (!gpu_of(data)) return inner_->broadcast(data, bytes, root);
  count_broadcast(bytes, root);
  std::vector<Message> sends, receives;
  if (rank() != root) receives.push_back({root, data, bytes});
  for (int r = 0; rank() == root && r < size(); ++r)
    if (r != root) sends.push_back({r, data, bytes});
  wait_for(post(sends, receives, waiting_calls));
}

void LinkedCommunicator::all_gather(const void* mine, std::size_t bytes, void* all) {
  all_gather_v(mine, std::vector<std::size_t>(static_cast<std::size_t>(size()), bytes), all);
}

void LinkedCommunicator::all_gather_v(const void* mine, std::span<const std::size_t> counts, void* all) {
  if (!gpu_of(all)) return inner_->all_gather_v(mine, counts, all);
  count_gather(counts);
  const std::size_t bytes = counts[static_cast<std::size_t>(rank())];
  std::vector<Message> sends, receives;
  auto* at = static_cast<std::byte*>(all);
  for (int r = 0; r < size(); at += counts[static_cast<std::size_t>(r++)]) {
    if (r != rank()) {
      sends.push_back({r, const_cast<void*>(mine), bytes});
      receives.push_back({r, at, counts[static_cast<std::size_t>(r)]});
    } else if (at != mine) {
      copy_memory(at, mine, static_cast<std::int64_t>(bytes));
    }
  }
  wait_for(post(sends, receives, waiting_calls));
}

void LinkedCommunicator::exchange(std::span<const Message> sends, std::span<const Message> receives) {
  count_messages(Call::exchange, sends, receives);
  std::vector<Message> to_others, from_others;
  std::deque<Message> own;
  for (const Message& m : receives)
    if (m.peer == rank())
      own.push_back(m);
    else
      from_others.push_back(m);
  for (const Message& m : sends) {
    if (m.peer != rank()) {
      to_others.push_back(m);
      continue;
    }
    STRATA_ASSERT(!own.empty() && own.front().bytes == m.bytes, "a message to oneself has no receive of its size");
    if (own.front().data != m.data) copy_memory(own.front().data, m.data, static_cast<std::int64_t>(m.bytes));
    own.pop_front();
  }
  wait_for(post(to_others, from_others, waiting_calls));
}

std::unique_ptr<Transfer> LinkedCommunicator::begin_exchange(std::span<const Message> sends, std::span<const Message> receives,
                                                             Channel channel) {
  count_messages(call_of(channel), sends, receives);
  return transfer_of(post(sends, receives, static_cast<std::size_t>(channel)));
}

std::unique_ptr<Communicator> LinkedCommunicator::subgroup(const std::vector<int>& ranks) {
  return make_gpu_ranks(shared_, notices_->subgroup(ranks), names_of(names_, ranks));
}

void LinkedCommunicator::reduce(void* data, std::size_t count, DType type) {
  if (!gpu_of(data))
    return type == DType::f32 ? inner_->all_reduce_sum_fast(static_cast<float*>(data), count)
                              : inner_->all_reduce_sum_fast(static_cast<double*>(data), count);
  count_reduce(Call::fast_reduce, count * size_of(type));
  wait_for(post_sum({{cuda::LinkOp::all_reduce, data, data, count, type, 0}}));
}

template <class T>
std::unique_ptr<Transfer> LinkedCommunicator::reduce_scatter(T* data, std::span<const std::size_t> counts, T* mine, DType type) {
  if (!gpu_of(data)) return inner_->begin_reduce_scatter_fast(data, counts, mine);
  STRATA_ASSERT(counts[static_cast<std::size_t>(rank())] == 0 || gpu_of(mine), "a sum of GPU memory into the host's");
  count_reduce_scatter(std::accumulate(counts.begin(), counts.end(), std::size_t{0}) * sizeof(T));
  std::vector<cuda::LinkOp> ops;
  if (std::all_of(counts.begin(), counts.end(), [&](std::size_t count) { return count == counts[0]; })) {
    if (counts[0] > 0) ops.push_back({cuda::LinkOp::reduce_scatter, data, mine, counts[0], type, 0});
  } else {
    for (int r = 0; r < size(); data += counts[static_cast<std::size_t>(r++)])
      if (const std::size_t count = counts[static_cast<std::size_t>(r)]; count > 0)
        ops.push_back({cuda::LinkOp::reduce, data, r == rank() ? mine : nullptr, count, type, r});
  }
  return transfer_of(ops.empty() ? std::make_shared<int>(0) : post_sum(std::move(ops)));
}

LinkedCommunicator::Open LinkedCommunicator::post(std::span<const Message> sends, std::span<const Message> receives, std::size_t channel) {
  auto open = std::make_shared<int>(0);
  const auto add = [&](std::span<const Message> messages, std::map<int, std::array<std::deque<Post>, channels>>& posts) {
    for (const Message& m : messages) {
      if (m.bytes == 0) continue;
      STRATA_ASSERT(m.peer != rank(), "a message to oneself");
      const bool on_gpu = gpu_of(m.data) != nullptr;
      posts[m.peer][channel].push_back({m, on_gpu, on_gpu ? link_->mark() : nullptr, open});
      *open += 1, news_ = true;
    }
  };
  add(sends, sends_), add(receives, receives_);
  return open;
}

LinkedCommunicator::Open LinkedCommunicator::post_sum(std::vector<cuda::LinkOp> ops) {
  auto open = std::make_shared<int>(1);
  sums_.push_back({std::move(ops), link_->mark(), open});
  news_ = true;
  return open;
}

std::unique_ptr<Transfer> LinkedCommunicator::transfer_of(Open open) {
  return std::make_unique<Posted>(*this, std::move(open));
}

void LinkedCommunicator::wait_for(const Open& open) {
  const Phase::Wait wait;
  for (shared_->move_on(); *open > 0; shared_->move_on()) std::this_thread::yield();
}

void GpuRanks::move_on() {
  for (LinkedCommunicator* comm : linked) comm->move_on();
}

void LinkedCommunicator::move_on() {
  hear();
  if (!round_ && (news_ || heard_ >= next_round_)) begin_round();
  if (round_ && round_->transfer->done()) {
    const Round over = std::move(*round_);
    round_.reset(), ++next_round_;
    match_messages(over), match_sums(over);
  }
  under_way_.remove_if([&](const UnderWay& u) {
    if (u.by_host ? !u.by_host->done() : !link_->done(u.group)) return false;
    for (const Open& open : u.parts) *open -= 1;
    return true;
  });
}

LinkedCommunicator::Notice LinkedCommunicator::notice_for(int peer) {
  Notice notice;
  const auto tell = [](const std::deque<Post>& posts, std::uint8_t& count, std::uint64_t& on_gpu) {
    count = static_cast<std::uint8_t>(std::min(posts.size(), most_told));
    for (std::size_t i = 0; i < count; ++i) on_gpu |= static_cast<std::uint64_t>(posts[i].on_gpu) << i;
  };
  for (std::size_t c = 0; c < channels; ++c) {
    tell(sends_[peer][c], notice.sends[c], notice.send_on_gpu[c]);
    tell(receives_[peer][c], notice.receives[c], notice.receive_on_gpu[c]);
  }
  notice.sums = static_cast<std::uint32_t>(sums_.size());
  return notice;
}

void LinkedCommunicator::begin_round() {
  const Uncounted quiet(*this);
  Round& round = round_.emplace();
  round.theirs.resize(static_cast<std::size_t>(size()));
  for (int r = 0; r < size(); ++r) round.mine.push_back(notice_for(r));
  const bool first = heard_ < next_round_;
  told_ += first;
  std::vector<Message> sends, receives;
  for (int r = 0; r < size(); ++r) {
    if (r == rank()) continue;
    const auto i = static_cast<std::size_t>(r);
    if (first) notices_->tell(r, next_round_);
    sends.push_back({r, &round.mine[i], sizeof(Notice)}), receives.push_back({r, &round.theirs[i], sizeof(Notice)});
  }
  round.transfer = notices_->begin_exchange(sends, receives, Channel::exchange);
  news_ = false;
}

// Both ends come to the same: what is posted at both goes, and in the same order.
void LinkedCommunicator::match_messages(const Round& round) {
  std::vector<cuda::LinkOp> ops;
  std::vector<void*> marks = std::exchange(spare_marks_, {});
  UnderWay by_nccl{}, by_host{};
  std::vector<Message> host_sends, host_receives;
  const auto match = [&](std::deque<Post>& posts, std::size_t told, std::size_t theirs, std::uint64_t on_their_gpu, bool sends) {
    const std::size_t count = std::min(told, theirs);
    for (std::size_t i = 0; i < count; ++i) {
      const Post post = posts.front();
      posts.pop_front();
      const Message& m = post.message;
      const bool link = post.on_gpu && bit(on_their_gpu, i);
      if (post.mark) (link ? marks : spare_marks_).push_back(post.mark);
      (link ? by_nccl : by_host).parts.push_back(post.open);
      if (!link)
        (sends ? host_sends : host_receives).push_back(m);
      else if (sends)
        ops.push_back({cuda::LinkOp::send, m.data, nullptr, m.bytes, DType::f32, m.peer});
      else
        ops.push_back({cuda::LinkOp::receive, nullptr, m.data, m.bytes, DType::f32, m.peer});
    }
    if (count > 0 && told == most_told) news_ = true;  // there may be more
  };
  for (int r = 0; r < size(); ++r) {
    if (r == rank()) continue;
    const Notice &mine = round.mine[static_cast<std::size_t>(r)], &theirs = round.theirs[static_cast<std::size_t>(r)];
    for (std::size_t c = 0; c < channels; ++c) {
      match(sends_[r][c], mine.sends[c], theirs.receives[c], theirs.receive_on_gpu[c], true);
      match(receives_[r][c], mine.receives[c], theirs.sends[c], theirs.send_on_gpu[c], false);
    }
  }
  if (!ops.empty()) {
    by_nccl.group = link_->launch(std::move(ops), std::move(marks));
    under_way_.push_back(std::move(by_nccl));
  } else {
    spare_marks_.insert(spare_marks_.end(), marks.begin(), marks.end());
  }
  if (by_host.parts.empty()) return;
  const Uncounted quiet(*this);
  by_host.by_host = apart_->begin_exchange(host_sends, host_receives, Channel::exchange);
  under_way_.push_back(std::move(by_host));
}

// Sums go when all ranks have posted them.
void LinkedCommunicator::match_sums(const Round& round) {
  std::uint32_t count = round.mine[static_cast<std::size_t>(rank())].sums;
  for (int r = 0; r < size(); ++r)
    if (r != rank()) count = std::min(count, round.theirs[static_cast<std::size_t>(r)].sums);
  for (; count > 0; --count) {
    Sum sum = std::move(sums_.front());
    sums_.pop_front();
    under_way_.push_back({link_->launch(std::move(sum.ops), {sum.mark}), nullptr, {sum.open}});
  }
}

std::unique_ptr<Communicator> make_linked_ranks(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, GpuNames names) {
  auto notices = host->subgroup(all_ranks(*host));
  auto apart = make_staged_ranks(shared, host->subgroup(all_ranks(*host)), names);
  auto staged = make_staged_ranks(shared, std::move(host), names);
  return std::make_unique<LinkedCommunicator>(std::move(shared), std::move(staged), std::move(notices), std::move(apart), std::move(names));
}

}  // namespace strata
