#pragma once
// A small checkpoint whose every element is a function of its tensor and position, cut into pieces for any number of ranks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "strata/base/error.hpp"
#include "strata/checkpoint/format.hpp"

namespace strata::test {

struct SampleTensor {
  std::string path;
  DType type;
  std::vector<std::int64_t> shape;
  std::int64_t elements() const {
    std::int64_t n = 1;
    for (const std::int64_t size : shape) n *= size;
    return n;
  }
};

/// Sizes below, at and above the checksum block, a scalar, and nothing at all.
inline std::vector<SampleTensor> sample_tensors() {
  return {{"/model/model.layers.0.mlp.up_proj.weight", DType::bf16, {130, 257}},
          {"/model/model.embed_tokens.weight", DType::bf16, {64, 64}},
          {"/model/model.norm.weight", DType::f32, {77}},
          {"/model/empty.weight", DType::f32, {0, 5}},
          {"/model/scale", DType::f64, {}},
          {"/optimizer/model.layers.0.mlp.up_proj.weight/remainder", DType::i16, {130, 257}},
          {"/optimizer/model.layers.0.mlp.up_proj.weight/exp_avg", DType::f32, {130, 257}}};
}

/// The bytes of a tensor: every element different from its neighbours, `salt` makes another step's content.
inline std::vector<unsigned char> sample_bytes(const SampleTensor& tensor, unsigned salt = 0) {
  std::vector<unsigned char> bytes(static_cast<std::size_t>(tensor.elements()) * size_of(tensor.type));
  std::uint32_t state = 12345u + salt;
  for (const char c : tensor.path) state = state * 31u + static_cast<unsigned char>(c);
  for (unsigned char& byte : bytes) state = state * 1664525u + 1013904223u, byte = static_cast<unsigned char>(state >> 24);
  return bytes;
}

/// The sample as rank `rank` of `ranks` holds it: its memory and the tensors with its pieces. Block b of tensor t goes to rank (b + t) %
/// ranks, each block a piece, or with `runs` to the b-th part in order, as a flat shard would.
class Sample {
 public:
  Sample(int rank, int ranks, bool runs = false, unsigned salt = 0) {
    std::int64_t number = 0;
    for (const SampleTensor& tensor : sample_tensors()) {
      memory_.push_back(sample_bytes(tensor, salt));
      CheckpointTensor entry{tensor.path, tensor.type, tensor.shape, {}};
      const std::int64_t n = tensor.elements(), blocks = checksum_blocks(n);
      for (std::int64_t block = 0; block < blocks; ++block) {
        const std::int64_t owner = runs ? block * ranks / blocks : (block + number) % ranks;
        const std::int64_t first = block * checksum_elements, count = std::min(checksum_elements, n - first);
        if (owner != rank) continue;
        if (runs && !entry.pieces.empty())
          entry.pieces.back().count += count;
        else
          entry.pieces.push_back({memory_.back().data() + first * static_cast<std::int64_t>(size_of(tensor.type)), first, count});
      }
      tensors_.push_back(std::move(entry));
      ++number;
    }
  }
  std::vector<CheckpointTensor>& tensors() { return tensors_; }
  /// Overwrites this rank's memory.
  void scramble() {
    for (auto& bytes : memory_) std::fill(bytes.begin(), bytes.end(), static_cast<unsigned char>(0xee));
  }

 private:
  std::vector<std::vector<unsigned char>> memory_;
  std::vector<CheckpointTensor> tensors_;
};

inline RunRecord sample_run(std::int64_t step = 500) {
  RunRecord run;
  run.step = step;
  run.cursor = 16000;
  run.tokens = 8192000;
  run.epoch = 1.25;
  run.seed = 0xfedcba9876543210u;
  run.loss = 2.718281828459045;
  run.validation_loss = std::numeric_limits<double>::quiet_NaN();
  run.best_metric = 2.5;
  run.best_step = 400;
  run.bad_validations = 1;
  run.deck = "[run]\nfolder = \"runs/ä b\"  # a comment\n" + std::string(10000, '#') + "\n";
  run.model_config = R"({"model_type": "qwen3", "hidden_size": 64})";
  run.compute = "bf16";
  run.version = "0.1.0";
  run.dataset_hash = "0123456789abcdef0123456789abcdef";
  run.tokenizer_hash = "fedcba9876543210fedcba9876543210";
  run.extra = {{"schedule", "cosine"}, {"note", ""}};
  return run;
}

inline LaunchRecord sample_launch(int ranks = 1) {
  LaunchRecord launch;
  launch.ranks = ranks;
  launch.threads = 2;
  launch.strategy = "fsdp";
  launch.hosts = "node01";
  launch.processor = "a processor";
  launch.build = "a build";
  launch.written = "2026-11-21 12:00:00";
  return launch;
}

/// The message of the `E` that `work` throws; says so if it throws nothing or something else.
template <class E>
std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another class of error: ") + error.what();
  }
  return "no error";
}

}  // namespace strata::test
