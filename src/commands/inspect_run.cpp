// A run's folder: its checkpoints, its state, its newest checkpoint.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "commands/inspect.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

/// The last `bytes` of a text file as lines, the first one perhaps cut; none where there is no such file.
std::vector<std::string> last_lines(const fs::path& path, std::int64_t bytes = 16384) {
  std::vector<std::string> lines;
  std::ifstream in(path, std::ios::binary);
  std::error_code ignored;
  const auto size = static_cast<std::int64_t>(fs::file_size(path, ignored));
  if (!in || ignored) return lines;
  in.seekg(std::max<std::int64_t>(0, size - bytes));
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

/// Whether another process holds the run's lock. Local.
bool is_locked(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct flock lock {};
  lock.l_type = F_WRLCK, lock.l_whence = SEEK_SET;
  const bool held = ::fcntl(descriptor, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(descriptor);
  return held;
}

std::string name_in(const fs::path& pointer) {
  const auto lines = last_lines(pointer, 4096);
  return lines.empty() ? "" : lines.front();
}

/// What the log's end says of how the run ended.
std::string state_of(const fs::path& run, bool locked) {
  if (locked) return "at work (another process holds its lock)";
  const auto lines = last_lines(run / "log.txt");
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (line->find("Finished at step") != std::string::npos) return "finished";
    if (line->find("Stopped after step") != std::string::npos) return "stopped on request; the same command goes on from its checkpoint";
    if (line->find("error: ") != std::string::npos) return "ended by an error, the log's last lines say which";
  }
  return lines.empty() ? "not begun: it has no log" : "at work, or it ended without a word (killed?)";
}

struct Listed {
  std::string name, problem;
  std::int64_t step = -1;
  std::int64_t bytes = 0;
  double loss = 0, validation_loss = 0;
};

std::vector<Listed> checkpoints_in(const fs::path& folder) {
  std::vector<Listed> all;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".h5" || !entry.is_regular_file()) continue;
    Listed one;
    one.name = entry.path().filename().string(), one.bytes = static_cast<std::int64_t>(entry.file_size());
    try {
      const CheckpointReader checkpoint(entry.path());
      one.step = checkpoint.run().step, one.loss = checkpoint.run().loss, one.validation_loss = checkpoint.run().validation_loss;
    } catch (const Error& e) {
      one.problem = e.what();
    }
    all.push_back(one);
  }
  std::sort(all.begin(), all.end(), [](const Listed& a, const Listed& b) { return a.step != b.step ? a.step < b.step : a.name < b.name; });
  return all;
}

Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

void list_checkpoints(const fs::path& folder, const std::vector<Listed>& all, Inspected& found) {
  const std::string latest = name_in(folder / "latest"), best = name_in(folder / "best");
  found.json["latest"] = latest, found.json["best"] = best, found.json["checkpoints"] = Json::array();
  found.text += text("checkpoints in ", folder.string(), "\n");
  char line[256];
  for (const Listed& c : all) {
    const std::string marks = std::string(c.name == latest ? "  latest" : "") + (c.name == best ? "  best" : "");
    if (c.problem.empty()) {
      std::snprintf(line, sizeof line, "  %-24s step %-8lld loss %.4f  validation %s  %s%s\n", c.name.c_str(),
                    static_cast<long long>(c.step), c.loss,
                    std::isnan(c.validation_loss) ? "none" : std::to_string(c.validation_loss).c_str(),
                    bytes_text(static_cast<double>(c.bytes)).c_str(), marks.c_str());
      found.text += line;
    } else {
      found.text += text("  ", c.name, "  NOT READABLE: ", c.problem, marks, "\n");
    }
    found.json["checkpoints"].push_back({{"name", c.name},
                                         {"step", c.step < 0 ? Json(nullptr) : Json(c.step)},
                                         {"loss", finite(c.loss)},
                                         {"validation_loss", finite(c.validation_loss)},
                                         {"bytes", c.bytes},
                                         {"latest", c.name == latest},
                                         {"best", c.name == best},
                                         {"problem", c.problem}});
  }
  for (const auto& [pointer, name] : {std::pair<const char*, std::string>("latest", latest), {"best", best}})
    if (!name.empty() && std::none_of(all.begin(), all.end(), [&, n = name](const Listed& c) { return c.name == n; }))
      found.damage.push_back(text((folder / pointer).string(), " names ", name, ", which is not there"));
}

void describe_state(const fs::path& run, Inspected& found) {
  const bool locked = is_locked(run / "lock");
  const std::string state = state_of(run, locked);
  const auto rows = last_lines(run / "metrics.csv"), log = last_lines(run / "log.txt"), lock = last_lines(run / "lock");
  found.text += text("run                     ", run.string(), "\nstate                   ", state, "\n");
  if (!log.empty()) found.text += text("last said               ", log.back(), "\n");
  const std::int64_t step = rows.empty() ? 0 : std::strtoll(rows.back().c_str(), nullptr, 10);
  if (step > 0) found.text += text("steps in metrics.csv    ", step, "\n");
  std::string holder;
  for (const std::string& line : lock) holder += (holder.empty() ? "" : ", ") + line;
  if (locked) found.text += text("lock held by            ", holder, "\n");
  found.json["run"] = {
      {"folder", run.string()}, {"state", state}, {"locked", locked}, {"lock", holder}, {"last_said", log.empty() ? "" : log.back()},
      {"last_step", step}};
}

}  // namespace

bool is_run_folder(const fs::path& folder) {
  if (fs::is_directory(folder / "checkpoints") || fs::exists(folder / "effective.deck") || fs::exists(folder / "latest")) return true;
  return !strata::list_checkpoints(folder).empty();
}

Inspected inspect_run(const fs::path& path, bool verify) {
  const bool is_run = fs::is_directory(path / "checkpoints") || fs::exists(path / "effective.deck");
  const fs::path folder = is_run ? path / "checkpoints" : path;
  Inspected found;
  if (is_run) describe_state(path, found);
  const std::vector<Listed> all = fs::is_directory(folder) ? checkpoints_in(folder) : std::vector<Listed>{};
  const auto newest = std::find_if(all.rbegin(), all.rend(), [](const Listed& c) { return c.problem.empty(); });
  if (all.empty() && !is_run) throw DataError(text(folder.string(), " holds no checkpoint"));
  if (all.empty()) found.text += "no checkpoint yet\n";
  if (!all.empty()) list_checkpoints(folder, all, found);
  if (newest != all.rend()) {
    Inspected one = inspect_checkpoint(folder / newest->name, false);
    found.text += "\n" + one.text;
    // The newest one's facts on top, as for the file itself; the folder's beside them.
    one.json.update(found.json);
    found.json = one.json;
  } else {
    found.json["kind"] = is_run ? "run" : "checkpoints";
  }
  if (!verify) return found.damage.clear(), found;
  std::int64_t sound = 0;
  for (const Listed& c : all) {
    if (!c.problem.empty()) {
      found.damage.push_back(c.problem);
      continue;
    }
    for (const std::string& line : CheckpointReader(folder / c.name).verify())
      found.damage.push_back(text((folder / c.name).string(), ": ", line));
    ++sound;
  }
  found.sound = text("every checksum agrees, of ", sound, sound == 1 ? " checkpoint" : " checkpoints");
  return found;
}

}  // namespace strata
