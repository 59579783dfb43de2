#pragma once
// What `strata inspect` finds out about a path: words, JSON, and what is wrong.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace strata {

struct Inspected {
  std::string text;
  nlohmann::ordered_json json;
  std::vector<std::string> damage;  // what --verify found; empty: sound
  std::string sound;                // what --verify says where nothing is wrong
};

/// A checkpoint: run, model, sizes, hashes, the deck's keys that are not the default. With `verify` every checksum is recomputed.
Inspected inspect_checkpoint(const std::filesystem::path& path, bool verify);
/// A run's folder, or its folder of checkpoints: which are there, which is latest and best, in what state the run is; and the newest one.
/// With `verify` every checkpoint is read.
Inspected inspect_run(const std::filesystem::path& folder, bool verify);
/// A Hugging Face folder or a safetensors file: model, tensors, types, parameters, tokenizer. With `verify` the tensors are compared with
/// what config.json asks for, and each file's hash is told.
Inspected inspect_weights(const std::filesystem::path& path, bool verify);

/// Whether the folder is one of a run, or holds checkpoints; whether it holds a model in Hugging Face's form.
bool is_run_folder(const std::filesystem::path& folder);
bool is_model_folder(const std::filesystem::path& folder);

}  // namespace strata
