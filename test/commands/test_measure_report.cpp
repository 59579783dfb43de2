// What measure makes of several hosts: medians, the slow one by name, text and JSON.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "commands/measure_report.hpp"

namespace strata {
namespace {

std::vector<HostRates> three_hosts() {
  std::vector<HostRates> hosts;
  for (int i = 0; i < 3; ++i) {
    HostRates h;
    h.host = "node" + std::to_string(i + 1), h.ranks = 1;
    Machine& m = h.machine;
    m.name = h.host, m.processor = "P", m.cores = 8;
    m.fp32_gflops = 100 + i, m.bf16_gflops = 200 + i, m.fp64_gflops = 50 + i;
    m.read_gbs = 20 + i, m.copy_gbs = 18 + 0.5 * i, m.triad_gbs = 17, m.clock_mhz = 3000, m.loaded_clock_mhz = 2900;
    m.products["fp32_nt_1x2x3"] = 90 + i;
    h.products = {{"fp32_nt_1x2x3", 1e11, 9e10, 9e10, 9e10, true}};
    hosts.push_back(h);
  }
  return hosts;
}

TEST(SlowHosts, EqualOnesAreFine) {
  EXPECT_TRUE(slow_hosts(three_hosts()).empty());
}

TEST(SlowHosts, TheSlowOneIsNamedWithItsNumbers) {
  auto hosts = three_hosts();
  hosts[1].machine.bf16_gflops = 150;
  const auto found = slow_hosts(hosts);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0], "node2 is slow: products bf16 150 GFLOP/s, 25 % below the median of 3 hosts (200)");
}

TEST(SlowHosts, ThrottlingIsSaid) {
  auto hosts = three_hosts();
  hosts[2].machine.loaded_clock_mhz = 2695;
  hosts[0].products[0].late = 5e10;
  const auto found = slow_hosts(hosts);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], "node1: fp32_nt_1x2x3 slows down while it runs, from 90 to 50 GFLOP/s: throttling, or others use this machine");
  EXPECT_EQ(found[1], "node3: the clock falls from 3000 to 2695 MHz under load");
}

TEST(Measurement, MediansTextAndJson) {
  Measurement found;
  found.hosts = three_hosts();
  found.machine = median_machine(found.hosts);
  found.links = {{0, 1, false, 2e-6, 1e10}};
  found.link_names = {"node1 rank 0 -> node2 rank 1"};
  found.warnings = {"a warning"};
  EXPECT_EQ(found.machine.fp32_gflops, 101);
  EXPECT_EQ(found.machine.products.at("fp32_nt_1x2x3"), 91);

  const std::string text = measurement_text(found);
  for (const char* part : {"3 hosts, 8 cores", "node1 rank 0 -> node2 rank 1", "between hosts", "! a warning", "node3"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  const auto json = nlohmann::json::parse(measurement_json(found));
  EXPECT_EQ(json.at("hosts").size(), 3U);
  EXPECT_EQ(json.at("fp32_gflops"), 101);
  EXPECT_NEAR(json.at("links")[0].at("latency_us").get<double>(), 2, 1e-9);
  EXPECT_EQ(json.at("warnings")[0], "a warning");
}

}  // namespace
}  // namespace strata
