// Measurements over hosts: medians, slow ones, tables and JSON.
#include "commands/measure_report.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

struct Number {
  const char* name;
  const char* unit;
  double Machine::*field;
  bool of_node;  // slower hosts are told by these
};
constexpr Number numbers[] = {{"products fp32", "GFLOP/s", &Machine::fp32_gflops, true},
                              {"products bf16", "GFLOP/s", &Machine::bf16_gflops, true},
                              {"products fp64", "GFLOP/s", &Machine::fp64_gflops, true},
                              {"memory read", "GB/s", &Machine::read_gbs, true},
                              {"memory copy", "GB/s", &Machine::copy_gbs, true},
                              {"memory triad", "GB/s", &Machine::triad_gbs, true},
                              {"host to GPU", "GB/s", &Machine::to_gpu_gbs, true},
                              {"GPU to host", "GB/s", &Machine::from_gpu_gbs, true},
                              {"thread pool", "us", &Machine::pool_us, false},
                              {"disk write", "GB/s", &Machine::disk_write_gbs, false},
                              {"disk read", "GB/s", &Machine::disk_read_gbs, false},
                              {"clock", "MHz", &Machine::clock_mhz, false},
                              {"clock under load", "MHz", &Machine::loaded_clock_mhz, true}};

template <class... Args>
std::string formatted(const char* form, Args... args) {
  char buffer[300];
  std::snprintf(buffer, sizeof buffer, form, args...);
  return buffer;
}

std::string percent(double ratio) {
  return formatted("%.0f %%", (1 - ratio) * 100);
}

}  // namespace

std::vector<std::string> slow_hosts(const std::vector<HostRates>& hosts) {
  std::vector<std::string> found;
  for (const Number& number : numbers) {
    if (!number.of_node || hosts.size() < 2) continue;
    std::vector<double> values;
    for (const HostRates& h : hosts) values.push_back(h.machine.*number.field);
    const double middle = median(values);
    for (const HostRates& h : hosts)
      if (h.machine.*number.field < 0.9 * middle)
        found.push_back(text(h.host, " is slow: ", number.name, " ", formatted("%.4g", h.machine.*number.field), " ", number.unit, ", ",
                             percent(h.machine.*number.field / middle), " below the median of ", hosts.size(), " hosts (",
                             formatted("%.4g", middle), ")"));
  }
  for (const HostRates& h : hosts) {
    const Machine& m = h.machine;
    if (m.loaded_clock_mhz > 0 && m.loaded_clock_mhz < 0.9 * m.clock_mhz)
      found.push_back(text(h.host, ": the clock falls from ", formatted("%.0f", m.clock_mhz), " to ", formatted("%.0f", m.loaded_clock_mhz),
                           " MHz under load"));
    for (const MeasuredProduct& p : h.products)
      if (p.long_run && p.late < 0.85 * p.early)
        found.push_back(text(h.host, ": ", p.name, " slows down while it runs, from ", formatted("%.0f", p.early * 1e-9), " to ",
                             formatted("%.0f", p.late * 1e-9), " GFLOP/s: throttling, or others use this machine"));
  }
  return found;
}

Machine median_machine(const std::vector<HostRates>& hosts) {
  Machine machine = hosts.front().machine;
  std::vector<double> values;
  for (const Number& number : numbers) {
    values.clear();
    for (const HostRates& h : hosts) values.push_back(h.machine.*number.field);
    machine.*number.field = median(values);
  }
  for (auto& [name, rate] : machine.products) {
    values.clear();
    for (const HostRates& h : hosts) values.push_back(h.machine.products.at(name));
    rate = median(values);
  }
  for (auto& [name, rate] : machine.ops) {
    values.clear();
    for (const HostRates& h : hosts)
      if (const auto found = h.machine.ops.find(name); found != h.machine.ops.end()) values.push_back(found->second);
    rate = median(values);
  }
  return machine;
}

namespace {

// Which to write into the deck: a forward and a backward pass of each kind together.
std::string attention_text(const std::vector<AttentionTimes>& all) {
  if (all.empty()) return "";
  std::string out = "attention [us], heads x length x head size\n";
  double own = 0, cudnn = 0;
  for (const AttentionTimes& one : all) {
    own += one.own, cudnn += one.cudnn;
    out += formatted("  %-52s own %10.1f  cudnn %10.1f\n", one.name.c_str(), one.own * 1e6, one.cudnn * 1e6);
  }
  const bool ours = own <= cudnn;
  const double faster = ours ? cudnn / own : own / cudnn;
  return out + formatted("  device.attention = %s is faster, together by a factor of %.2f\n", ours ? "own" : "cudnn", faster);
}

}  // namespace

