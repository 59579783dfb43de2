#pragma once
// The tuning file that a deck names: read once, the same on every rank, given to GPUs.
#include <map>
#include <memory>
#include <string>

#include "strata/commands/command.hpp"
#include "strata/device/compute_device.hpp"
#include "strata/device/tuning.hpp"

namespace strata {

struct NamedTuning {
  Tuning tuning;
  std::string hash;  // of the file's bytes
  std::string path;
  /// "3f2a... input/machines/h200.tuning", as checkpoints hold it.
  std::string record() const { return hash + " " + path; }
};
/// The text of a checkpoint that holds it.
inline constexpr const char* tuning_record_name = "device.tuning";

/// Reads device.tuning; null: none is named, or the device is the host, which the log then says. Throws DeckError with all that is wrong
/// with the file. Local; device.kind is settled.
std::shared_ptr<const NamedTuning> read_tuning(const Session& session);
/// The same for all ranks: rank 0 reads and hands the file round. Fills session.tuning. Collective.
void agree_tuning(Session& session);
/// Gives it to the device of this rank. Throws DeckError where the file is of another GPU or version of cuBLASLt. Local.
void use_tuning(const Session& session, ComputeDevice& device);

/// Writes it, or that there is none, into a run's record. Local.
void record_tuning(const Session& session, std::map<std::string, std::string>& extra);

}  // namespace strata
