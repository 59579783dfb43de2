#pragma once
// Rates of the ops that train, at sizes between which `strata plan` interpolates.
#include <string>
#include <vector>

#include "strata/train/setup.hpp"

namespace strata {

struct MeasuredOp {
  std::string op;
  OpSizes sizes;
};
/// What is measured in about `seconds`: less of it, and smaller sizes, where time is short. The same list on every rank.
std::vector<MeasuredOp> ops_to_measure(double seconds);

/// The ops of a planned step that can be measured, each with its sizes.
std::vector<MeasuredOp> ops_of(const TrainPlan& plan);

/// Runs ops on memory that all of them share.
class OpRates {
 public:
  /// Takes `bytes` of memory, which every op finds filled with numbers as they occur.
  OpRates(Stream& stream, std::int64_t bytes);
  /// What the op records (operations or bytes, counts_flops) per second: the mean of calls on operands that take turns, so that they come
  /// from beyond the caches as in training. Three calls at least, about `seconds`. 0: the memory does not hold the operands.
  double rate(const MeasuredOp& op, double seconds);
  /// What it records in one call, that is.
  static double amount(const MeasuredOp& op);
  /// Memory that holds the operands of each, and 256 MiB at least.
  static std::int64_t memory_for(const std::vector<MeasuredOp>& ops);

 private:
  void refill(std::int64_t bytes);
  Stream& stream_;
  Arena memory_;
  void* base_;
  std::int64_t bytes_;
  std::vector<std::uint16_t> pattern_;
};

}  // namespace strata
