// NCCL's part: errors that come later end in CommError, and orders that differ between ranks do not end in a standstill.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <thread>

#include "comm/cuda/table.hpp"
#include "comm/gpu_memory.hpp"
#include "strata/base/end_hook.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {

using test::Bytes;
using test::Placed;

struct Ranks {
  Ranks() : host(make_mpi_communicator()), gpu(test::rank_gpu(*host)) {}
  std::unique_ptr<Communicator> communicator() const { return make_gpu_communicator(make_mpi_communicator(), *gpu); }
  std::unique_ptr<Communicator> host;
  std::unique_ptr<Gpu> gpu;
};

TEST(GpuLink, AnErrorOfNcclIsACommError) {
  const Ranks ranks;
  setenv("STRATA_EMULATION_NCCL_ERROR", "2", 1);
  const auto comm = ranks.communicator();
  unsetenv("STRATA_EMULATION_NCCL_ERROR");
  Placed data(ranks.gpu.get(), std::vector<float>(100, 1));
  comm->all_reduce_sum_fast(data.as<float>(), 100);
  EXPECT_EQ(data.read(), Placed::bytes_of(std::vector<float>(100, static_cast<float>(comm->size()))));
  try {
    comm->all_reduce_sum_fast(data.as<float>(), 100);
    FAIL() << "the sum that fails did not throw";
  } catch (const CommError& e) {
    EXPECT_EQ(e.code(), ExitCode::lost);
    EXPECT_NE(std::string(e.what()).find("NCCL"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("remote process exited or there was a network error"), std::string::npos) << e.what();
  }
  EXPECT_THROW(comm->all_reduce_sum_fast(data.as<float>(), 100), CommError);  // it stays given up
}

// The group in which it was asked for is ended: the next one, of any communicator, begins anew.
TEST(GpuLink, WhatNcclRefusesLeavesNoGroupOpen) {
  const Ranks ranks;
  const auto open = [&] {
    cuda::LinkId id{};
    if (ranks.host->rank() == 0) cuda::collectives().new_id(id);
    ranks.host->broadcast(&id, sizeof id, 0);
    std::unique_ptr<cuda::GpuLink> link(cuda::collectives().open(*ranks.gpu, id, ranks.host->rank(), ranks.host->size()));
    while (!link->ready()) std::this_thread::yield();
    return link;
  };
  const auto refused = open(), taken = open();
  Placed data(ranks.gpu.get(), std::vector<float>(100, 1));
  const int nobody = ranks.host->size();

  EXPECT_THROW(refused->launch({{cuda::LinkOp::reduce, data.as<float>(), data.as<float>(), 100, DType::f32, nobody}}, {}), CommError);
  const auto group = taken->launch({{cuda::LinkOp::all_reduce, data.as<float>(), data.as<float>(), 100, DType::f32, 0}}, {taken->mark()});
  while (!taken->done(group)) std::this_thread::yield();

  EXPECT_EQ(data.read(), Placed::bytes_of(std::vector<float>(100, static_cast<float>(ranks.host->size()))));
}

// As the watchdog ends a process that waits in vain, and main one that an exception ends.
TEST(GpuLink, TheEndOfAProcessGivesUpWhatHangs) {
  const Ranks ranks;
  setenv("STRATA_EMULATION_NCCL_HANG", "2", 1);
  const auto comm = ranks.communicator();
  unsetenv("STRATA_EMULATION_NCCL_HANG");
  Placed data(ranks.gpu.get(), std::vector<float>(100, 1));
  comm->all_reduce_sum_fast(data.as<float>(), 100);
  testing::internal::CaptureStderr();
  std::thread end([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_TRUE(run_end_hooks(60));
  });
  EXPECT_THROW(comm->all_reduce_sum_fast(data.as<float>(), 100), CommError);
  end.join();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("NCCL gives up a group that hangs, as rank " + std::to_string(comm->rank())),
            std::string::npos);
  EXPECT_THROW(comm->all_reduce_sum_fast(data.as<float>(), 100), CommError);  // it stays given up
}

