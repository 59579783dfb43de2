// Communication of GPU memory gives the bytes that the host's communicator gives, wherever the memory of a call lies.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "comm/gpu_memory.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {

using test::Bytes;
using test::Placed;

Bytes random_bytes(std::size_t count, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
  return bytes;
}
// Whole numbers, so that their sums are exact in any order.
template <class T>
std::vector<T> random_values(std::size_t count, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(static_cast<int>(random() % 2001) - 1000);
  return values;
}

/// Which memory: none of a call, all, or every second one on the GPU. In `mixed` the ends of a message lie in different memories, too.
enum class Where { host, gpu, mixed };

class GpuMemory : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    host_ = make_mpi_communicator();
    gpu_ = test::rank_gpu(*host_);
    comm_ = make_gpu_communicator(make_mpi_communicator(), *gpu_);
  }
  void TearDown() override { comm_.reset(), gpu_.reset(); }
  // The memory of the k-th part of a call.
  Gpu* place(int k) const {
    if (GetParam() == Where::mixed) return k % 2 == 0 ? gpu_.get() : nullptr;
    return GetParam() == Where::gpu ? gpu_.get() : nullptr;
  }
  // Collectives: of one kind on all ranks.
  int rank() const { return host_->rank(); }
  int size() const { return host_->size(); }
  std::size_t ranks() const { return static_cast<std::size_t>(size()); }

  // What `work(comm, place)` left, on the host's communicator and on the GPU's.
  template <class Work>
  void expect_same(Work work) {
    const std::vector<Bytes> expected = work(*host_, [](int) -> Gpu* { return nullptr; });
    const std::vector<Bytes> got = work(*comm_, [&](int k) { return place(k); });
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(got[i] == expected[i]) << "memory " << i << " on rank " << rank();
  }

  std::unique_ptr<Communicator> host_;
  std::unique_ptr<Gpu> gpu_;
  std::unique_ptr<Communicator> comm_;
};

INSTANTIATE_TEST_SUITE_P(Memory, GpuMemory, testing::Values(Where::host, Where::gpu, Where::mixed), [](const auto& p) {
  return p.param == Where::host ? "host" : p.param == Where::gpu ? "gpu" : "mixed";
});

TEST_P(GpuMemory, Broadcast) {
  for (const std::size_t bytes : {0u, 1u, 70001u})
    expect_same([&](Communicator& comm, auto where) {
      Placed data(where(0), random_bytes(bytes, rank()));
      comm.broadcast(data.data(), bytes, size() - 1);
      return std::vector<Bytes>{data.read()};
    });
}

TEST_P(GpuMemory, Gathers) {
  for (const std::size_t bytes : {0u, 3u, 70001u})
    expect_same([&](Communicator& comm, auto where) {
      Placed mine(where(1), random_bytes(bytes, rank())), all(where(0), Bytes(bytes * ranks()));
      comm.all_gather(mine.data(), bytes, all.data());
      std::vector<std::size_t> counts;
      for (std::size_t r = 0; r < ranks(); ++r) counts.push_back(r * bytes / 2);
      const auto own = static_cast<std::size_t>(rank());
      Placed some(where(3), random_bytes(counts[own], rank())),
          uneven(where(2), random_bytes(std::accumulate(counts.begin(), counts.end(), std::size_t{0}), 9));
      comm.all_gather_v(some.data(), counts, uneven.data());
      // In place: one's own lie where they belong.
      Placed in_place(where(4), random_bytes(bytes * ranks(), rank()));
      comm.all_gather(in_place.as<unsigned char>() + own * bytes, bytes, in_place.data());
      return std::vector<Bytes>{all.read(), uneven.read(), in_place.read()};
    });
}

TEST_P(GpuMemory, ExchangesWithAll) {
  expect_same([&](Communicator& comm, auto where) {
    std::vector<Placed> out, in;
    std::vector<Message> sends, receives;
    const auto bytes = [](int from, int to, int k) { return static_cast<std::size_t>(k == 1 ? 0 : 1000 * from + 70000 * k + 13 * to + 1); };
    for (int r = 0; r < size(); ++r)
      for (int k = 0; k < 3; ++k) {
        out.emplace_back(where(r + k), random_bytes(bytes(rank(), r, k), rank() * 100 + r * 10 + k));
        in.emplace_back(where(r), Bytes(bytes(r, rank(), k)));
        sends.push_back({r, out.back().data(), bytes(rank(), r, k)});
        receives.push_back({r, in.back().data(), bytes(r, rank(), k)});
      }
    comm.exchange(sends, receives);
    std::vector<Bytes> result;
    for (Placed& data : in) result.push_back(data.read());
    return result;
  });
}

