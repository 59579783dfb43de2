// The folder of checkpoints: what is in it, what to resume from, what to keep.
#include "strata/checkpoint/catalogue.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "checkpoint/records.hpp"
#include "strata/base/error.hpp"
#include "strata/base/fault.hpp"
#include "strata/base/log.hpp"
#include "strata/base/phase.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

/// The name in `latest` or `best`; empty where the file is missing or holds something else, then with a note.
std::string named_by(const fs::path& pointer, std::vector<std::string>& notes) {
  if (!fs::exists(pointer)) return "";
  try {
    std::string name = read_text(pointer, 4096);
    while (!name.empty() && (name.back() == '\n' || name.back() == '\r' || name.back() == ' ')) name.pop_back();
    if (is_plain_file_name(name) && name.find('\n') == std::string::npos) return name;
    notes.push_back(text(pointer.string(), " does not hold one plain file name and is passed over"));
  } catch (const DataError& error) {
    notes.push_back(text(pointer.string(), " is passed over: ", error.what()));
  }
  return "";
}

/// NaN: the checkpoint was not validated by its answers.
double f1_of(const h5::File& file) {
  const bool there = file.has(extra_group) && file.has_attribute(extra_group, validation_f1_name);
  return there ? std::strtod(file.string(extra_group, validation_f1_name).c_str(), nullptr) : std::nan("");
}

/// What keep_best goes by, the smallest first; NaN: the checkpoint was not validated.
double badness(const CheckpointEntry& entry) {
  return std::isnan(entry.validation_f1) ? entry.validation_loss : -entry.validation_f1;
}

/// All checkpoints that open, by step, then name; files that do not open give a note each.
std::vector<CheckpointEntry> scan(const fs::path& folder, std::vector<std::string>& notes) {
  std::vector<CheckpointEntry> entries;
  if (!fs::is_directory(folder)) return entries;
  for (const fs::directory_entry& found : fs::directory_iterator(folder)) {
    if (found.path().extension() != ".h5" || !found.is_regular_file()) continue;
    try {
      const h5::File file(found.path());
      check_format(file);
      entries.push_back({found.path(), file.integer(run_group, "step"), file.real(run_group, "validation_loss"), f1_of(file)});
    } catch (const DataError& error) {
      notes.push_back(text(found.path().string(), " is passed over: ", error.what()));
    }
  }
  std::sort(notes.begin(), notes.end());
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.step != b.step ? a.step < b.step : a.path < b.path; });
  return entries;
}

/// The first thing wrong with a checkpoint; empty: sound.
std::string damage(const fs::path& path, Soundness soundness, const DamagedCheckpoints& known) {
  if (const auto found = known.find(path); found != known.end()) return found->second;
  try {
    const CheckpointReader checkpoint(path);
    if (soundness == Soundness::structure) return "";
    const std::vector<std::string> lines = checkpoint.verify();
    if (lines.empty()) return "";
    return text(path.string(), ": ", lines.front(), lines.size() > 1 ? text(" (and ", lines.size() - 1, " more)") : "");
  } catch (const DataError& error) {
    return error.what();
  }
}

bool is_unfinished(const std::string& name) {
  if (!name.ends_with(unfinished_suffix)) return false;
  if (name.ends_with(std::string(".h5") + unfinished_suffix)) return true;
  // Texts that were being replaced, here or in the run's folder.
  constexpr const char* texts[] = {"latest.", "best.", "metrics.csv.", "effective.deck.", "plan.txt."};
  return std::any_of(std::begin(texts), std::end(texts), [&](const char* text) { return name.starts_with(text); });
}

/// The names that stay: the newest, the best so far, the last config.keep by step and the config.keep_best that were validated best.
std::set<std::string> protected_names(const std::vector<CheckpointEntry>& entries, const std::string& newest, const std::string& best,
                                      const CheckpointConfig& config) {
  std::set<std::string> names = {newest, best};
  const auto keep = static_cast<std::size_t>(std::max<std::int64_t>(config.keep, 0));
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (keep == 0 || i + keep >= entries.size()) names.insert(entries[i].path.filename().string());
  std::vector<CheckpointEntry> ranked;
  std::copy_if(entries.begin(), entries.end(), std::back_inserter(ranked), [](const auto& entry) { return !std::isnan(badness(entry)); });
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return badness(a) < badness(b); });
  const auto keep_best = static_cast<std::size_t>(std::max<std::int64_t>(config.keep_best, 0));
  for (std::size_t i = 0; i < std::min(keep_best, ranked.size()); ++i) names.insert(ranked[i].path.filename().string());
  return names;
}