std::string measurement_text(const Measurement& found) {
  const Machine& m = found.machine;
  std::string out = text(found.hosts.size(), found.hosts.size() == 1 ? " host, " : " hosts, ", m.cores, " cores (", m.processor, "), ",
                         bytes_text(static_cast<double>(m.memory_bytes)), found.hosts.size() == 1 ? "\n" : " each; medians\n");
  if (m.gpus > 0)
    out += text(m.gpus, m.gpus == 1 ? " GPU" : " GPUs", " (", m.gpu, "), ", bytes_text(static_cast<double>(m.gpu_memory_bytes)),
                "; products, ops and memory are those of one\n");
  for (const Number& number : numbers)
    if (m.*number.field > 0) out += formatted("  %-20s %10.4g %s\n", number.name, m.*number.field, number.unit);
  out += text("products [GFLOP/s], C[m,n] = A[m,k] B[k,n], ", m.gpus > 0 ? "one GPU\n" : "all cores\n");
  for (const auto& [name, rate] : m.products) out += formatted("  %-28s %8.1f\n", name.c_str(), rate);
  if (!m.ops.empty()) out += text(m.ops.size(), " rates of ops by size: in the machine file, for strata plan\n");
  out += attention_text(found.attention);
  if (!found.links.empty()) out += "links\n";
  for (std::size_t i = 0; i < found.links.size(); ++i) {
    const LinkRate& link = found.links[i];
    out += formatted("  %-44s %8.2f us %8.2f GB/s  %s\n", found.link_names[i].c_str(), link.latency * 1e6, link.bandwidth * 1e-9,
                     link.same_host ? "within a host" : "between hosts");
  }
  if (m.gather_gbs > 0)
    out += formatted("  all-gather of %lld ranks: %.2f GB/s reach each\n", static_cast<long long>(m.gather_ranks), m.gather_gbs);
  if (found.hosts.size() > 1) out += formatted("%-20s %6s %9s %9s %9s %9s\n", "host", "ranks", "fp32", "bf16", "copy", "MHz");
  for (const HostRates& h : found.hosts)
    if (found.hosts.size() > 1)
      out += formatted("%-20s %6d %9.1f %9.1f %9.1f %9.0f\n", h.host.c_str(), h.ranks, h.machine.fp32_gflops, h.machine.bf16_gflops,
                       h.machine.copy_gbs, h.machine.loaded_clock_mhz);
  for (const std::string& warning : found.warnings) out += "! " + warning + "\n";
  return out;
}

namespace {

nlohmann::ordered_json machine_json(const Machine& m) {
  nlohmann::ordered_json json{
      {"name", m.name}, {"processor", m.processor}, {"measured", m.measured}, {"cores", m.cores}, {"memory_bytes", m.memory_bytes}};
  json["fp32_gflops"] = m.fp32_gflops, json["bf16_gflops"] = m.bf16_gflops, json["fp64_gflops"] = m.fp64_gflops;
  json["memory_read_gbs"] = m.read_gbs, json["memory_copy_gbs"] = m.copy_gbs, json["memory_triad_gbs"] = m.triad_gbs;
  json["pool_us"] = m.pool_us, json["disk_write_gbs"] = m.disk_write_gbs, json["disk_read_gbs"] = m.disk_read_gbs;
  json["clock_mhz"] = m.clock_mhz, json["loaded_clock_mhz"] = m.loaded_clock_mhz;
  if (m.gpus > 0)
    json["gpu"] = {{"name", m.gpu},
                   {"count", m.gpus},
                   {"memory_bytes", m.gpu_memory_bytes},
                   {"to_gpu_gbs", m.to_gpu_gbs},
                   {"from_gpu_gbs", m.from_gpu_gbs}};
  json["products_gflops"] = m.products, json["ops"] = m.ops;
  return json;
}

}  // namespace

std::string measurement_json(const Measurement& found) {
  const Machine& m = found.machine;
  nlohmann::ordered_json json = machine_json(m);
  json["host_latency_us"] = m.host_latency_us, json["host_gbs"] = m.host_gbs;
  json["network_latency_us"] = m.network_latency_us, json["network_gbs"] = m.network_gbs;
  json["gather_gbs"] = m.gather_gbs, json["gather_ranks"] = m.gather_ranks;
  json["hosts"] = nlohmann::ordered_json::array();
  for (const HostRates& h : found.hosts) {
    json["hosts"].push_back(machine_json(h.machine));
    json["hosts"].back()["ranks"] = h.ranks;
  }
  json["links"] = nlohmann::ordered_json::array();
  for (const LinkRate& l : found.links)
    json["links"].push_back(
        {{"from", l.from}, {"to", l.to}, {"same_host", l.same_host}, {"latency_us", l.latency * 1e6}, {"gbs", l.bandwidth * 1e-9}});
  for (const AttentionTimes& one : found.attention)
    json["attention"].push_back({{"op", one.name}, {"own_us", one.own * 1e6}, {"cudnn_us", one.cudnn * 1e6}});
  json["warnings"] = found.warnings;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace strata
