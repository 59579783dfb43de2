#pragma once
// What `strata measure` found, put together over ranks and hosts, and said.
#include <string>
#include <vector>

#include "strata/comm/link_rate.hpp"
#include "strata/device/machine.hpp"

namespace strata {

/// One product of the list, as one rank or host does it.
struct MeasuredProduct {
  std::string name;
  double best = 0, median = 0, early = 0, late = 0;  // [FLOP/s]
  bool long_run = false;                             // ran long enough for early and late to tell of throttling
};

/// Rates of one host: the sums over its ranks, which measured at the same time.
struct HostRates {
  std::string host;
  int ranks = 0;
  Machine machine;                        // without links
  std::vector<MeasuredProduct> products;  // in the order of the list
};

/// One call of attention by our own kernels and by cuDNN's. [s]
struct AttentionTimes {
  std::string name;
  double own = 0, cudnn = 0;
};

struct Measurement {
  Machine machine;  // medians over hosts, with the links
  std::vector<HostRates> hosts;
  std::vector<LinkRate> links;
  std::vector<std::string> link_names;    // "node1 rank 0 -> node2 rank 4"
  std::vector<AttentionTimes> attention;  // where both can be had
  std::vector<std::string> warnings;
};

/// Hosts that are more than a tenth slower than the median one in products, memory or clock, and hosts whose clock or products fall under
/// load, each as a sentence with its numbers.
std::vector<std::string> slow_hosts(const std::vector<HostRates>& hosts);
/// Medians over hosts of every number, links left out.
Machine median_machine(const std::vector<HostRates>& hosts);

/// Tables for people.
std::string measurement_text(const Measurement& measurement);
/// One JSON object with everything.
std::string measurement_json(const Measurement& measurement);

}  // namespace strata
