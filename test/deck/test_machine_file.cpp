// Machine files: what is written reads back; every mistake is said with its line.
#include <gtest/gtest.h>

#include "strata/base/error.hpp"
#include "strata/deck/machine_file.hpp"
#include "strata/deck/tuning_file.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

Machine sample() {
  Machine m;
  m.name = "node, 1", m.processor = "A \"fast\" # one", m.measured = "2026-11-21 12:00:00, Strata 0.1.0";
  m.cores = 64, m.memory_bytes = 549755813888;
  m.fp32_gflops = 3500.5, m.bf16_gflops = 12000, m.fp64_gflops = 1750.25;
  m.products = {{"bf16_nt_512x3072x1024", 11000.5}, {"fp32_tn_6144x1024x512", 3300}};
  m.ops = {{"attention_forward_bf16_16x512x128", 321.5}, {"adamw_update_fp32_1048576", 22}}, m.ranks = 8;
  m.read_gbs = 400, m.copy_gbs = 350.125, m.triad_gbs = 360, m.pool_us = 3.5;
  m.disk_write_gbs = 1.5, m.disk_read_gbs = 2.5;
  m.host_latency_us = 0.5, m.host_gbs = 12, m.network_latency_us = 1.75, m.network_gbs = 24.5;
  m.gather_gbs = 9.5, m.gather_ranks = 4, m.clock_mhz = 3500, m.loaded_clock_mhz = 2900;
  return m;
}

TEST(MachineFile, ReadsBackWhatWasWritten) {
  const Machine m = parse_machine("m.in", machine_text(sample()));
  EXPECT_EQ(machine_text(m), machine_text(sample()));
  EXPECT_EQ(m.name, sample().name);
  EXPECT_EQ(m.processor, sample().processor);
  EXPECT_EQ(m.cores, 64);
  EXPECT_EQ(m.memory_bytes, 549755813888);
  EXPECT_EQ(m.products, sample().products);
  EXPECT_EQ(m.ops, sample().ops);
  EXPECT_EQ(m.ranks, 8);
  EXPECT_EQ(m.gflops("bf16"), 12000);
  EXPECT_EQ(m.gflops("fp64"), 1750.25);
  EXPECT_EQ(m.gflops("fp32"), 3500.5);
  EXPECT_EQ(m.memory_gbs(), 400);
  EXPECT_EQ(m.network_gbs, 24.5);
  EXPECT_EQ(m.gather_ranks, 4);
  EXPECT_EQ(m.loaded_clock_mhz, 2900);
}

TEST(MachineFile, OfGpusTheRatesAreThoseOfOne) {
  Machine m = sample();
  m.gpu = "NVIDIA H200", m.gpus = 4, m.gpu_memory_bytes = 150 << 20, m.to_gpu_gbs = 55.5, m.from_gpu_gbs = 53;
  const Machine read = parse_machine("m.in", machine_text(m));
  EXPECT_EQ(machine_text(read), machine_text(m));
  EXPECT_EQ(read.gpu, "NVIDIA H200");
  EXPECT_EQ(read.gpus, 4);
  EXPECT_EQ(read.to_gpu_gbs, 55.5);
  EXPECT_EQ(read.share(1, 4), 1) << "threads of the host do not matter";
  EXPECT_EQ(read.share(1, 8), 0.5);
  EXPECT_EQ(read.memory_of(2), 2 * m.gpu_memory_bytes);
  EXPECT_EQ(read.memory_of(8), 4 * m.gpu_memory_bytes);
  EXPECT_EQ(sample().share(16, 4), 0.25);
  EXPECT_EQ(sample().memory_of(4), sample().memory_bytes);

  std::string text = machine_text(m);
  const std::size_t at = text.find("count ");
  text.erase(at, text.find('\n', at) + 1 - at);
  EXPECT_THROW(
      {
        try {
          parse_machine("m.in", text);
        } catch (const DeckError& e) {
          EXPECT_NE(std::string(e.what()).find("gpu.count is missing"), std::string::npos) << e.what();
          throw;
        }
      },
      DeckError);
}

TEST(MachineFile, WhatWasNotMeasuredIsLeftOut) {
  Machine m = sample();
  m.network_gbs = m.network_latency_us = m.gather_gbs = 0, m.gather_ranks = 0;
  const std::string text = machine_text(m);
  EXPECT_EQ(text.find("[network]"), std::string::npos) << text;
  EXPECT_EQ(parse_machine("m.in", text).network_gbs, 0);
}

TEST(MachineFile, TheOnesInTheRepositoryRead) {
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "input" / "machines")) {
    if (entry.path().extension() == ".tuning") {
      EXPECT_FALSE(read_tuning_file(entry.path()).products.empty()) << entry.path();
      continue;
    }
    const Machine m = read_machine_file(entry.path());
    EXPECT_GT(m.cores, 0) << entry.path();
    EXPECT_GE(m.bf16_gflops, m.fp64_gflops) << entry.path();
    EXPECT_FALSE(m.products.empty()) << entry.path();
    for (const auto& [name, rate] : m.products) EXPECT_GT(rate, 0) << name;
    ++read;
  }
  EXPECT_GE(read, 1);
}

struct Bad {
  const char* name;
  const char* from;
  const char* to;
  const char* message;
};
std::ostream& operator<<(std::ostream& out, const Bad& b) {
  return out << b.name;
}
class BadMachine : public ::testing::TestWithParam<Bad> {};

TEST_P(BadMachine, IsRefusedWithItsLine) {
  std::string text = machine_text(sample());
  const std::size_t at = text.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, std::string(GetParam().from).size(), GetParam().to);
  try {
    parse_machine("bad.in", text);
    FAIL() << text;
  } catch (const DeckError& e) {
    EXPECT_NE(std::string(e.what()).find(GetParam().message), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("bad.in"), std::string::npos) << e.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadMachine,
    ::testing::Values(Bad{"unknown", "fp32       = 3500.5", "fp23 = 3500.5", "compute.fp23: unknown key; nearest: fp32"},
                      Bad{"missing", "fp32       = 3500.5", "#", "compute.fp32 is missing"},
                      Bad{"negative", "= 3500.5", "= -1", "compute.fp32: expected a number above 0, found \"-1\""},
                      Bad{"word", "= 3500.5", "= fast", "found \"fast\""}, Bad{"infinite", "= 3500.5", "= inf", "found \"inf\""},
                      Bad{"unit", "= 3500.5", "= 3500 GFLOP/s", "expected a number above 0"},
                      Bad{"half_a_core", "= 64 ", "= 64.5 ", "machine.cores: expected a whole number"},
                      Bad{"twice", "[memory]\n", "[memory]\nread = 1\n", "memory.read: is given twice"},
                      Bad{"section", "[pool]", "[pools]", "[pools]: no section of a machine file"},
                      Bad{"product", "bf16_nt_512x3072x1024", "bf16_tt_512x3072x1024", "expected the name of a product"},
                      Bad{"op", "adamw_update_fp32_1048576", "adamw_update_1048576", "expected the name of an op"},
                      Bad{"line", "[clock]", "[clock]\nnonsense", "nonsense"}));

TEST(MachineFile, AMissingFileIsNamed) {
  try {
    read_machine_file("/nowhere/m.in");
    FAIL();
  } catch (const DeckError& e) {
    EXPECT_NE(std::string(e.what()).find("/nowhere/m.in"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace strata::test
