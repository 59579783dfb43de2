#pragma once
// Traffic: what the communication of a rank has moved, by kind of call, over which links.
#include <array>
#include <cstddef>
#include <cstdint>

namespace strata {

/// Kinds of calls that are counted apart: the four channels of messages, then collectives.
enum class Call { exchange, parameters, gradients, sums, gather, reduce, fast_reduce, broadcast, barrier };
inline constexpr std::size_t call_kinds = 9;
/// "parameters"
const char* name_of(Call call);

/// Bytes of one direction: between ranks of a host, and between hosts.
struct LinkBytes {
  std::int64_t host = 0, network = 0;
  std::int64_t all() const { return host + network; }
  bool operator==(const LinkBytes&) const = default;
};

struct TrafficRow {
  std::int64_t calls = 0;
  std::int64_t messages = 0;  // sent and received; of a collective: one per other rank
  LinkBytes sent, received;   // of a collective: as if every rank sent to each other directly; of a reduction: as a ring does it
  bool operator==(const TrafficRow&) const = default;
  TrafficRow& operator+=(const TrafficRow& o);
  TrafficRow& operator-=(const TrafficRow& o);
};

/// One row per kind of call.
class Traffic {
 public:
  TrafficRow& operator[](Call call) { return rows_[static_cast<std::size_t>(call)]; }
  const TrafficRow& operator[](Call call) const { return rows_[static_cast<std::size_t>(call)]; }
  TrafficRow all() const;
  /// What has been added since `before`.
  Traffic since(const Traffic& before) const;
  bool operator==(const Traffic&) const = default;

 private:
  std::array<TrafficRow, call_kinds> rows_;
};

}  // namespace strata
