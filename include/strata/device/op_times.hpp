#pragma once
// Op times: how long an op takes on a machine that is only described, from the rates its machine file holds.
#include <map>
#include <string>
#include <vector>

#include "strata/device/machine.hpp"
#include "strata/device/stream.hpp"

namespace strata {

/// "attention_forward_bf16_16x512x128": an op with its type and sizes, as machine files name it.
std::string op_name(const std::string& op, const OpSizes& sizes);
/// The inverse. False: it is no such name.
bool parse_op_name(const std::string& name, std::string& op, OpSizes& sizes);
/// Whether the op's rate is in GFLOP/s of the operations it records; otherwise in GB/s of the bytes it records.
bool counts_flops(const std::string& op);

/// Rates of a machine by op, type and sizes. Between sizes that were measured, the logarithm of the rate is a plane fitted to those nearby;
/// beyond them it stays within what was measured. An op that was not measured gets the machine's peak of its type, or of its memory;
/// qk_norm_rope_* before that the time of a norm and a rotation, where those were.
class OpTimes {
 public:
  /// The machine must outlive it.
  explicit OpTimes(const Machine& machine);
  /// Of one call that records `flops` and `bytes`, with all cores of a node. [s]
  double seconds(const std::string& op, const OpSizes& sizes, double flops, double bytes) const;
  /// Whether any size of this op and type was measured.
  bool measured(const std::string& op, DType type) const { return points_.count({op, type}) > 0; }

 private:
  struct Point {
    std::array<double, 3> at;  // logarithms of the sizes
    double rate;               // logarithm, [FLOP/s] or [bytes/s]
  };
  using Points = std::map<std::pair<std::string, DType>, std::vector<Point>>;
  static double rate_at(const std::vector<Point>& points, const std::array<double, 3>& at);

  const Machine& machine_;
  Points points_;
};

}  // namespace strata
