#pragma once
// Preflight: what a training run begins with, opened and checked, one file of checks per subject; `check` tells all, `train` stops at
// errors.
#include <memory>
#include <optional>
#include <string>

#include "commands/findings.hpp"
#include "commands/model_source.hpp"
#include "commands/tuning_source.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/data/loader.hpp"
#include "strata/device/machine.hpp"
#include "strata/train/loop.hpp"
#include "strata/train/training_file.hpp"

namespace strata {

/// Filled by the checks below, in their order. What could not be opened stays empty, with a finding that says why, and the checks that need
/// it do nothing. No check communicates: in a run every rank opens the same, and require_start() agrees on the findings.
struct Preflight {
  /// `ranks` says how many there are or would be; `look_longer`: `check` may take longer than the start of a run.
  Preflight(const Session& of, const Communicator& ranks, bool look_longer);
  Preflight(const Preflight&) = delete;
  Preflight& operator=(const Preflight&) = delete;

  const Session& session;
  const Settings& s;
  const Communicator& launch;
  const bool thorough;
  DamagedCheckpoints damaged;  // known from an earlier try to restore them
  int threads;                 // of a rank
  Findings findings;

  std::shared_ptr<const Model> model;
  std::unique_ptr<Tokenizer> tokenizer;  // null: none is named
  std::optional<TrainingFile> train_data, validation_data;
  std::optional<DataOrder> order;  // of train_data
  std::optional<StepPlan> steps;
  std::optional<CheckpointReader> checkpoint;  // to resume from
  std::optional<WeightsSource> weights;        // without a checkpoint; empty: random
  std::optional<Machine> machine;              // plan.machine, where it is of the run's kind of device
  std::shared_ptr<const NamedTuning> tuning;   // device.tuning
  std::string attention = "own";               // whose kernels, as a checkpoint records it; empty: not known here
  std::optional<TrainPlan> plan;
  std::int64_t gpu_bytes = 0;                            // of a rank's part of the arena that lies on a GPU
  std::int64_t snapshot_bytes = 0;                       // of a rank, beside the arena, for checkpoints in the background
  std::int64_t checkpoint_bytes = 0;                     // of one checkpoint on disk
  std::int64_t memory_needed = 0, memory_available = 0;  // [bytes] on this host
  std::int64_t disk_needed = 0, disk_free = 0;           // [bytes] for all checkpoints kept
  std::int64_t checkpoints_kept = 0;
  bool elsewhere = false;    // a batch script starts the run: this machine may not be the one
  bool plans = false;        // nothing will run here: what the host lacks does not matter
  bool device_here = false;  // what device.kind names can be had on this host
  bool device_fits = true;   // its kernels can compute the model
  bool shares_gpu = false;   // with other ranks: data between them goes through the host's memory
};

/// Device, machine and tuning file, config.json, tokenizer.
void check_model(Preflight& p);
/// Why a machine file's rates are not those of device.kind = cpu or cuda, in words; empty: they are.
std::string machine_refusal(const Machine& machine, const std::string& device);
/// The token or feature files, their vocabulary and tokenizer, and how many steps they give.
void check_data(Preflight& p);
/// What a run learns from and, where data.order gives it, in which order. train_data and its order must be there.
std::string data_hash(const Preflight& p);
/// Looks for the checkpoint that run.resume names: its path, or nothing. Reads all of it, so one rank looks for all.
std::string find_checkpoint(Preflight& p);
/// Opens it and compares model, data and deck with the run's.
void check_checkpoint(Preflight& p, const std::string& path);
/// model.weights against the model, from headers alone; nothing to do when a run is resumed.
void check_weights_source(Preflight& p);
/// The plan of a step and its memory, and what checkpoints add to it. The model and the batch must be there.
void make_plan(Preflight& p);
/// The memory plan, and this host's memory against it.
void check_memory(Preflight& p);

/// Leaves, blocks and ranks: who has nothing to do, and what this number of ranks costs. Rank 0 looks.
void check_batch(Preflight& p);
/// The run's folder can be written, and its file system holds all checkpoints the run will keep. Rank 0 looks.
void check_disk(Preflight& p);

/// What decides a run's memory.
TrainShape train_shape(const Preflight& p);
TrainShape train_shape(const Settings& s, int ranks);

/// What a rank of a run with these settings takes.
struct RankPlan {
  TrainPlan plan;
  std::int64_t snapshot_bytes = 0, checkpoint_bytes = 0;  // as in Preflight
  std::int64_t bytes() const { return plan.bytes + snapshot_bytes; }
  /// What of it counts against Machine::memory_of(): all, or what lies on a GPU.
  std::int64_t bytes_on(const Machine& machine) const { return machine.gpus > 0 ? plan.bytes - plan.host_bytes : bytes(); }
};
/// Throws DeckError where the ranks do not suit the strategy. Local.
RankPlan plan_rank(const Model& model, const Settings& s, const Communicator& launch, int threads);

}  // namespace strata
