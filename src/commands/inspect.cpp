// strata inspect: what is in a checkpoint, a run's folder, a token or feature file, or a model.
#include "commands/inspect.hpp"

#include <cstdio>
#include <fstream>

#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/checkpoint/describe.hpp"
#include "strata/commands/command.hpp"
#include "strata/data/feature_file.hpp"
#include "strata/data/token_file.hpp"
#include "strata/deck/deck.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

constexpr const char* kinds =
    "a checkpoint, a token file, a feature file, a safetensors file, a run's folder, a folder of checkpoints, or a Hugging Face folder";

bool is_hdf5(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  char start[8] = {};
  in.read(start, sizeof start);
  return in.gcount() == sizeof start && std::string(start, sizeof start) == "\x89HDF\r\n\x1a\n";
}

Inspected inspect_tokens(const fs::path& path, bool verify) {
  const TokenFileReader file(path);
  Inspected found{describe_token_file(file), nlohmann::ordered_json::parse(token_file_json(file)), {}, "every checksum agrees"};
  found.json["bytes"] = static_cast<std::int64_t>(fs::file_size(path));
  if (verify) found.damage = file.verify();
  return found;
}

Inspected inspect_features(const fs::path& path) {
  const FeatureFile file(path);  // opening compares every checksum
  Inspected found{describe_feature_file(file), nlohmann::ordered_json::parse(feature_file_json(file)), {}, "every checksum agrees"};
  found.json["bytes"] = static_cast<std::int64_t>(fs::file_size(path));
  return found;
}

Inspected inspect_folder(const fs::path& path, bool verify) {
  if (is_run_folder(path)) return inspect_run(path, verify);
  if (is_model_folder(path)) return inspect_weights(path, verify);
  throw DataError(text(path.string(), " holds no checkpoint, no run and no model; expected ", kinds));
}

Inspected inspect_path(const fs::path& path, bool verify) {
  if (!fs::exists(path)) throw DataError(text(path.string(), " does not exist"));
  if (fs::is_directory(path)) return inspect_folder(path, verify);
  if (path.extension() == ".safetensors") return inspect_weights(path, verify);
  if (!is_hdf5(path)) throw DataError(text(path.string(), " is no HDF5 file; expected ", kinds));
  if (is_feature_file(path)) return inspect_features(path);
  return is_token_file(path) ? inspect_tokens(path, verify) : inspect_checkpoint(path, verify);
}

}  // namespace

Inspected inspect_checkpoint(const fs::path& path, bool verify) {
  const CheckpointReader checkpoint(path);
  Inspected found{
      describe_checkpoint(checkpoint, false), nlohmann::ordered_json::parse(describe_checkpoint_json(checkpoint, true)), {}, ""};
  found.json["bytes"] = static_cast<std::int64_t>(fs::file_size(path));
  found.text += text("deck                    keys that are not the default; all with --json\n");
  // The deck of another version may have keys this one does not know.
  try {
    const Deck deck = Deck::parse({{"deck", checkpoint.run().deck}}, {});
    for (const Difference& d : differences(Deck::parse({}, {}), deck)) found.text += text("  ", d.key, " = ", d.now, "\n");
  } catch (const DeckError& e) {
    found.text += text("  not readable by this version: ", e.what(), "\n");
  }
  found.sound = "every checksum agrees";
  if (verify) found.damage = checkpoint.verify();
  for (std::string& line : found.damage) line = text(path.string(), ": ", line);
  return found;
}

int run_inspect(Session& session) {
  const CommandLine& line = session.line;
  if (line.words.size() != 1) throw DeckError(text("strata inspect expects one path: ", kinds));
  Inspected found = inspect_path(line.words[0], line.verify);
  if (line.json) {
    if (line.verify) found.json["verified"] = {{"sound", found.damage.empty()}, {"damage", found.damage}};
    std::printf("%s\n", found.json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  } else {
    std::printf("%s%s", found.text.c_str(), found.text.empty() || found.text.back() == '\n' ? "" : "\n");
    if (line.verify && found.damage.empty()) std::printf("%s\n", found.sound.c_str());
  }
  for (const std::string& damage : found.damage) log_error(damage);
  return static_cast<int>(found.damage.empty() ? ExitCode::done : ExitCode::data);
}

}  // namespace strata
