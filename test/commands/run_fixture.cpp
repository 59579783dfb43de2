#include "commands/run_fixture.hpp"

#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace strata::test {
namespace {

// A text with structure to learn: sentences of a small grammar, chosen by a linear congruential generator.
std::string make_text() {
  static const char* const subjects[] = {"the sailor", "a quiet engineer", "my neighbour", "the old clock", "every student"};
  static const char* const verbs[] = {"measures", "forgets", "repairs", "admires", "counts"};
  static const char* const objects[] = {"the tide", "seven ships", "a broken lamp", "the long road", "small numbers"};
  std::uint32_t state = 12345;
  const auto pick = [&](const auto& words) {
    return std::string(words[(state = state * 1664525u + 1013904223u) >> 16 & 0xffff & 0x7fff ? (state >> 20) % 5 : 0]);
  };
  std::string text;
  for (int document = 0; document < 300; ++document) {
    for (int sentence = 0; sentence < 6; ++sentence)
      text += pick(subjects) + " " + pick(verbs) + " " + pick(objects) + (sentence % 3 == 2 ? ".\n" : ", and ");
    text += "%\n";
  }
  return text;
}

constexpr const char* config =
    R"({"model_type": "qwen3", "vocab_size": 320, "hidden_size": 48, "intermediate_size": 112, "num_hidden_layers": 2, "num_attention_heads": 4,
 "num_key_value_heads": 2, "head_dim": 16, "hidden_act": "silu", "max_position_embeddings": 128, "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "rope_theta": 10000, "eos_token_id": 2})";

constexpr const char* deck = R"([model]
config = config.json
[tokenizer]
path = tokenizer.model
train = true
kind = bpe
vocabulary = 320
[prepare]
input = text.txt
documents = between:%
output = train.h5
validation_output = valid.h5
split = 0.1
[data]
train = train.h5
validation = valid.h5
sequence = 32
[batch]
global = 12
micro = 2
[train]
max_steps = 10
validate_every = 5
[optimizer]
lr = 3e-3
[schedule]
kind = cosine
warmup_steps = 2
steps = 10
[precision]
compute = fp32
[checkpoint]
every = 5
)";

}  // namespace

RunFolder::RunFolder() {
  write_file(folder_ / "text.txt", make_text());
  write_file(folder_ / "config.json", config);
  write_file(folder_ / "test.in", deck);
  const CommandResult prepared = strata(0, "prepare", "");
  if (prepared.status != 0) throw std::runtime_error("prepare failed:\n" + prepared.err);
}

const RunFolder& RunFolder::get() {
  static const RunFolder folder;
  return folder;
}

CommandResult RunFolder::strata(int ranks, const std::string& command, const std::string& options) const {
  return strata_with("", ranks, command, options);
}

CommandResult RunFolder::strata_with(const std::string& environment, int ranks, const std::string& command,
                                     const std::string& options) const {
  const std::string launcher = ranks > 0 ? "mpirun --oversubscribe --bind-to none -n " + std::to_string(ranks) + " " : "";
  return run_command("cd '" + folder_.path().string() + "' && env " + environment + " " + launcher + "'" + binary() + "' " + command +
                     " test.in " + options);
}

std::filesystem::path RunFolder::checkpoint(const std::string& run, int step) const {
  char name[32];
  std::snprintf(name, sizeof name, "step_%06d.h5", step);
  return folder_ / run / "checkpoints" / name;
}

bool on_real_gpu() {
  const char *library = std::getenv("STRATA_CUDA_LIBRARY"), *emulated = std::getenv("STRATA_CUDA_EMULATED");
  return library && (!emulated || std::string(library) != emulated);
}

std::string lasting_metrics(const std::filesystem::path& file) {
  std::istringstream rows(read_file(file));
  std::string kept;
  for (std::string row; std::getline(rows, row);) {
    const std::size_t memory = row.rfind(',');
    kept += row.substr(0, row.rfind(',', memory - 1)) + "\n";
  }
  return kept;
}

std::string checkpoint_difference(const std::filesystem::path& a, const std::filesystem::path& b) {
  const CommandResult diff = run_command("h5diff --exclude-path /run/launch '" + a.string() + "' '" + b.string() + "'");
  return diff.status == 0 ? "" : "h5diff exit " + std::to_string(diff.status) + "\n" + diff.out + diff.err;
}

}  // namespace strata::test
