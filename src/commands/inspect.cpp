// strata inspect: what is in a checkpoint or a token file.
#include <cstdio>

#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/checkpoint/describe.hpp"
#include "strata/commands/command.hpp"
#include "strata/data/token_file.hpp"

namespace strata {
namespace {
namespace fs = std::filesystem;

// A run's folder stands for its checkpoints, a folder of checkpoints for its newest.
fs::path resolve(const fs::path& path) {
  if (!fs::exists(path)) throw DataError(text(path.string(), " does not exist"));
  if (!fs::is_directory(path)) return path;
  const fs::path folder = fs::exists(path / "checkpoints") ? path / "checkpoints" : path;
  const auto all = list_checkpoints(folder);
  if (all.empty()) throw DataError(text(folder.string(), " holds no checkpoint"));
  return all.back().path;
}

int report(const std::string& description, const std::vector<std::string>& damage, bool verified, bool json) {
  std::printf("%s%s", description.c_str(), description.empty() || description.back() == '\n' ? "" : "\n");
  for (const std::string& line : damage) log_error(line);
  if (verified && damage.empty() && !json) std::printf("every checksum agrees\n");
  return static_cast<int>(damage.empty() ? ExitCode::done : ExitCode::data);
}

}  // namespace

int run_inspect(Session& session) {
  const CommandLine& line = session.line;
  if (line.words.size() != 1) throw DeckError("strata inspect expects one path: a checkpoint, a folder of checkpoints, or a token file");
  const fs::path path = resolve(line.words[0]);
  std::vector<std::string> damage;
  if (is_token_file(path)) {
    const TokenFileReader file(path);
    if (line.verify) damage = file.verify();
    return report(line.json ? token_file_json(file) : describe_token_file(file), damage, line.verify, line.json);
  }
  const CheckpointReader checkpoint(path);
  if (line.verify) damage = checkpoint.verify();
  return report(line.json ? describe_checkpoint_json(checkpoint) : describe_checkpoint(checkpoint, false), damage, line.verify, line.json);
}

}  // namespace strata
