#pragma once
// The checkpoints of a run: names, the files `latest` and `best`, which to keep, which to resume from.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "strata/checkpoint/config.hpp"

namespace strata {

struct CheckpointEntry {
  std::filesystem::path path;
  std::int64_t step = 0;
  double validation_loss = 0;  // NaN: none
  double validation_f1 = 0;    // [percent] NaN: none
};

/// File name for config.name = "step_{step:06d}" and the like ({step}, {epoch}, {loss}, with printf-like widths after a colon), with ".h5".
/// As in printf, {step:06d} pads with zeros and {loss:.4f} gives decimals; {epoch} alone is the number of whole epochs, {loss} alone has
/// four decimals. Throws DeckError for an unknown field or a name that is not a plain file name.
std::string checkpoint_file_name(const std::string& pattern, std::int64_t step, double epoch, double loss);

/// Every checkpoint file in a folder that opens and has a step, by step; others (.tmp, strangers) are left out. Local.
std::vector<CheckpointEntry> list_checkpoints(const std::filesystem::path& folder);

/// Checkpoints that were found damaged, and what is wrong with each.
using DamagedCheckpoints = std::map<std::filesystem::path, std::string>;
/// How closely find_resumable() looks: at structure and records, for callers whose own reading verifies every hash and who come back with
/// what they found damaged; or at every hash.
enum class Soundness { structure, every_hash };

/// What to resume from: the file itself, or the newest sound checkpoint of a folder: the one `latest` names first, then by falling step. A
/// checkpoint of a later step that came into the folder after `latest` was written goes before it: its run was killed between the two.
/// Damaged ones, and those `known` to be, are passed over, each with a line in `notes`. Empty: there is none (the path may be missing
/// altogether). A file that is named itself and is damaged is a DataError: nothing else was asked for. Local.
std::optional<std::filesystem::path> find_resumable(const std::filesystem::path& file_or_folder, std::vector<std::string>& notes,
                                                    Soundness soundness = Soundness::every_hash, const DamagedCheckpoints& known = {});

/// Removes what runs that were killed left unfinished in a folder of checkpoints or of a run. For the start of a run that has the folder
/// for itself. On one rank only.
void remove_unfinished(const std::filesystem::path& folder);

/// Called after a checkpoint was written: replaces `latest`, replaces `best` when told, deletes what config.keep and config.keep_best do
/// not protect (never the one just written, never `best`, never a file that is not a readable checkpoint), and leftover .tmp files of
/// checkpoints. `newest` is a plain file name. Throws DataError. On one rank only.
void update_catalogue(const std::filesystem::path& folder, const std::string& newest, bool is_best, const CheckpointConfig& config);

}  // namespace strata