/// Moves the entry that `latest` names to the front of the entries (by falling step), behind later ones that were finished after it was
/// written.
void put_latest_first(std::vector<CheckpointEntry>& entries, const fs::path& pointer, const std::string& latest) {
  const auto named = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.path.filename() == latest; });
  if (named == entries.end()) return;
  std::error_code code;
  const fs::file_time_type written = fs::last_write_time(pointer, code);
  const std::int64_t step = named->step;
  const auto comes_first = [&](const CheckpointEntry& entry) {
    std::error_code gone;
    return entry.path.filename() == latest || (!code && entry.step > step && fs::last_write_time(entry.path, gone) > written && !gone);
  };
  std::stable_partition(entries.begin(), entries.end(), comes_first);
}

}  // namespace

void remove_unfinished(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && is_unfinished(entry.path().filename().string())) found.push_back(entry.path());
  for (const fs::path& path : found) {
    std::error_code code;
    fs::remove(path, code);
    log_info(text(path.string(), ": left unfinished by an earlier run, ", code ? "cannot be removed: " + code.message() : "removed"));
  }
}

std::vector<CheckpointEntry> list_checkpoints(const fs::path& folder) {
  std::vector<std::string> notes;
  return scan(folder, notes);
}

std::optional<fs::path> find_resumable(const fs::path& file_or_folder, std::vector<std::string>& notes, Soundness soundness,
                                       const DamagedCheckpoints& known) {
  if (!fs::exists(file_or_folder)) return std::nullopt;
  if (!fs::is_directory(file_or_folder)) {
    if (const std::string problem = damage(file_or_folder, soundness, known); !problem.empty()) throw DataError(problem);
    return file_or_folder;
  }
  std::vector<fs::path> candidates;
  std::vector<CheckpointEntry> entries = scan(file_or_folder, notes);
  std::reverse(entries.begin(), entries.end());
  const std::string latest = named_by(file_or_folder / "latest", notes);
  put_latest_first(entries, file_or_folder / "latest", latest);
  if (!latest.empty() && !fs::exists(file_or_folder / latest))
    notes.push_back(text((file_or_folder / "latest").string(), " names ", latest, ", which is missing"));
  for (const CheckpointEntry& entry : entries) {
    const std::string problem = damage(entry.path, soundness, known);
    if (problem.empty()) return entry.path;
    notes.push_back(text(entry.path.string(), " is passed over: ", problem));
  }
  return std::nullopt;
}

void update_catalogue(const fs::path& folder, const std::string& newest, bool is_best, const CheckpointConfig& config) {
  STRATA_ASSERT(is_plain_file_name(newest), "'", newest, "' is not a plain file name");
  write_text_atomically(folder / "latest", newest + "\n");
  STRATA_FAULT("save.latest", Phase::step());
  if (is_best) write_text_atomically(folder / "best", newest + "\n");

  std::vector<std::string> notes;
  const std::string best = named_by(folder / "best", notes);
  const std::vector<CheckpointEntry> entries = scan(folder, notes);
  const std::set<std::string> stay = protected_names(entries, newest, best, config);
  std::vector<fs::path> go;
  for (const CheckpointEntry& entry : entries)
    if (!stay.count(entry.path.filename().string())) go.push_back(entry.path);
  for (const fs::directory_entry& found : fs::directory_iterator(folder))
    if (found.is_regular_file() && is_unfinished(found.path().filename().string())) go.push_back(found.path());
  for (const fs::path& path : go) {
    std::error_code code;
    fs::remove(path, code);  // a file that cannot be deleted costs space, not the run
    if (code) log_warning(text(path.string(), " cannot be deleted: ", code.message()));
  }
  sync_folder(folder);
}

}  // namespace strata