// As parallel/ has it: sends and receives begun apart, on several channels, received in another order than sent, and one shard to all.
TEST_P(GpuMemory, BeginsExchangesInAnyOrder) {
  expect_same([&](Communicator& comm, auto where) {
    const Channel channels[] = {Channel::gradients, Channel::sums, Channel::parameters};
    std::vector<std::unique_ptr<Transfer>> under_way;
    std::vector<Placed> out, in;
    out.reserve(100), in.reserve(100);
    for (const Channel channel : channels) {
      for (int k = 0; k < 3; ++k) {
        out.emplace_back(where(k), random_bytes(5000u + static_cast<std::size_t>(k), rank() * 10 + k + 100 * static_cast<int>(channel)));
        std::vector<Message> sends;
        for (int r = 0; r < size(); ++r)
          if (r != rank()) sends.push_back({r, out.back().data(), 5000u + static_cast<std::size_t>(k)});
        under_way.push_back(comm.begin_exchange(sends, {}, channel));
      }
    }
    for (int c = 2; c >= 0; --c)
      for (int k = 0; k < 3; ++k) {
        std::vector<Message> receives;
        for (int r = 0; r < size(); ++r) {
          if (r == rank()) continue;
          in.emplace_back(where(k + c), Bytes(5000u + static_cast<std::size_t>(k)));
          receives.push_back({r, in.back().data(), 5000u + static_cast<std::size_t>(k)});
        }
        under_way.push_back(comm.begin_exchange({}, receives, channels[c]));
        if (rank() % 2 == 1) under_way.back()->wait();  // some at once, others all at the end
      }
    for (bool all = false; !all;) {
      all = true;
      for (const auto& transfer : under_way) all = transfer->done() && all;
    }
    for (const auto& transfer : under_way) transfer->wait();
    std::vector<Bytes> result;
    for (Placed& data : in) result.push_back(data.read());
    return result;
  });
}

// What was sent may be overwritten once the transfer is done, by ops given to the queue; what was received is seen by those.
TEST_P(GpuMemory, OpsAfterATransferSeeIt) {
  if (size() == 1) GTEST_SKIP() << "there is no other rank";
  expect_same([&](Communicator& comm, auto where) {
    const int next = (rank() + 1) % size(), last = (rank() + size() - 1) % size();
    Placed out(where(0), random_bytes(4096, rank())), in(where(0), Bytes(4096)), copy(where(0), Bytes(4096));
    for (int round = 0; round < 3; ++round) {
      const Message send{next, out.data(), 4096}, receive{last, in.data(), 4096};
      const auto transfer = comm.begin_exchange({&send, 1}, {&receive, 1}, Channel::sums);
      transfer->wait();
      begin_copy_memory(copy.data(), in.data(), 4096);
      begin_copy_memory(out.data(), copy.data(), 4096);
    }
    return std::vector<Bytes>{out.read(), copy.read()};
  });
}

template <class T>
std::vector<Bytes> sums(Communicator& comm, Gpu* place, std::size_t ranks, bool even) {
  const int rank = comm.rank();
  Placed all(place, random_values<T>(1000, rank));
  comm.all_reduce_sum_fast(all.as<T>(), 1000);
  std::vector<std::size_t> counts;
  for (std::size_t r = 0; r < ranks; ++r) counts.push_back(even ? 300 : 100 * r + 7);
  const std::size_t count = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
  Placed first(place, random_values<T>(count, 10 + rank)), second(place, random_values<T>(count, 20 + rank)),
      a(place, std::vector<T>(counts[static_cast<std::size_t>(rank)])), b(place, std::vector<T>(counts[static_cast<std::size_t>(rank)]));
  const auto one = comm.begin_reduce_scatter_fast(first.as<T>(), counts, a.as<T>());
  const auto two = comm.begin_reduce_scatter_fast(second.as<T>(), counts, b.as<T>());
  two->wait();
  one->wait();
  return {all.read(), a.read(), b.read()};
}

TEST_P(GpuMemory, FastSums) {
  for (const bool even : {true, false}) {
    expect_same([&](Communicator& comm, auto where) { return sums<float>(comm, where(0), ranks(), even); });
    expect_same([&](Communicator& comm, auto where) { return sums<double>(comm, where(0), ranks(), even); });
  }
}

TEST_P(GpuMemory, Subgroups) {
  std::vector<int> reversed(ranks());
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  const auto group = comm_->subgroup(reversed);
  EXPECT_EQ(group->rank(), size() - 1 - rank());
  Placed mine(place(0), Bytes(100, static_cast<unsigned char>(rank()))), all(place(0), Bytes(100 * ranks()));
  group->all_gather(mine.data(), 100, all.data());
  const Bytes got = all.read();
  for (std::size_t r = 0; r < ranks(); ++r) EXPECT_EQ(got[100 * r], ranks() - 1 - r);
  const auto alone = comm_->subgroup({rank()});
  alone->all_gather(mine.data(), 100, all.data());
  EXPECT_EQ(all.read()[0], rank());
}

