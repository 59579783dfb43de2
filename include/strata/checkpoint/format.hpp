#pragma once
// The checkpoint's format: object names, version, and what a checkpoint is made of. doc/checkpoint.md describes it for users.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "strata/base/dtype.hpp"

namespace strata {

/// Format versions, one member per change.
enum class CheckpointVersion : std::int64_t { initial = 1, current = initial };

/// Elements per checksum.
inline constexpr std::int64_t checksum_elements = 4096;
/// Bytes per checksum: XXH3-128 in canonical (big-endian) order.
inline constexpr std::int64_t checksum_bytes = 16;
/// Checksums of a tensor with this many elements.
constexpr std::int64_t checksum_blocks(std::int64_t elements) {
  return (elements + checksum_elements - 1) / checksum_elements;
}

/// The root attribute `format`, and where things lie. The checksums of "/model/x" are the dataset "/checksums/model/x", [blocks, 16] of u8.
inline constexpr const char* checkpoint_format_name = "strata checkpoint";
inline constexpr const char* run_group = "/run";
inline constexpr const char* extra_group = "/run/extra";
/// The text in RunRecord::extra that holds F1 [percent], where answers were validated after the step.
inline constexpr const char* validation_f1_name = "validation_f1";
inline constexpr const char* launch_group = "/run/launch";
inline constexpr const char* checksum_group = "/checksums";
/// What a checkpoint is called while it is being written: its name and this.
inline constexpr const char* unfinished_suffix = ".tmp";

/// A piece of one tensor that lies in this rank's memory and that this rank writes: elements [first, first + count) of the flat tensor.
/// `first` is a multiple of checksum_elements; the piece ends at such a multiple or at the tensor's end.
struct TensorPiece {
  const void* data = nullptr;
  std::int64_t first = 0, count = 0;
};

/// One dataset of a checkpoint and the part of it this rank writes. Equal on every rank but for `pieces`; over all ranks the pieces cover
/// the tensor exactly once.
struct CheckpointTensor {
  std::string path;  // "/model/<name>", "/optimizer/<name>/exp_avg", ...
  DType type = DType::f32;
  std::vector<std::int64_t> shape;  // global shape
  std::vector<TensorPiece> pieces;  // of this rank
};

/// What a save took on one rank. [s], [bytes]
struct SaveTimes {
  double write = 0;      // the file made, pieces hashed and written, and all of it on disk
  double read_back = 0;  // and compared; 0 where it was not asked for
  std::int64_t bytes = 0;
};

/// Everything of a run that is not a tensor, the same on every rank count. Stored as attributes and texts under /run.
struct RunRecord {
  std::int64_t step = 0;
  std::int64_t cursor = 0;  // [sequences] consumed from the endless stream of epochs
  std::int64_t tokens = 0;  // [tokens] consumed
  double epoch = 0;
  std::uint64_t seed = 0;
  double loss = 0;             // of the last step
  double validation_loss = 0;  // of the last validation; NaN: none yet
  double best_metric = 0;      // NaN: none yet
  std::int64_t best_step = -1;
  std::int64_t bad_validations = 0;  // in a row, for early stopping
  std::string deck;                  // the effective deck
  std::string model_config;          // config.json of the model
  std::string compute;               // fp32 | bf16 | fp64
  std::string version;               // strata --version
  std::string dataset_hash, validation_hash, tokenizer_hash;
  std::map<std::string, std::string> extra;  // further texts by name, for later versions
};

/// What depends on ranks, strategy and host: /run/launch, left out of comparisons.
struct LaunchRecord {
  std::int64_t ranks = 1, threads = 1;
  std::string deck;                                        // the whole effective deck, with folders, threads and origins
  std::string strategy, hosts, processor, build, written;  // written: wall-clock time
};

}  // namespace strata
