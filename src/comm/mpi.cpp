// The communicator over MPI, for host memory.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "comm/mpi_progress.hpp"
#include "comm/while_waiting.hpp"
#include "strata/base/error.hpp"
#include "strata/base/phase.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {
namespace {

// MPI counts are int: longer messages go in pieces.
constexpr std::size_t piece_bytes = std::size_t{1} << 30;
constexpr int exchange_tag = 1, tell_tag = 2, first_channel_tag = 16;

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char message[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, message, &length);
  throw CommError(text(call, " failed: ", message));
}

// One message in pieces that MPI can count.
template <class F>
void in_pieces(const Message& m, F transfer) {
  for (std::size_t at = 0; at < m.bytes; at += piece_bytes)
    transfer(static_cast<char*>(m.data) + at, static_cast<int>(std::min(piece_bytes, m.bytes - at)));
}

using InMpi = std::lock_guard<std::recursive_mutex>;

// Returns when all are over. For who holds the lock.
void wait_for(std::span<MPI_Request> requests) {
  const auto count = static_cast<int>(requests.size());
  const Phase::Wait wait;
  if (!WhileWaiting::any()) return check(MPI_Waitall(count, requests.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
  for (;;) {
    int over = 0;
    check(MPI_Testall(count, requests.data(), &over, MPI_STATUSES_IGNORE), "MPI_Testall");
    if (over) return;
    WhileWaiting::move();
    std::this_thread::yield();
  }
}

class MpiTransfer final : public Transfer {
 public:
  /// `progress`: a thread moves the messages on.
  MpiTransfer(MPI_Comm comm, std::span<const Message> sends, std::span<const Message> receives, int tag, bool progress) {
    const InMpi lock(mpi_mutex());
    for (const Message& m : receives)
      in_pieces(m, [&](char* data, int bytes) {
        check(MPI_Irecv(data, bytes, MPI_BYTE, m.peer, tag, comm, &requests_.emplace_back()), "MPI_Irecv");
      });
    for (const Message& m : sends)
      in_pieces(m, [&](char* data, int bytes) {
        check(MPI_Isend(data, bytes, MPI_BYTE, m.peer, tag, comm, &requests_.emplace_back()), "MPI_Isend");
      });
    if (progress && !requests_.empty()) progress_.emplace();
  }
  bool done() override {
    const InMpi lock(mpi_mutex());
    int all = 0;
    check(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &all, MPI_STATUSES_IGNORE), "MPI_Testall");
    if (all) progress_.reset();
    return all != 0;
  }
  void wait() override {
    const InMpi lock(mpi_mutex());
    wait_for(requests_);
    progress_.reset();
  }

 private:
  std::vector<MPI_Request> requests_;
  std::optional<MpiProgress> progress_;
};

/// A collective that MPI has begun.
class MpiCollective final : public Transfer {
 public:
  /// `begin` gives the request.
  template <class Begin>
  MpiCollective(Begin begin, bool progress) {
    const InMpi lock(mpi_mutex());
    begin(&request_);
    if (progress) progress_.emplace();
  }
  bool done() override {
    const InMpi lock(mpi_mutex());
    int over = 0;
    check(MPI_Test(&request_, &over, MPI_STATUS_IGNORE), "MPI_Test");
    if (over) progress_.reset();
    return over != 0;
  }
  void wait() override {
    const InMpi lock(mpi_mutex());
    wait_for({&request_, 1});
    progress_.reset();
  }

 private:
  MPI_Request request_ = MPI_REQUEST_NULL;
  std::optional<MpiProgress> progress_;
};

class MpiCommunicator final : public Communicator {
 public:
  /// Takes `comm` over.
  explicit MpiCommunicator(MPI_Comm comm, const MpiCommunicator* parent = nullptr) : Communicator(parent), comm_(comm) {
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    MPI_Comm node = MPI_COMM_NULL;
    check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node), "MPI_Comm_split_type");
    MPI_Comm_rank(node, &local_rank_);
    MPI_Comm_size(node, &local_size_);
    int first = rank_;  // of this rank's host
    check(MPI_Bcast(&first, 1, MPI_INT, 0, node), "MPI_Bcast");
    MPI_Comm_free(&node);
    char name[MPI_MAX_PROCESSOR_NAME] = {};
    int length = 0;
    MPI_Get_processor_name(name, &length);
    if (parent) std::snprintf(name, sizeof name, "%s", parent->host().c_str());
    std::vector<char> names(static_cast<std::size_t>(size_) * sizeof name);
    check(MPI_Allgather(name, sizeof name, MPI_CHAR, names.data(), sizeof name, MPI_CHAR, comm_), "MPI_Allgather");
    std::vector<int> firsts(static_cast<std::size_t>(size_));
    check(MPI_Allgather(&first, 1, MPI_INT, firsts.data(), 1, MPI_INT, comm_), "MPI_Allgather");
    name_hosts(names.data(), sizeof name, firsts);
    for (const std::string& other : hosts_) same_host_.push_back(other == hosts_[static_cast<std::size_t>(rank_)]);
    check(MPI_Comm_dup(comm_, &sums_), "MPI_Comm_dup");
  }
  ~MpiCommunicator() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized || given_up_) return;
    for (auto& note : notes_) MPI_Wait(&note.second, MPI_STATUS_IGNORE);
    MPI_Comm_free(&sums_), MPI_Comm_free(&comm_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_size() const override { return local_size_; }
  int local_rank() const override { return local_rank_; }
  std::string host() const override { return host_of(rank_); }
  std::string host_of(int rank) const override { return hosts_[static_cast<std::size_t>(rank)]; }
  bool same_host(int rank) const override { return same_host_[static_cast<std::size_t>(rank)]; }

  void barrier() override {
    const InMpi lock(mpi_mutex());
    count_barrier();
    if (meet()) return;
    const Phase::Wait wait;
    check(MPI_Barrier(comm_), "MPI_Barrier");
  }

  void broadcast(void* data, std::size_t bytes, int root) override {
    const InMpi lock(mpi_mutex());
    count_broadcast(bytes, root);
    meet();
    spread(data, bytes, root);
  }

  void all_gather(const void* mine, std::size_t bytes, void* all) override {
    const std::vector<std::size_t> counts(static_cast<std::size_t>(size_), bytes);
    all_gather_v(mine, counts, all);
  }

  void all_gather_v(const void* mine, std::span<const std::size_t> counts, void* all) override {
    const InMpi lock(mpi_mutex());
    count_gather(counts);
    char* base = static_cast<char*>(all);
    std::vector<std::size_t> begin(counts.size() + 1, 0);
    std::partial_sum(counts.begin(), counts.end(), begin.begin() + 1);
    char* own = base + begin[static_cast<std::size_t>(rank_)];
    if (own != mine && counts[static_cast<std::size_t>(rank_)]) std::memmove(own, mine, counts[static_cast<std::size_t>(rank_)]);
    if (size_ == 1) return;
    meet();
    const Phase::Wait wait;
    if (begin.back() <= piece_bytes) {
      std::vector<int> n(counts.begin(), counts.end()), at(begin.begin(), begin.end() - 1);
      check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_BYTE, all, n.data(), at.data(), MPI_BYTE, comm_), "MPI_Allgatherv");
      return;
    }
    for (int root = 0; root < size_; ++root)
      spread(base + begin[static_cast<std::size_t>(root)], counts[static_cast<std::size_t>(root)], root);
  }

  std::int64_t all_sum(std::int64_t value) override { return reduce(value, MPI_SUM); }
  std::int64_t all_max(std::int64_t value) override { return reduce(value, MPI_MAX); }
  std::int64_t all_min(std::int64_t value) override { return reduce(value, MPI_MIN); }

  void exchange(std::span<const Message> sends, std::span<const Message> receives) override {
    const InMpi lock(mpi_mutex());
    count_messages(Call::exchange, sends, receives);
    std::vector<MPI_Request> requests;
    std::vector<const Message*> own;
    for (const Message& m : receives)
      if (m.peer == rank_)
        own.push_back(&m);
      else
        in_pieces(m, [&](char* data, int bytes) {
          check(MPI_Irecv(data, bytes, MPI_BYTE, m.peer, exchange_tag, comm_, &requests.emplace_back()), "MPI_Irecv");
        });
    std::size_t next_own = 0;
    for (const Message& m : sends) {
      if (m.peer != rank_) {
        in_pieces(m, [&](char* data, int bytes) {
          check(MPI_Isend(data, bytes, MPI_BYTE, m.peer, exchange_tag, comm_, &requests.emplace_back()), "MPI_Isend");
        });
        continue;
      }
      STRATA_ASSERT(next_own < own.size() && own[next_own]->bytes == m.bytes, "a message to oneself has no receive of its size");
      if (own[next_own]->data != m.data && m.bytes) std::memmove(own[next_own]->data, m.data, m.bytes);
      ++next_own;
    }
    wait_or_give_up(requests);
  }

  std::unique_ptr<Transfer> begin_exchange(std::span<const Message> sends, std::span<const Message> receives, Channel channel) override {
    count_messages(call_of(channel), sends, receives);
    return std::make_unique<MpiTransfer>(comm_, sends, receives, first_channel_tag + static_cast<int>(channel), local_size_ < size_);
  }

  std::unique_ptr<Communicator> subgroup(const std::vector<int>& ranks) override {
    const InMpi lock(mpi_mutex());
    MPI_Group all = MPI_GROUP_NULL, some = MPI_GROUP_NULL;
    MPI_Comm comm = MPI_COMM_NULL;
    check(MPI_Comm_group(comm_, &all), "MPI_Comm_group");
    check(MPI_Group_incl(all, static_cast<int>(ranks.size()), ranks.data(), &some), "MPI_Group_incl");
    check(MPI_Comm_create_group(comm_, some, 0, &comm), "MPI_Comm_create_group");
    MPI_Group_free(&some), MPI_Group_free(&all);
    return std::make_unique<MpiCommunicator>(comm, this);
  }

  void all_reduce_sum_fast(float* data, std::size_t count) override { reduce_fast(data, count, MPI_FLOAT); }
  void all_reduce_sum_fast(double* data, std::size_t count) override { reduce_fast(data, count, MPI_DOUBLE); }

  std::unique_ptr<Transfer> begin_reduce_scatter_fast(float* data, std::span<const std::size_t> counts, float* mine) override {
    return reduce_scatter(data, counts, mine, MPI_FLOAT);
  }
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(double* data, std::span<const std::size_t> counts, double* mine) override {
    return reduce_scatter(data, counts, mine, MPI_DOUBLE);
  }

  void tell(int peer, int value) override {
    const InMpi lock(mpi_mutex());
    // The number stays where it is until it has left.
    for (int left = 1; !notes_.empty() && left;) {
      check(MPI_Test(&notes_.front().second, &left, MPI_STATUS_IGNORE), "MPI_Test");
      if (left) notes_.pop_front();
    }
    auto& note = notes_.emplace_back(value, MPI_REQUEST_NULL);
    check(MPI_Isend(&note.first, 1, MPI_INT, peer, tell_tag, comm_, &note.second), "MPI_Isend");
  }

  std::optional<int> heard() override {
    const InMpi lock(mpi_mutex());
    MPI_Status status;
    int there = 0, value = 0;
    check(MPI_Iprobe(MPI_ANY_SOURCE, tell_tag, comm_, &there, &status), "MPI_Iprobe");
    if (!there) return std::nullopt;
    check(MPI_Recv(&value, 1, MPI_INT, status.MPI_SOURCE, tell_tag, comm_, MPI_STATUS_IGNORE), "MPI_Recv");
    return value;
  }

  std::int64_t all_max_while(std::int64_t value, const std::function<void()>& meanwhile) override {
    const InMpi lock(mpi_mutex());
    count_reduce(Call::reduce, sizeof value);
    auto numbers = std::make_unique<std::array<std::int64_t, 2>>(std::array<std::int64_t, 2>{value, 0});
    MPI_Request request = MPI_REQUEST_NULL;
    const Phase::Wait wait;
    check(MPI_Iallreduce(&(*numbers)[0], &(*numbers)[1], 1, MPI_INT64_T, MPI_MAX, comm_, &request), "MPI_Iallreduce");
    for (int done = 0; !done;) {
      check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done) break;
      try {
        WhileWaiting::move();
        meanwhile();
      } catch (...) {  // MPI goes on with it
        numbers.release();
        given_up_ = true;
        throw;
      }
    }
    return (*numbers)[1];
  }

  [[noreturn]] void abort(int exit_code) override {
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
  }

 private:
  // Ranks of one host share memory. Hosts may have one name (containers, several daemons of a batch system): the second is then NAME-2.
  void name_hosts(const char* names, std::size_t stride, const std::vector<int>& firsts) {
    std::map<std::string, std::vector<int>> same_name;
    for (std::size_t r = 0; r < firsts.size(); ++r) {
      const std::string name = names + r * stride;
      std::vector<int>& known = same_name[name];
      const auto at = std::find(known.begin(), known.end(), firsts[r]) - known.begin();
      if (at == static_cast<std::ptrdiff_t>(known.size())) known.push_back(firsts[r]);
      hosts_.push_back(at == 0 ? name : text(name, "-", at + 1));
    }
  }

  // Before a call in which this rank does nothing but wait: until all have come, it moves on what they may need. False: nothing needs that.
  bool meet() {
    if (!WhileWaiting::any() || size_ == 1) return false;
    MPI_Request here = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(comm_, &here), "MPI_Ibarrier");
    wait_or_give_up({&here, 1});
    return true;
  }

  void wait_or_give_up(std::span<MPI_Request> requests) {
    try {
      wait_for(requests);
    } catch (...) {  // MPI goes on with them
      given_up_ = true;
      throw;
    }
  }

  void spread(void* data, std::size_t bytes, int root) {
    const Phase::Wait wait;
    for (std::size_t at = 0; at < bytes; at += piece_bytes)
      check(MPI_Bcast(static_cast<char*>(data) + at, static_cast<int>(std::min(piece_bytes, bytes - at)), MPI_BYTE, root, comm_),
            "MPI_Bcast");
  }
  std::int64_t reduce(std::int64_t value, MPI_Op op) {
    const InMpi lock(mpi_mutex());
    count_reduce(Call::reduce, sizeof value);
    meet();
    std::int64_t result = 0;
    const Phase::Wait wait;
    check(MPI_Allreduce(&value, &result, 1, MPI_INT64_T, op, comm_), "MPI_Allreduce");
    return result;
  }
  template <class T>
  void reduce_fast(T* data, std::size_t count, MPI_Datatype type) {
    const InMpi lock(mpi_mutex());
    count_reduce(Call::fast_reduce, count * sizeof(T));
    meet();
    const std::size_t piece = piece_bytes / sizeof(T);
    const Phase::Wait wait;
    for (std::size_t at = 0; at < count; at += piece)
      check(MPI_Allreduce(MPI_IN_PLACE, data + at, static_cast<int>(std::min(piece, count - at)), type, MPI_SUM, comm_), "MPI_Allreduce");
  }

  // MPI keeps the counts, not a copy of them.
  template <class T>
  std::unique_ptr<Transfer> reduce_scatter(T* data, std::span<const std::size_t> counts, T* mine, MPI_Datatype type) {
    count_reduce_scatter(std::accumulate(counts.begin(), counts.end(), std::size_t{0}) * sizeof(T));
    for (const std::size_t count : counts) STRATA_ASSERT(count <= piece_bytes, "a shard of ", count, " elements is more than MPI counts");
    const std::vector<int>& kept = *reduce_counts_.insert(std::vector<int>(counts.begin(), counts.end())).first;
    return std::make_unique<MpiCollective>(
        [&](MPI_Request* request) {
          check(MPI_Ireduce_scatter(data, mine, kept.data(), type, MPI_SUM, sums_, request), "MPI_Ireduce_scatter");
        },
        local_size_ < size_);
  }

  std::set<std::vector<int>> reduce_counts_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  // For the sums that are begun: ranks begin them before or after other collectives, as it comes, and MPI tells those of one communicator
  // apart by their order alone (MPI 3.1, 5.12).
  MPI_Comm sums_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::vector<std::string> hosts_;
  std::vector<bool> same_host_;  // as this rank
  std::deque<std::pair<int, MPI_Request>> notes_;
  bool given_up_ = false;  // in the middle of a collective: MPI still uses the communicator
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator() {
  MPI_Comm comm = MPI_COMM_NULL;
  check(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
  return std::make_unique<MpiCommunicator>(comm);
}

}  // namespace strata
