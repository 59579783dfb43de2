#pragma once
// Settings: everything a deck can say, as the typed structs that the rooms own.
#include <string>

#include "strata/checkpoint/config.hpp"
#include "strata/data/config.hpp"
#include "strata/device/config.hpp"
#include "strata/evaluate/config.hpp"
#include "strata/models/config.hpp"
#include "strata/optim/config.hpp"
#include "strata/parallel/config.hpp"
#include "strata/tokenizer/config.hpp"
#include "strata/train/config.hpp"

namespace strata {

/// The deck's [convert] section. It lives here because the command that reads it is below the deck room.
struct ConvertConfig {
  std::string from;            // Hugging Face folder | checkpoint
  std::string to;              // the other form
  std::string dtype = "bf16";  // fp32 | bf16: element type of weights written to a Hugging Face folder
};

/// The deck's [check] section: what a run will be started by.
struct CheckConfig {
  std::string script;      // batch script; empty: none
  std::int64_t ranks = 0;  // 0: the script's, or those that are started
};

/// The deck's [measure] section.
struct MeasureConfig {
  std::string output;            // machine file; empty: input/machines/<host>.in
  std::string folder = ".";      // whose disk is measured
  double seconds = 60;           // [s] in all
  std::string tuning;            // tuning file; empty: the machine file's name with .tuning
  std::int64_t candidates = 16;  // algorithms of a product that are timed for it
};

/// The deck's [plan] section.
struct PlanConfig {
  std::string machine;              // machine file; empty: the profile measures peaks itself
  std::int64_t ranks = 0;           // 0: those that are started
  std::int64_t ranks_per_host = 0;  // 0: the machine file's, or one for each core
  bool compare = false;             // strategies x micro-batches x recomputation
};

/// One member per section of the deck, with the defaults of the structs themselves.
struct Settings {
  RunConfig run;
  ModelConfig model;
  TokenizerConfig tokenizer;
  DataConfig data;
  PrepareConfig prepare;
  BatchConfig batch;
  TrainConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  PrecisionConfig precision;
  ParallelConfig parallel;
  DeviceConfig device;
  CheckpointConfig checkpoint;
  EvaluateConfig evaluate;
  GenerateConfig generate;
  ConvertConfig convert;
  CheckConfig check;
  MeasureConfig measure;
  PlanConfig plan;
};

/// Why a run with device.kind = cuda gives its ops to the GPU one by one, whatever device.graphs says; empty: nothing is in the way of
/// graphs.
std::string graphs_hindrance(const Settings& settings);

}  // namespace strata
