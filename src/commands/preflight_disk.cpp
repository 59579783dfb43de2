// Preflight of what a run writes: its folder, and room for every checkpoint it will keep.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "commands/preflight.hpp"
#include "strata/base/clock.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

/// The folder itself, or the nearest above it that exists.
fs::path nearest_existing(const fs::path& folder) {
  std::error_code ignored;
  fs::path at = fs::absolute(folder).lexically_normal();
  while (at.has_relative_path() && !fs::exists(at, ignored)) at = at.parent_path();
  return at;
}

// Asking for permission is not always the truth (network file systems, quotas): where the folder exists a file is made and removed.
void try_writing(const fs::path& folder) {
  const fs::path probe = temporary_name(folder / "preflight");
  try {
    const FileHandle file(probe, FileHandle::Mode::create);
    file.write_at("strata", 6, 0);
    file.sync();
  } catch (...) {
    std::error_code ignored;
    fs::remove(probe, ignored);
    throw;
  }
  fs::remove(probe);
}

bool check_folder(Preflight& p, const fs::path& folder) {
  const std::string remedy = "name another run.folder, or make this one writable";
  const fs::path there = nearest_existing(folder);
  if (!fs::is_directory(there)) {
    p.findings.error(ExitCode::data, "folder.in_the_way", "run.folder",
                     text("run.folder = ", p.s.run.folder, ": ", there.string(), " is in the way: expected a folder, found a file"),
                     remedy);
    return false;
  }
  if (::access(there.c_str(), W_OK | X_OK) != 0) {
    p.findings.error(ExitCode::data, "folder.unwritable", "run.folder",
                     text("run.folder = ", p.s.run.folder, ": nothing can be written in ", there.string(), ": ", std::strerror(errno)),
                     remedy);
    return false;
  }
  if (!p.thorough || !fs::exists(folder)) return true;
  return p.findings.attempt("folder.unwritable", "run.folder", remedy, [&] { try_writing(folder); });
}

/// Checkpoints that lie on the disk at once at most: those that stay, and the one being written.
std::int64_t most_at_once(const Preflight& p) {
  const std::int64_t without_data = p.s.train.max_steps > 0 ? p.s.train.max_steps : 1, every = p.s.checkpoint.every;
  const std::int64_t total = std::min<std::int64_t>(p.steps ? p.steps->total_steps() : without_data, std::int64_t{1} << 40);
  std::int64_t written = 1 + (every > 0 ? (total - 1) / every : 0);
  const std::int64_t validations = p.validation_data && p.s.train.validate_every > 0 ? total / p.s.train.validate_every : 0;
  if (p.s.checkpoint.keep > 0) return std::min(written + validations, p.s.checkpoint.keep + p.s.checkpoint.keep_best + 1);
  return written + std::min(validations, p.s.checkpoint.keep_best);
}

/// [bytes] of this run's checkpoints that are there already: they are counted among those kept.
std::int64_t bytes_there(const Preflight& p, const fs::path& checkpoints) {
  std::int64_t bytes = 0;
  if (p.s.run.resume != "auto" || !fs::is_directory(checkpoints)) return 0;
  for (const CheckpointEntry& entry : list_checkpoints(checkpoints)) bytes += static_cast<std::int64_t>(fs::file_size(entry.path));
  return bytes;
}

void check_room(Preflight& p, const fs::path& checkpoints) {
  p.checkpoints_kept = most_at_once(p);
  const std::int64_t there = bytes_there(p, checkpoints);
  // A run that never ends and keeps all has no bound: one checkpoint must fit.
  const double all = static_cast<double>(p.checkpoints_kept) * static_cast<double>(p.checkpoint_bytes);
  const std::int64_t needed = all < 1e18 ? p.checkpoints_kept * p.checkpoint_bytes : p.checkpoint_bytes;
  p.disk_needed = std::max<std::int64_t>(0, needed - there), p.disk_free = free_bytes(checkpoints);
  if (p.disk_needed <= p.disk_free) return;
  p.findings.error(ExitCode::capacity, "disk", "run.folder",
                   text(p.checkpoints_kept, p.checkpoints_kept == 1 ? " checkpoint of " : " checkpoints of ",
                        bytes_text(static_cast<double>(p.checkpoint_bytes)), " (checkpoint.keep = ", p.s.checkpoint.keep,
                        ", checkpoint.keep_best = ", p.s.checkpoint.keep_best, ", one being written) need ",
                        bytes_text(static_cast<double>(p.disk_needed)), there > 0 ? " more" : "", ", the file system of ",
                        checkpoints.string(), " has ", bytes_text(static_cast<double>(p.disk_free)), " free"),
                   "free some space, name another run.folder, or lower checkpoint.keep");
}

}  // namespace

void check_disk(Preflight& p) {
  if (p.launch.rank() != 0) return;
  const fs::path folder = p.s.run.folder, checkpoints = folder / "checkpoints";
  bool writable = false;
  if (!p.findings.attempt("folder.unwritable", "run.folder", "", [&] { writable = check_folder(p, folder); }) || !writable) return;
  if (p.plan) p.findings.attempt("disk", "run.folder", "", [&] { check_room(p, checkpoints); });
}

}  // namespace strata
