// Machine files: one table of keys for reading and writing.
#include "strata/deck/machine_file.hpp"

#include <cmath>
#include <cstdlib>
#include <set>
#include <vector>

#include "deck/measured_file.hpp"
#include "deck/text_tools.hpp"
#include "strata/base/error.hpp"
#include "strata/device/op_times.hpp"
#include "strata/device/peaks.hpp"

namespace strata {

using namespace deck;

namespace {

struct MachineKey {
  const char* section;
  const char* name;
  bool required;
  const char* comment;
  std::string Machine::*words = nullptr;
  double Machine::*number = nullptr;
  std::int64_t Machine::*whole = nullptr;
};

MachineKey words(const char* section, const char* name, const char* comment, std::string Machine::*field) {
  return {section, name, false, comment, field, nullptr, nullptr};
}
MachineKey whole(const char* section, const char* name, bool required, const char* comment, std::int64_t Machine::*field) {
  return {section, name, required, comment, nullptr, nullptr, field};
}
MachineKey number(const char* section, const char* name, bool required, const char* comment, double Machine::*field) {
  return {section, name, required, comment, nullptr, field, nullptr};
}

const std::vector<MachineKey>& table() {
  using M = Machine;
  static const std::vector<MachineKey> keys{
      words("machine", "name", "the host it was measured on", &M::name),
      words("machine", "processor", "as the kernel calls it", &M::processor),
      words("machine", "measured", "when and by what", &M::measured),
      whole("machine", "cores", true, "cores of a node that Strata may use", &M::cores),
      whole("machine", "memory", false, "[bytes] of a node", &M::memory_bytes),
      whole("machine", "ranks", false, "ranks that a node is to run, for strata plan", &M::ranks),
      words("gpu", "name", "rates of [compute], [memory], [products] and [ops] are those of one", &M::gpu),
      whole("gpu", "count", false, "GPUs of a node", &M::gpus),
      whole("gpu", "memory", false, "[bytes] of one", &M::gpu_memory_bytes),
      number("gpu", "from_host", false, "[GB/s] page-locked memory of the host to one", &M::to_gpu_gbs),
      number("gpu", "to_host", false, "[GB/s] and back", &M::from_gpu_gbs),
      number("compute", "fp32", true, "[GFLOP/s] best matrix product, all cores of a node, or one GPU", &M::fp32_gflops),
      number("compute", "bf16", true, "[GFLOP/s]", &M::bf16_gflops),
      number("compute", "fp64", true, "[GFLOP/s]", &M::fp64_gflops),
      number("memory", "read", true, "[GB/s] sum of an array larger than the caches, all cores, or one GPU", &M::read_gbs),
      number("memory", "copy", true, "[GB/s] read and written", &M::copy_gbs),
      number("memory", "triad", true, "[GB/s] c = a + s b: two read, one written", &M::triad_gbs),
      number("pool", "latency", false, "[us] to start all threads and wait for them", &M::pool_us),
      number("disk", "write", false, "[GB/s] with fsync", &M::disk_write_gbs),
      number("disk", "read", false, "[GB/s] past the page cache", &M::disk_read_gbs),
      number("host_link", "latency", false, "[us] one small message between two ranks of a host", &M::host_latency_us),
      number("host_link", "bandwidth", false, "[GB/s] one large message", &M::host_gbs),
      number("network", "latency", false, "[us] between two hosts", &M::network_latency_us),
      number("network", "bandwidth", false, "[GB/s]", &M::network_gbs),
      number("all_gather", "rate", false, "[GB/s] that reach each rank", &M::gather_gbs),
      whole("all_gather", "ranks", false, "of so many ranks", &M::gather_ranks),
      number("clock", "idle", false, "[MHz] slowest core, all busy with little", &M::clock_mhz),
      number("clock", "loaded", false, "[MHz] slowest core right after products on all", &M::loaded_clock_mhz),
  };
  return keys;
}

const std::vector<std::string>& sections() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const MachineKey& key : table())
      if (all.empty() || all.back() != key.section) all.push_back(key.section);
    all.push_back("products"), all.push_back("ops");
    return all;
  }();
  return names;
}

std::string one_text(const Items& items) {
  std::string result;
  for (const Item& item : items) result += (result.empty() ? "" : ", ") + item.text;
  return result;
}

/// "" or what is wrong.
std::string read_positive(const Items& items, double& value) {
  const std::string found = one_text(items);
  char* end = nullptr;
  const double read = std::strtod(found.c_str(), &end);
  if (found.empty() || *end || !std::isfinite(read) || read <= 0) return "expected a number above 0, found \"" + printable(found) + "\"";
  value = read;
  return "";
}

