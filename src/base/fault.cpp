// Faults on purpose.
#include "strata/base/fault.hpp"

#if STRATA_FAULTS
#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <sstream>
#include <string_view>
#include <thread>

#include "strata/base/error.hpp"

namespace strata {
namespace {

// Every place a fault can happen at: STRATA_FAULT(name, step) stands there.
constexpr std::string_view points[] = {"start",         "folder",      "inputs",        "allocated",    "leaf",        "gather",
                                       "scatter",       "exchange",    "update",        "spread",       "validation",  "save.created",
                                       "save.half",     "save.synced", "save.verified", "save.renamed", "save.latest", "save.done"};
constexpr std::string_view kinds[] = {"kill", "stop", "hang", "slow", "nan"};

struct Fault {
  std::string kind, point;
  std::int64_t rank = -1, step = -1, leaf = -1;
  double seconds = 1;
};

template <class List>
std::string one_of(const List& list) {
  std::string all;
  for (const std::string_view word : list) all += (all.empty() ? "" : ", ") + std::string(word);
  return all;
}

template <class T>
bool read(const std::string& value, T& to) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), to);
  return error == std::errc() && end == value.data() + value.size();
}

std::string parse(const std::string& text, Fault& fault) {
  std::istringstream parts(text);
  std::getline(parts, fault.kind, ':');
  if (std::find(std::begin(kinds), std::end(kinds), fault.kind) == std::end(kinds))
    return "expected a fault that begins with one of " + one_of(kinds) + ", found " + text;
  for (std::string part; std::getline(parts, part, ':');) {
    const std::string name = part.substr(0, part.find('=')), value = part.size() > name.size() ? part.substr(name.size() + 1) : "";
    if (name == "at") {
      if (std::find(std::begin(points), std::end(points), value) == std::end(points))
        return "expected at= one of " + one_of(points) + ", found " + part;
      fault.point = value;
    } else if (!(name == "rank"      ? read(value, fault.rank)
                 : name == "step"    ? read(value, fault.step)
                 : name == "leaf"    ? read(value, fault.leaf)
                 : name == "seconds" ? read(value, fault.seconds)
                                     : false)) {
      return "expected rank=, step=, at=, leaf= or seconds=, found " + part;
    }
  }
  if (fault.kind != "nan" && fault.point.empty()) return "expected at= one of " + one_of(points) + ", found no place";
  return "";
}

Fault armed;  // set once before the threads that read it

}  // namespace

std::string fault_complaint(const std::string& fault) {
  Fault ignored;
  return fault.empty() ? "" : parse(fault, ignored);
}

void set_fault(const std::string& fault, int rank) {
  armed = Fault();
  if (fault.empty()) return;
  const std::string complaint = parse(fault, armed);
  STRATA_ASSERT(complaint.empty(), complaint);
  if (armed.rank >= 0 && armed.rank != rank) armed = Fault();
}

void fault_point(const char* point, std::int64_t step) {
  if (step == planned_step || armed.kind.empty() || armed.point != point || (armed.step >= 0 && armed.step != step)) return;
  if (armed.kind == "kill") ::raise(SIGKILL);
  if (armed.kind == "stop") ::raise(SIGSTOP);
  while (armed.kind == "hang") std::this_thread::sleep_for(std::chrono::seconds(1));
  if (armed.kind == "slow") std::this_thread::sleep_for(std::chrono::duration<double>(armed.seconds));
}

bool fault_poisons(std::int64_t step, std::int64_t leaf) {
  return armed.kind == "nan" && step != planned_step && (armed.step < 0 || armed.step == step) && (armed.leaf < 0 || armed.leaf == leaf);
}

}  // namespace strata
#else
namespace strata {
std::string fault_complaint(const std::string& fault) {
  return fault.empty() ? ""
                       : "expected nothing: faults on purpose are for tests, and this build has none in it (configure with "
                         "-DSTRATA_FAULTS=ON to get one that has)";
}
}  // namespace strata
#endif