TEST_P(GpuMemory, IsCountedOnce) {
  const auto work = [&](Communicator& comm, auto where) {
    const Traffic before = comm.traffic();
    Placed out(where(0), Bytes(8000)), in(where(1), Bytes(8000 * ranks()));
    std::vector<Message> sends, receives;
    for (int r = 0; r < size(); ++r)
      if (r != rank()) sends.push_back({r, out.data(), 800}), receives.push_back({r, in.as<char>() + 800 * r, 800});
    comm.exchange(sends, receives);
    comm.begin_exchange(sends, receives, Channel::parameters)->wait();
    comm.all_gather(out.data(), 8000, in.data());
    const std::vector<std::size_t> counts(ranks(), 1000 / ranks());
    comm.all_reduce_sum_fast(out.template as<float>(), 1000);
    comm.begin_reduce_scatter_fast(out.template as<double>(), counts, in.template as<double>())->wait();
    comm.broadcast(out.data(), 10, 0);
    comm.barrier();
    return comm.traffic().since(before);
  };
  const Traffic expected = work(*host_, [](int) -> Gpu* { return nullptr; });
  const Traffic got = work(*comm_, [&](int) { return place(0); });
  EXPECT_TRUE(got == expected);
}

TEST(GpuMemoryOfARun, IsMadeOverTheRunsRanks) {
  const auto host = make_mpi_communicator();
  const auto gpu = test::rank_gpu(*host);
  EXPECT_EQ(gpu_communicator_over(*host, nullptr), nullptr);
  const auto comm = gpu_communicator_over(*host, gpu.get());
  EXPECT_EQ(comm->rank(), host->rank());
  EXPECT_EQ(comm->all_sum(1), host->size());
  const auto alone = make_gpu_communicator(make_self_communicator(), *gpu);
  Placed data(gpu.get(), Bytes{1, 2, 3}), all(gpu.get(), Bytes(3));
  alone->all_gather(data.data(), 3, all.data());
  EXPECT_EQ(all.read(), (Bytes{1, 2, 3}));
}

// Messages of two calls that are under way at once, the same again, then a sum: blocks are used again where they fit.
void exchange_and_sum(Communicator& comm, char* out, char* in, float* sums) {
  constexpr std::size_t bytes = 100000;
  const auto n = static_cast<std::size_t>(comm.size());
  std::vector<Message> sends, receives, shared, others;
  for (std::size_t r = 0; r < n; ++r) {
    const int peer = static_cast<int>(r);
    if (peer == comm.rank()) continue;
    sends.push_back({peer, out + r * bytes, bytes}), receives.push_back({peer, in + r * bytes, bytes});
    shared.push_back({peer, out, bytes}), others.push_back({peer, in + (n + r) * bytes, bytes});
  }
  for (int turn = 0; turn < 2; ++turn) {
    const auto pieces = comm.begin_exchange(sends, receives, Channel::sums);
    const auto weights = comm.begin_exchange(shared, others, Channel::parameters);
    pieces->wait(), weights->wait();
  }
  comm.all_reduce_sum_fast(sums, 300000);
}

TEST(GpuMemory, StagingIsForeseenToTheByte) {
  const auto host = make_mpi_communicator();
  const auto gpu = test::rank_gpu(*host);
  const auto comm = make_gpu_communicator(make_mpi_communicator(), *gpu);
  const auto n = static_cast<std::size_t>(comm->size());
  Placed out(gpu.get(), Bytes(n * 100000)), in(gpu.get(), Bytes(2 * n * 100000)), sums(gpu.get(), Bytes(300000 * sizeof(float)));
  const auto staging = std::make_shared<PlannedStaging>();
  const auto planned = make_plan_gpu_communicator(comm->size(), comm->size(), staging);

  exchange_and_sum(*comm, out.as<char>(), in.as<char>(), sums.as<float>());
  exchange_and_sum(*planned, out.as<char>(), in.as<char>(), sums.as<float>());

  // To each other rank a piece, and from each two, and one shard for all, in 128 KiB; the sum in 2 MiB.
  const std::int64_t blocks = n == 1 ? 0 : 3 * static_cast<std::int64_t>(n - 1) + 1;
  EXPECT_EQ(staging->bytes(), blocks * (128 << 10) + (2 << 20));
  const char* const devices = std::getenv("STRATA_EMULATION_DEVICES");
  const bool by_nccl = n > 1 && devices && std::atoi(devices) > 1;
  EXPECT_EQ(staging_bytes(*comm), by_nccl ? 0 : staging->bytes());
}

}  // namespace
}  // namespace strata