std::string read_count(const Items& items, std::int64_t& value) {
  double read = 0;
  const std::string complaint = read_positive(items, read);
  if (!complaint.empty() || read != std::floor(read) || read > 9e15)
    return "expected a whole number above 0, found \"" + printable(one_text(items)) + "\"";
  value = static_cast<std::int64_t>(read);
  return "";
}

std::string read_value(const MachineKey& key, const Items& items, Machine& machine) {
  if (key.number) return read_positive(items, machine.*key.number);
  if (key.whole) return read_count(items, machine.*key.whole);
  machine.*key.words = one_text(items);
  return "";
}

std::string read_entry(const Entry& entry, Machine& machine) {
  if (entry.section == "products") {
    ProductShape shape;
    if (!parse_product_shape(entry.key, shape))
      return "expected the name of a product like bf16_nt_512x3072x1024 (type, which sides are stored transposed, m x n x k)";
    return read_positive(entry.items, machine.products[entry.key]);
  }
  if (entry.section == "ops") {
    std::string op;
    OpSizes sizes;
    if (!parse_op_name(entry.key, op, sizes))
      return "expected the name of an op with its type and sizes, like attention_forward_bf16_16x512x128";
    return read_positive(entry.items, machine.ops[entry.key]);
  }
  std::vector<std::string> names;
  for (const MachineKey& key : table()) {
    if (entry.section != key.section) continue;
    if (entry.key == key.name) return read_value(key, entry.items, machine);
    names.push_back(key.name);
  }
  if (names.empty()) return "";  // the section is unknown, which has been said
  const std::string near = nearest(entry.key, names);
  return "unknown key; " + (near.empty() ? "expected one of " + joined(names, ", ") : "nearest: " + near);
}

std::string padded(std::string line, std::size_t width) {
  return line + std::string(line.size() < width ? width - line.size() : 1, ' ');
}

}  // namespace

Machine parse_machine(const std::string& name, const std::string& text) {
  Machine machine;
  Problems problems;
  const std::set<std::string> seen = read_entries(
      name, text, "machine file", sections(), [&](const Entry& entry) { return read_entry(entry, machine); }, problems);
  for (const MachineKey& key : table()) {
    const std::string full = std::string(key.section) + "." + key.name;
    if (key.required && !seen.count(full)) problems.add(name, full + " is missing: " + key.comment + "; strata measure writes it");
  }
  if (seen.count("gpu.name") != seen.count("gpu.count"))
    problems.add(name, std::string(seen.count("gpu.name") ? "gpu.count" : "gpu.name") + " is missing: expected both, of a node with GPUs");
  throw_mistakes(problems.sorted());
  return machine;
}

Machine read_machine_file(const std::filesystem::path& path) {
  const DeckSource source = read_deck_file(path);
  return parse_machine(source.name, source.text);
}

std::string machine_text(const Machine& machine) {
  std::string out =
      "# What one node of this machine can do, measured by `strata measure` (doc/profile.md). Named by plan.machine. Keys that are not "
      "given were\n"
      "# not measured: a single rank has no links, a single host no network.\n";
  std::string section;
  for (const MachineKey& key : table()) {
    const std::string value = key.words   ? quoted_if_needed(machine.*key.words)
                              : key.whole ? std::to_string(machine.*key.whole)
                                          : number_text(machine.*key.number);
    if (value.empty() || value == "\"\"" || value == "0") continue;
    if (section != key.section) out += "\n[" + (section = key.section) + "]\n";
    out += padded(padded(key.name, 10) + " = " + value, 40) + "# " + key.comment + "\n";
  }
  if (!machine.products.empty())
    out +=
        "\n# [GFLOP/s] C[m,n] = A[m,k] B[k,n], median; nt: as in a forward pass, nn: gradient of the input, tn: of the "
        "weight\n[products]\n";
  for (const auto& [name, rate] : machine.products) out += padded(name, 32) + " = " + number_text(rate) + "\n";
  if (!machine.ops.empty())
    out +=
        "\n# [GFLOP/s] linear maps (rows x out x in as products), attention (heads x length x head size), cross-entropy (rows x width x "
        "vocabulary); [GB/s] all others\n[ops]\n";
  for (const auto& [name, rate] : machine.ops) out += padded(name, 52) + " = " + number_text(rate) + "\n";
  return out;
}

}  // namespace strata