// A rank has sent, and waits in a call of any communicator, GPU memory's or the host's, while another still waits for what it has sent.
TEST(GpuLink, RanksThatWaitElsewhereMoveTransfersOn) {
  const Ranks ranks;
  const auto gpu = ranks.communicator();
  const int n = gpu->size(), rank = gpu->rank(), next = (rank + 1) % n, last = (rank + n - 1) % n;
  std::vector<double> numbers(static_cast<std::size_t>(n));
  double number = 1;
  const Message to{next, &number, sizeof number}, from{last, numbers.data(), sizeof number};
  const std::vector<std::size_t> counts(static_cast<std::size_t>(n), sizeof number);
  const std::pair<const char*, std::function<void(Communicator&)>> calls[] = {
      {"barrier", [](Communicator& comm) { comm.barrier(); }},
      {"all_sum", [&](Communicator& comm) { EXPECT_EQ(comm.all_sum(1), n); }},
      {"all_max", [&](Communicator& comm) { EXPECT_EQ(comm.all_max(comm.rank()), n - 1); }},
      {"all_max_while", [&](Communicator& comm) { EXPECT_EQ(comm.all_max_while(comm.rank(), [] {}), n - 1); }},
      {"broadcast", [&](Communicator& comm) { comm.broadcast(&number, sizeof number, 0); }},
      {"all_gather", [&](Communicator& comm) { comm.all_gather(&number, sizeof number, numbers.data()); }},
      {"all_gather_v", [&](Communicator& comm) { comm.all_gather_v(&number, counts, numbers.data()); }},
      {"exchange",
       [&](Communicator& comm) {
         comm.exchange({&to, 1}, {&from, 1});
       }},
      {"a transfer",
       [&](Communicator& comm) {
         comm.begin_exchange({&to, 1}, {&from, 1}, Channel::returns)->wait();
       }},
      {"all_reduce_sum_fast", [](Communicator& comm) { comm.all_reduce_sum_fast(std::vector{1.0}.data(), 1); }},
      {"begin_reduce_scatter_fast",
       [&](Communicator& comm) {
         std::vector<double> all(static_cast<std::size_t>(n), 1), sum(1);
         const std::vector<std::size_t> ones(all.size(), 1);
         comm.begin_reduce_scatter_fast(all.data(), ones, sum.data())->wait();
         EXPECT_EQ(sum[0], n);
       }},
  };
  for (Communicator* const elsewhere : {gpu.get(), ranks.host.get()})
    for (const auto& [name, call] : calls) {
      SCOPED_TRACE(name);
      Placed out(ranks.gpu.get(), Bytes(1000, static_cast<unsigned char>(rank))), in(ranks.gpu.get(), Bytes(1000));
      const Message send{next, out.data(), 1000}, receive{last, in.data(), 1000};
      const auto sent = gpu->begin_exchange({&send, 1}, {}, Channel::sums);
      const auto received = gpu->begin_exchange({}, {&receive, 1}, Channel::sums);
      if (rank == 0) received->wait();
      call(*elsewhere);
      received->wait(), sent->wait();
      EXPECT_EQ(in.read(), Bytes(1000, static_cast<unsigned char>(last)));
    }
}

// More messages than one notice names, on groups and channels that every rank serves in an order of its own.
TEST(GpuLink, OrdersOfRanksMayDiffer) {
  const Ranks ranks;
  const auto comm = ranks.communicator();
  std::vector<int> reversed(static_cast<std::size_t>(comm->size()));
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  const auto other = comm->subgroup(reversed);
  constexpr int count = 150;
  struct Part {
    Communicator* comm;
    Channel channel;
  };
  std::vector<Part> parts = {
      {comm.get(), Channel::sums}, {other.get(), Channel::sums}, {comm.get(), Channel::returns}, {other.get(), Channel::gradients}};
  std::rotate(parts.begin(), parts.begin() + comm->rank() % 4, parts.end());
  std::vector<std::unique_ptr<Transfer>> under_way;
  std::vector<Placed> memory;
  std::vector<unsigned char> expected;
  memory.reserve(parts.size() * 4);
  for (const auto& [group, channel] : parts) {
    const auto n = static_cast<std::size_t>(group->size());
    memory.emplace_back(ranks.gpu.get(), Bytes(count, static_cast<unsigned char>(10 * group->rank() + static_cast<int>(channel))));
    auto* const out = memory.back().as<char>();
    memory.emplace_back(ranks.gpu.get(), Bytes(n * count));
    auto* const in = memory.back().as<char>();
    for (int k = 0; k < count; ++k) {
      std::vector<Message> sends, receives;
      for (int r = 0; r < group->size(); ++r)
        if (r != group->rank()) sends.push_back({r, out + k, 1}), receives.push_back({r, in + r * count + k, 1});
      const auto send = [&] { under_way.push_back(group->begin_exchange(sends, {}, channel)); };
      if (comm->rank() % 2 == 0) send();
      under_way.push_back(group->begin_exchange({}, receives, channel));
      if (comm->rank() % 2 == 1) send();
    }
  }
  for (const auto& transfer : under_way) transfer->wait();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Bytes got = memory[2 * i + 1].read();
    for (int r = 0; r < parts[i].comm->size(); ++r)
      for (int k = 0; k < count && r != parts[i].comm->rank(); ++k)
        ASSERT_EQ(got[static_cast<std::size_t>(r * count + k)], 10 * r + static_cast<int>(parts[i].channel));
  }
}

}  // namespace
}  // namespace strata
