// Counting what communication moves: the same arithmetic for ranks that are there and ranks that are only planned.
#include "strata/comm/traffic.hpp"

#include <numeric>

#include "strata/comm/communicator.hpp"

namespace strata {
namespace {

constexpr const char* names[call_kinds] = {"exchange", "parameters",  "gradients", "sums",   "gather",
                                           "reduce",   "fast reduce", "broadcast", "barrier"};

void add(LinkBytes& to, bool same_host, std::size_t bytes) {
  (same_host ? to.host : to.network) += static_cast<std::int64_t>(bytes);
}

void add(LinkBytes& to, const LinkBytes& o, int sign) {
  to.host += sign * o.host, to.network += sign * o.network;
}

void add(TrafficRow& to, const TrafficRow& o, int sign) {
  to.calls += sign * o.calls, to.messages += sign * o.messages;
  add(to.sent, o.sent, sign), add(to.received, o.received, sign);
}

}  // namespace

const char* name_of(Call call) {
  return names[static_cast<std::size_t>(call)];
}

TrafficRow& TrafficRow::operator+=(const TrafficRow& o) {
  add(*this, o, 1);
  return *this;
}

TrafficRow& TrafficRow::operator-=(const TrafficRow& o) {
  add(*this, o, -1);
  return *this;
}

TrafficRow Traffic::all() const {
  TrafficRow sum;
  for (const TrafficRow& row : rows_) sum += row;
  return sum;
}

Traffic Traffic::since(const Traffic& before) const {
  Traffic result = *this;
  for (std::size_t i = 0; i < call_kinds; ++i) result.rows_[i] -= before.rows_[i];
  return result;
}

void Communicator::count_messages(Call call, std::span<const Message> sends, std::span<const Message> receives) {
  TrafficRow& row = (*traffic_)[call];
  row.calls += 1;
  const auto count = [&](std::span<const Message> messages, LinkBytes& bytes) {
    for (const Message& m : messages)
      if (m.peer != rank()) row.messages += 1, add(bytes, same_host(m.peer), m.bytes);
  };
  count(sends, row.sent), count(receives, row.received);
}

void Communicator::count_gather(std::span<const std::size_t> counts) {
  TrafficRow& row = (*traffic_)[Call::gather];
  row.calls += 1, row.messages += 2 * (size() - 1);
  const std::size_t own = counts[static_cast<std::size_t>(rank())];
  for (int r = 0; r < size(); ++r)
    if (r != rank()) add(row.sent, same_host(r), own), add(row.received, same_host(r), counts[static_cast<std::size_t>(r)]);
}

void Communicator::count_reduce(Call call, std::size_t bytes) {
  TrafficRow& row = (*traffic_)[call];
  row.calls += 1, row.messages += 2 * (size() - 1);
  const auto others = static_cast<std::size_t>(size() - 1), moved = 2 * bytes * others / static_cast<std::size_t>(size());
  add(row.sent, local_size() == size(), moved), add(row.received, local_size() == size(), moved);
}

void Communicator::count_reduce_scatter(std::size_t bytes) {
  TrafficRow& row = (*traffic_)[Call::fast_reduce];
  row.calls += 1, row.messages += 2 * (size() - 1);
  const auto others = static_cast<std::size_t>(size() - 1), moved = bytes * others / static_cast<std::size_t>(size());
  add(row.sent, local_size() == size(), moved), add(row.received, local_size() == size(), moved);
}

void Communicator::count_broadcast(std::size_t bytes, int root) {
  TrafficRow& row = (*traffic_)[Call::broadcast];
  row.calls += 1;
  if (root != rank()) {
    row.messages += 1;
    return add(row.received, same_host(root), bytes);
  }
  for (int r = 0; r < size(); ++r)
    if (r != rank()) row.messages += 1, add(row.sent, same_host(r), bytes);
}

}  // namespace strata
