#pragma once
// Communicator: a group of ranks and the collectives Strata needs between hosts. An object passed down; there are no rank globals.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "strata/comm/traffic.hpp"

namespace strata {

/// A piece of memory that travels between this rank and `peer`.
struct Message {
  int peer = 0;  // [rank]
  void* data = nullptr;
  std::size_t bytes = 0;
};

/// Messages on their way. To be waited for, or found done, before their memory is used otherwise.
class Transfer {
 public:
  virtual ~Transfer() = default;
  /// Whether all have left and arrived; moves them on. Local.
  virtual bool done() = 0;
  /// Returns when they have. The others must have begun theirs.
  virtual void wait() = 0;
};

/// Streams of messages that do not meet those of another, so that several exchanges can be under way in any order. `returns` are sums on
/// their way back.
enum class Channel { exchange, parameters, gradients, sums, returns };
/// How messages on a channel are counted.
inline Call call_of(Channel channel) {
  return channel == Channel::returns ? Call::sums : static_cast<Call>(channel);
}

/// A group of ranks. Every function but the accessors is collective over the group unless it says otherwise; errors are CommError.
/// No function returns results that depend on timing: sums of floating-point numbers are not offered here, see parallel/reduction.hpp.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Ranks of the group on this rank's host, and this rank's number among them. Local: no communication.
  virtual int local_size() const = 0;
  virtual int local_rank() const = 0;
  virtual std::string host() const = 0;
  /// The host of another rank. Local.
  virtual std::string host_of(int rank) const = 0;
  /// Whether another rank is on this rank's host. Local.
  virtual bool same_host(int rank) const = 0;
  /// What this communicator, and those made of it, have moved so far. A communicator of one rank counts nothing. Local.
  const Traffic& traffic() const { return *traffic_; }

  virtual void barrier() = 0;
  virtual void broadcast(void* data, std::size_t bytes, int root) = 0;
  /// all[r * bytes ...] = the `bytes` bytes of rank r. `all` holds size() * bytes bytes.
  virtual void all_gather(const void* mine, std::size_t bytes, void* all) = 0;
  /// As all_gather with counts[r] bytes of rank r, laid end to end.
  virtual void all_gather_v(const void* mine, std::span<const std::size_t> counts, void* all) = 0;
  virtual std::int64_t all_sum(std::int64_t value) = 0;
  virtual std::int64_t all_max(std::int64_t value) = 0;
  virtual std::int64_t all_min(std::int64_t value) = 0;
  /// Sends and receives at once; message k to a peer meets that peer's k-th receive from here. A message to oneself is copied. Returns when
  /// all have arrived. Sizes of a pair must agree.
  virtual void exchange(std::span<const Message> sends, std::span<const Message> receives) = 0;
  /// Begins sends and receives to others (not to oneself) and returns at once; message k to a peer on a channel meets that peer's k-th
  /// receive from here on it. Local, but what it begins ends only when the others have begun theirs.
  virtual std::unique_ptr<Transfer> begin_exchange(std::span<const Message> sends, std::span<const Message> receives, Channel channel) = 0;
  /// The communicator of some of the ranks, in this order; this rank is one of them. Collective over those only.
  virtual std::unique_ptr<Communicator> subgroup(const std::vector<int>& ranks) = 0;
  /// The library's own floating-point sum over ranks: order, and so the last bits, are its own (parallel.reduction = fast).
  virtual void all_reduce_sum_fast(float* data, std::size_t count) = 0;
  virtual void all_reduce_sum_fast(double* data, std::size_t count) = 0;
  /// Begins the same sum of every rank's `data`, of which this rank gets its counts[rank()] elements, laid end to end by rank, in `mine`;
  /// `data` may be overwritten. Every rank of the group begins the same sums in the same order; other calls may come between them,
  /// at other places on other ranks.
  virtual std::unique_ptr<Transfer> begin_reduce_scatter_fast(float* data, std::span<const std::size_t> counts, float* mine) = 0;
  virtual std::unique_ptr<Transfer> begin_reduce_scatter_fast(double* data, std::span<const std::size_t> counts, double* mine) = 0;
  /// Sends a number to another rank without waiting, which hears it in heard(). For what may come at any time. Local.
  virtual void tell(int peer, int value) = 0;
  /// A number that another rank has told this one; empty: none is there now. Does not wait. Local.
  virtual std::optional<int> heard() = 0;
  /// As all_max; `meanwhile` runs again and again until the others have come.
  virtual std::int64_t all_max_while(std::int64_t value, const std::function<void()>& meanwhile) = 0;
  /// Ends the whole job now with this exit code; never returns. Local: the launcher ends the other ranks.
  [[noreturn]] virtual void abort(int exit_code) = 0;

 protected:
  Communicator() : traffic_(std::make_shared<Traffic>()) {}
  /// Made of `parent`, and counted with it.
  explicit Communicator(const Communicator* parent) : traffic_(parent ? parent->traffic_ : std::make_shared<Traffic>()) {}
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  /// What is moved while one lives is not counted.
  class Uncounted {
   public:
    explicit Uncounted(const Communicator& comm) : traffic_(comm.traffic_), before_(*traffic_) {}
    ~Uncounted() { *traffic_ = before_; }
    Uncounted(const Uncounted&) = delete;
    Uncounted& operator=(const Uncounted&) = delete;

   private:
    std::shared_ptr<Traffic> traffic_;
    Traffic before_;
  };
  void count_messages(Call call, std::span<const Message> sends, std::span<const Message> receives);
  void count_gather(std::span<const std::size_t> counts);
  void count_reduce(Call call, std::size_t bytes);
  void count_reduce_scatter(std::size_t bytes);
  void count_broadcast(std::size_t bytes, int root);
  void count_barrier() { (*traffic_)[Call::barrier].calls += 1; }

 private:
  std::shared_ptr<Traffic> traffic_;
};

/// One rank; every collective copies.
std::unique_ptr<Communicator> make_self_communicator();
/// All ranks of MPI_COMM_WORLD, on a duplicate of it. MPI must be initialised, and stay so while the object lives.
std::unique_ptr<Communicator> make_mpi_communicator();

/// Rank 0 of `ranks` that are not there, `per_host` of them on this host: for going through the motions without data. Nothing is received,
/// and nobody is waited for. Throws InternalError unless 1 <= per_host <= ranks.
std::unique_ptr<Communicator> make_plan_communicator(int ranks, int per_host);
/// Whether a launcher (mpirun, srun) started this process. Without one MPI is not needed, and starts a second faster.
bool launched();

/// The text of rank `root`, on every rank.
std::string broadcast_text(Communicator& comm, const std::string& text, int root = 0);
/// texts[r] = the text of rank r, on every rank.
std::vector<std::string> all_gather_text(Communicator& comm, const std::string& text);

/// Runs `work`, which must not communicate, on every rank. If it throws on any rank, every rank throws an error with the lowest failing
/// rank's message and exit code, marked on_all_ranks(). So no rank is left waiting in a later collective.
void guarded(Communicator& comm, const std::function<void()>& work);

}  // namespace strata
