#pragma once
// The kernels of attention that a deck asks for (device.attention): whether they can be had, and what a run records of them.
#include <map>
#include <string>

#include "strata/commands/command.hpp"
#include "strata/device/compute_device.hpp"
#include "strata/models/model.hpp"

namespace strata {

/// What a run with cuDNN's kernels writes into its checkpoints under this name.
inline constexpr const char* attention_record_name = "device.attention";

/// What the deck asks for, on this kind of device.
AttentionKernels attention_kernels(const Settings& settings, DeviceKind device);
/// Why device.attention = cudnn cannot be had for this model, in words; empty: it can, or is not asked for. `gpu` null: what can be said
/// without one. Local.
std::string attention_refusal(const Session& session, const Model& model, Gpu* gpu, PassKind pass);
/// Throws DeckError with that, and says in the log which kernels are used where they are not our own. Local.
void use_attention(const Session& session, const Model& model, const ComputeDevice& device, PassKind pass);
/// Throws DeckError on all ranks where they have cuDNNs of several versions, whose bits differ. Collective.
void require_one_attention(const Session& session, const std::string& words);
/// Writes them, or that they are our own, into a run's record. Local; after use_attention().
void record_attention(const Session& session, std::map<std::string, std::string>& extra);
/// "cudnn 9.28.0", for where nothing was refused.
std::string attention_words();

}  // namespace strata
