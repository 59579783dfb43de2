#include "commands/model_source.hpp"

#include <unistd.h>

#include "strata/base/log.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/device/thread_pool.hpp"
#include "strata/ops/gpu_limits.hpp"

namespace strata {
namespace fs = std::filesystem;

int threads_of(const Session& session) {
  const int asked = session.settings().device.threads;
  return asked > 0 ? asked : default_threads(session.comm.local_size());
}

bool shows_progress(const Session& session) {
  const std::string& asked = session.settings().run.progress;
  return asked == "on" || (asked == "auto" && session.comm.size() == 1 && isatty(STDERR_FILENO) == 1);
}

DType compute_type(const Session& session) {
  return dtype_from_name(session.settings().precision.compute);
}

DeviceKind device_of(const Session& session) {
  const std::string& kind = session.settings().device.kind;
  STRATA_ASSERT(kind != "auto", "device.kind is not settled");
  return resolve_device(kind);
}

namespace {

void set_device(Session& session, DeviceKind kind) {
  auto settled = session.deck.with("device.kind", name_of(kind), "device.kind = auto");
  STRATA_ASSERT(settled.has_value(), "device ", name_of(kind));
  session.deck = std::move(*settled);
}

}  // namespace

// What the deck itself says of fp16 on cpu is refused with the deck; here, what `auto` has come to.
void require_device_for_type(const Session& session, bool on_all_ranks) {
  const Settings& s = session.settings();
  if (s.precision.compute != "fp16" || s.device.kind != "cpu") return;
  DeckError error(text("precision.compute = fp16: runs on cuda only, expected bf16, fp32 or fp64 on cpu; ",
                       session.device_note.empty() ? "device.kind = auto finds no GPU here" : session.device_note));
  if (on_all_ranks) error.set_on_all_ranks();
  throw error;
}

// The same of graphs.
void require_device_for_graphs(const Session& session, bool on_all_ranks) {
  const Settings& s = session.settings();
  if (s.device.graphs != "on" || s.device.kind != "cpu") return;
  DeckError error("device.graphs = on: graphs are for cuda; " +
                  (session.device_note.empty() ? std::string("device.kind = auto finds no GPU here") : session.device_note));
  if (on_all_ranks) error.set_on_all_ranks();
  throw error;
}

void settle_device(Session& session) {
  if (session.settings().device.kind != "auto") return;
  const AutoDevice found = auto_device(session.comm.local_rank(), session.comm.local_size());
  set_device(session, found.kind);
  if (!found.why_not.empty()) session.device_note = "device.kind = auto takes the host: " + found.why_not;
}

void agree_device(Session& session) {
  if (session.settings().device.kind != "auto") return;
  Communicator& comm = session.comm;
  const AutoDevice mine = auto_device(comm.local_rank(), comm.local_size());
  const bool here = mine.kind == DeviceKind::cuda, anywhere = comm.all_max(here ? 1 : 0) == 1, everywhere = comm.all_min(here ? 1 : 0) == 1;
  set_device(session, everywhere ? DeviceKind::cuda : DeviceKind::cpu);
  const std::vector<std::string> reasons = all_gather_text(comm, here                    ? ""
                                                                 : !mine.why_not.empty() ? mine.why_not
                                                                 : anywhere              ? "no GPU"
                                                                                         : "");
  for (int r = 0; r < comm.size(); ++r)
    if (const std::string& why = reasons[static_cast<std::size_t>(r)]; !why.empty()) {
      session.device_note =
          text("device.kind = auto takes the host: ", comm.size() > 1 ? text("rank ", r, " on ", comm.host_of(r), ": ") : "", why);
      break;
    }
  require_device_for_type(session, true);
}

void log_device(const Session& session) {
  if (!session.device_note.empty()) log_info(session.device_note);
}

void log_graphs(const Session& session) {
  const Settings& s = session.settings();
  if (const std::string why = graphs_hindrance(s); s.device.graphs == "auto" && !why.empty()) log_info("CUDA graphs: off, " + why);
}

void check_device(const Session& session) {
  if (device_of(session) != DeviceKind::cuda) return;
  if (cuda_half().devices() > 0) return;
  open_gpu(0, 1);  // says why there is none
}

std::string gpu_refusal(const Session& session, const Model& model) {
  if (device_of(session) != DeviceKind::cuda) return "";
  const WholeRows rows = model.whole_rows();
  if (rows.head > largest_gpu_head)
    return text("device.kind = cuda: this model's attention heads have ", rows.head, " elements, on a GPU they have at most ",
                largest_gpu_head);
  const DType type = compute_type(session);
  if (rows.norm > largest_gpu_norm(type))
    return text("device.kind = cuda: this model's norms take ", rows.norm, " elements at once, on a GPU in ",
                session.settings().precision.compute, " at most ", largest_gpu_norm(type));
  return "";
}

void require_device_fit(const Session& session, const Model& model) {
  if (const std::string why = gpu_refusal(session, model); !why.empty()) throw DeckError(why + "; device.kind = cpu takes any");
}

ComputeDevice open_device(const Session& session) {
  return ComputeDevice(device_of(session), threads_of(session), session.comm.local_rank(), session.comm.local_size());
}

namespace {

WeightsSource from_checkpoint(const fs::path& path) {
  WeightsSource source;
  source.checkpoint.emplace(path);
  source.model = parse_model(source.checkpoint->run().model_config, path.string() + ": /run model configuration");
  source.description = text("checkpoint ", path.string(), " of step ", source.checkpoint->run().step);
  return source;
}

// The newest sound checkpoint, if there is one.
std::optional<WeightsSource> newest_in(const fs::path& path) {
  std::vector<std::string> notes;
  const auto found = find_resumable(path, notes);
  for (const std::string& note : notes) log_warning(note);
  if (!found) return std::nullopt;
  return from_checkpoint(*found);
}

WeightsSource from_folder(const fs::path& folder, const std::string& config) {
  WeightsSource source;
  source.folder = folder.string();
  source.model = make_model(config.empty() ? folder : fs::path(config));
  source.description = "weights of " + source.folder;
  return source;
}

// Of a folder with pickled weights only, the reader says what to do.
bool holds_safetensors(const fs::path& folder) {
  return fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json") ||
         fs::exists(folder / "pytorch_model.bin");
}

}  // namespace

const CausalConfig& WeightsSource::causal(const char* command) const {
  if (const auto* causal = dynamic_cast<const CausalLm*>(model.get())) return causal->config();
  throw DataError(
      text(command, " works with causal language models (qwen3, llama, mistral); ", description, " are of a ", model->family(), " model"));
}

WeightsSource find_weights(const Session& session, const std::string& path) {
  const Settings& s = session.settings();
  if (!path.empty()) {
    if (!fs::exists(path))
      throw DataError(text(path, " does not exist: expected a checkpoint, a folder of checkpoints, or a Hugging Face folder"));
    if (fs::is_directory(path) && holds_safetensors(path)) return from_folder(path, "");
    const fs::path folder = fs::exists(fs::path(path) / "checkpoints") ? fs::path(path) / "checkpoints" : fs::path(path);
    if (auto found = newest_in(folder)) return std::move(*found);
    throw DataError(text(path, ": there is no sound checkpoint"));
  }
  const fs::path run = fs::path(s.run.folder) / "checkpoints";
  if (fs::is_directory(run))
    if (auto found = newest_in(run)) return std::move(*found);
  if (s.model.weights == "random")
    throw DeckError(
        text("no weights: ", run.string(), " holds no checkpoint, and model.weights = random; name a checkpoint or a Hugging Face folder"));
  return named_weights(s.model.weights, s.model.config);
}

WeightsSource named_weights(const std::string& weights, const std::string& config) {
  if (!fs::exists(weights)) throw DataError(text("model.weights = ", weights, " does not exist"));
  if (fs::is_directory(weights) && holds_safetensors(weights)) return from_folder(weights, config);
  if (auto found = newest_in(weights)) return std::move(*found);
  throw DataError(text("model.weights = ", weights, ": neither safetensors nor a sound checkpoint"));
}

void require_fit(const WeightsSource& source, const ParameterSet& set) {
  if (source.checkpoint)
    check_checkpoint_model(*source.checkpoint, set);
  else
    require_weights(SafetensorsReader(source.folder), source.model->weight_rules(), set);
}

void load_into(Stream& stream, const WeightsSource& source, const ParameterSet& set, const WeightStore& store, std::uint64_t seed) {
  if (source.checkpoint) {
    load_checkpoint_weights(*source.checkpoint, set, store);
    return;
  }
  const SafetensorsReader file(source.folder);
  const WeightRules rules = source.model->weight_rules();
  load_weights(stream, file, rules, set, store, seed);
  std::string fresh;
  for (const std::string& name : fresh_parameters(file, rules, set)) fresh += (fresh.empty() ? "" : ", ") + name;
  if (!fresh.empty()) log_info(text(source.folder, " has no ", fresh, ": begins at random (run.seed = ", seed, ")"));
}

bool has_tokenizer(const Session& session) {
  const Settings& s = session.settings();
  if (!s.tokenizer.path.empty()) return true;
  const fs::path folder = s.model.config;
  return fs::exists(folder / "tokenizer.json") || fs::exists(folder / "vocab.json") || fs::exists(folder / "vocab.txt") ||
         fs::exists(folder / "tokenizer.model");
}

std::unique_ptr<Tokenizer> tokenizer_of(const Session& session) {
  const Settings& s = session.settings();
  if (!s.tokenizer.path.empty()) return load_tokenizer(s.tokenizer.path);
  if (!s.model.config.empty() && fs::is_directory(s.model.config)) return load_tokenizer(s.model.config);
  throw DeckError("tokenizer.path is missing: expected a tokenizer.json, vocab.json, sentencepiece .model, or the folder that holds one");
}

}  // namespace strata
