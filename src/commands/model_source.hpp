#pragma once
// Where a command's model comes from: configuration, device settings and weights, as the deck names them.
#include <memory>
#include <optional>

#include "strata/checkpoint/reader.hpp"
#include "strata/commands/command.hpp"
#include "strata/device/compute_device.hpp"
#include "strata/models/causal_lm.hpp"
#include "strata/tokenizer/tokenizer.hpp"
#include "strata/train/state.hpp"

namespace strata {

/// Threads of this rank: device.threads, or the host's cores shared among its ranks.
int threads_of(const Session& session);
/// fp32, bf16, fp16 or fp64 of precision.compute as an element type.
DType compute_type(const Session& session);
/// Whether one moving line shows the progress: run.progress, or on a terminal without a launcher (under mpirun a rank cannot tell).
bool shows_progress(const Session& session);
/// cpu or cuda, once settle_device() has been called.
DeviceKind device_of(const Session& session);
/// Replaces device.kind = auto by what this host has: cuda where the program's CUDA half finds a GPU that it can use. Where it finds one
/// that it cannot, session.device_note says why. Local.
void settle_device(Session& session);
/// Throws DeckError where device.kind = auto has come to cpu and precision.compute = fp16, which needs a GPU. Local; `on_all_ranks`: every
/// rank does the same.
void require_device_for_type(const Session& session, bool on_all_ranks = false);
/// The same for all ranks: cuda where every one of them has it; then as require_device_for_type. Collective.
void agree_device(Session& session);
/// As require_device_for_type, where device.graphs = on: for commands that train, or plan it.
void require_device_for_graphs(const Session& session, bool on_all_ranks = false);
/// Says in the log why device.kind = auto took the host, where there is something to say.
void log_device(const Session& session);
/// Says in the log why a run on a GPU has no graphs, where device.graphs = auto leaves them out.
void log_graphs(const Session& session);
/// Throws NotCompiled or CapacityError unless device.kind can be had here.
void check_device(const Session& session);
/// Why the GPU's kernels cannot compute this model with device.kind = cuda, in words; empty: they can, or the device is the host.
std::string gpu_refusal(const Session& session, const Model& model);
/// Throws DeckError with that.
void require_device_fit(const Session& session, const Model& model);
/// What this rank computes on. Throws as check_device.
ComputeDevice open_device(const Session& session);

/// The weights a command without training works on: a checkpoint (the one named, or the newest sound one of a folder) or a Hugging Face
/// folder.
struct WeightsSource {
  std::optional<CheckpointReader> checkpoint;
  std::string folder;  // Hugging Face folder, if no checkpoint
  std::shared_ptr<const Model> model;
  std::string description;
  /// The causal model's configuration. Throws DataError for another family, naming the command that needs one ("generate").
  const CausalConfig& causal(const char* command) const;
};
/// `path` from evaluate.checkpoint or generate.checkpoint; empty: the newest checkpoint of run.folder if there is one, otherwise
/// model.weights.
WeightsSource find_weights(const Session& session, const std::string& path);
/// model.weights as a source: a Hugging Face folder, a checkpoint, or a folder of checkpoints. `config`: model.config, may be empty.
WeightsSource named_weights(const std::string& weights, const std::string& config);
/// Throws DataError unless names, shapes and types fit the model, from headers alone: before anything is allocated.
void require_fit(const WeightsSource& source, const ParameterSet& set);
/// Loads them in the type of `store`. A head that the weights lack and may lack is drawn at random with `seed`, and said in the log.
void load_into(Stream& stream, const WeightsSource& source, const ParameterSet& set, const WeightStore& store, std::uint64_t seed);

/// Whether the deck names a tokenizer, or model.config is a folder that holds one.
bool has_tokenizer(const Session& session);
/// Loads tokenizer.path (or what lies in model.config's folder). Throws DeckError without either.
std::unique_ptr<Tokenizer> tokenizer_of(const Session& session);

}  // namespace strata
