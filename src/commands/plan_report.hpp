#pragma once
// What `strata plan` prints of one run: memory, communication, operations, time.
#include <string>

#include "commands/alternatives.hpp"
#include "strata/train/step_time.hpp"

namespace strata {

/// Names that differ in their numbers only, as one row: "activations.layer.*.x".
struct MemoryRow {
  std::string name;
  std::int64_t regions = 0;
  std::int64_t bytes = 0;  // of all of them
};
/// Rows in order of first appearance.
std::vector<MemoryRow> memory_rows(const std::vector<ArenaEntry>& entries);

/// Memory of a rank by group and name.
std::string plan_memory_text(const Preflight& p);
/// Calls, messages and bytes of a step of rank 0, by kind of call.
std::string traffic_text(const Traffic& traffic);
/// Calls, operations and bytes of a step of rank 0, by op.
std::string work_text(const TrainPlan& plan);

/// The same deck on another number of hosts.
struct ScaleRow {
  int hosts = 1, ranks = 1;
  std::int64_t rank_bytes = 0;
  StepTime time;
};
/// A plan, and with a machine file its time.
struct PlannedRun {
  const Preflight& p;
  std::optional<StepTime> time;
  std::vector<ScaleRow> scaling;
};

/// What holds for the bits of a run, by parallel.reduction.
std::string guarantee_text(const std::string& reduction);
/// Time of a step, by term.
std::string time_text(const StepTime& time);
/// What `plan.compare` found.
struct Comparison {
  const Preflight& p;
  const Machine& machine;
  bool measured = false;    // the machine file's; otherwise round figures
  std::int64_t memory = 0;  // [bytes] of a host
  std::vector<Alternative> runs;
};
std::string comparison_text(const Comparison& comparison);
std::string comparison_json(const Comparison& comparison);

/// For people.
std::string plan_text(const PlannedRun& run);
/// The same as one JSON object.
std::string plan_json(const PlannedRun& run);

}  // namespace strata
