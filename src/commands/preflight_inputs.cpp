// Preflight of what a run reads: config.json, tokenizer, token files, weights.
#include <algorithm>

#include "commands/attention_source.hpp"
#include "commands/preflight.hpp"
#include "strata/deck/machine_file.hpp"
#include "strata/device/thread_pool.hpp"

namespace strata {

Preflight::Preflight(const Session& of, const Communicator& ranks, bool look_longer)
    : session(of),
      s(of.settings()),
      launch(ranks),
      thorough(look_longer),
      threads(s.device.threads > 0 ? s.device.threads : default_threads(ranks.local_size())),
      findings(of.deck) {}

namespace {

// A login node has no GPU, and need not have one: what the run is to find is on the nodes of its batch script.
void check_device_here(Preflight& p) {
  if (device_of(p.session) != DeviceKind::cuda) return;
  std::string problem;
  try {
    check_device(p.session);
    p.device_here = true;
    return;
  } catch (const Error& e) {
    if (p.plans) return;
    if (!p.elsewhere) {
      p.findings.error(e.code(), "device", "device.kind", e.what());
      return;
    }
    problem = e.what();
  }
  p.findings.warning("device.here", "device.kind", problem, "the batch script's hosts must have what this one lacks");
}

// Said before the queue, rather than by a kernel.
void check_device_fits(Preflight& p) {
  const std::string why = gpu_refusal(p.session, *p.model);
  p.device_fits = why.empty();
  if (!p.device_fits) p.findings.error(ExitCode::usage, "model.gpu", "device.kind", why, "device.kind = cpu takes any");
}

// A host's rates say nothing of a GPU, nor the other way round.
void check_machine(Preflight& p) {
  p.findings.attempt("plan.machine", "plan.machine", "write one with strata measure, or leave plan.machine empty", [&] {
    if (!p.s.plan.machine.empty()) p.machine = read_machine_file(p.s.plan.machine);
  });
  if (!p.machine) return;
  const std::string why = machine_refusal(*p.machine, p.s.device.kind);
  if (why.empty()) return;
  p.machine.reset();
  p.findings.warning("plan.machine", "plan.machine", text("plan.machine = ", p.s.plan.machine, ": ", why, "; the file is not used"),
                     "measure one with the run's device.kind");
}

// Its lines, and whether it is of the GPU and the library that are here.
void check_tuning(Preflight& p) {
  const std::string& path = p.s.device.tuning;
  if (path.empty()) return;
  const char* const remedy = "write one with strata measure, or leave device.tuning empty";
  if (!p.findings.attempt("device.tuning", "device.tuning", remedy,
                          [&] { p.tuning = p.session.tuning ? p.session.tuning : read_tuning(p.session); }))
    return;
  if (!p.tuning) {
    if (p.thorough)
      p.findings.note("device.tuning", "device.tuning", text("device.tuning = ", path, " is for device.kind = cuda: not used"));
    return;
  }
  const Tuning& tuning = p.tuning->tuning;
  if (p.thorough)
    p.findings.note(
        "device.tuning", "device.tuning",
        text("device.tuning = ", path, ": ", tuning.products.size(), " products of ", tuning.gpu, ", cuBLASLt ", tuning.cublaslt));
  if (!p.device_here) return;
  std::string why;
  const auto look = [&] {
    const int devices = std::max(1, cuda_half().devices());
    why = tuning_refusal(tuning, open_gpu(p.launch.local_rank() % devices, devices)->facts());
  };
  if (!p.findings.attempt("device.open", "device.kind", "", look) || why.empty()) return;
  const std::string message = text("device.tuning = ", path, ": ", why);
  if (p.elsewhere)
    p.findings.warning("device.tuning", "device.tuning", message, "the batch script's GPUs must be those of the file");
  else
    p.findings.error(ExitCode::usage, "device.tuning", "device.tuning", message, remedy);
}

// What deck and model say on any machine; where there is a GPU, what cuDNN itself says of the run's shapes.
void check_attention(Preflight& p) {
  if (p.s.device.attention != "cudnn") return;
  const char* const remedy = "device.attention = own takes all";
  if (device_of(p.session) != DeviceKind::cuda) {
    if (p.thorough) p.findings.note("device.attention", "device.attention", "device.attention = cudnn is for device.kind = cuda: not used");
    return;
  }
  std::string why = attention_refusal(p.session, *p.model, nullptr, PassKind::train);
  bool here = false;
  p.attention.clear();
  const auto look = [&] {
    const int devices = std::max(1, cuda_half().devices());
    here = true, why = attention_refusal(p.session, *p.model, open_gpu(p.launch.local_rank() % devices, devices).get(), PassKind::train);
    if (why.empty()) p.attention = attention_words();
  };
  if (why.empty() && p.device_here && !p.findings.attempt("device.open", "device.kind", "", look)) return;
  if (why.empty()) return;
  if (here && p.elsewhere)
    p.findings.warning("device.attention", "device.attention", why + " (here)", "the batch script's hosts must have what this one lacks");
  else
    p.findings.error(ExitCode::usage, "device.attention", "device.attention", why, remedy);
}

}  // namespace

std::string machine_refusal(const Machine& machine, const std::string& device) {
  if (machine.gpus > 0 && device != "cuda") return text("it has the rates of a GPU (", machine.gpu, "), and device.kind = ", device);
  if (machine.gpus == 0 && device == "cuda") return "it has the rates of a host's cores, and device.kind = cuda";
  return "";
}

void check_model(Preflight& p) {
  check_device_here(p);
  check_machine(p);
  check_tuning(p);
  const std::string& config = p.s.model.config;
  p.findings.attempt("model.config", config.empty() ? "model.weights" : "model.config", "", [&] {
    if (config.empty()) p.weights.emplace(named_weights(p.s.model.weights, ""));
    p.model = config.empty() ? p.weights->model : std::shared_ptr<const Model>(make_model(config));
  });
  if (p.model) {
    check_device_fits(p);
    check_attention(p);
    p.findings.attempt("model.sequence", "data.sequence", "", [&] { p.model->check_sequence(p.s.data.sequence); });
    if (p.model->answers_questions() && p.s.data.mask_documents)
      p.findings.error(ExitCode::usage, "model.mask", "data.mask_documents",
                       text("data.mask_documents = true is for causal models; a ", p.model->family(), " model sees each sequence whole"),
                       "leave the key out");
  }
  p.findings.attempt("tokenizer", "tokenizer.path", "", [&] {
    if (has_tokenizer(p.session)) p.tokenizer = tokenizer_of(p.session);
  });
  if (p.tokenizer && p.model && p.tokenizer->vocabulary() > p.model->vocabulary())
    p.findings.error(
        ExitCode::data, "tokenizer.vocabulary", "tokenizer.path",
        text("the tokenizer has ids up to ", p.tokenizer->vocabulary() - 1, ", the model's vocabulary holds ", p.model->vocabulary()),
        "use the model's own tokenizer, or a config.json with a vocab_size that holds it");
}

namespace {

// A start has time for a few pieces, `check` for a gigabyte.
void check_pieces(Preflight& p, const char* key, const TokenFileReader& file) {
  if (p.launch.rank() != 0) return;
  for (const std::string& problem : file.verify_some(p.thorough ? 256 : 2)) p.findings.error(ExitCode::data, "data.damaged", key, problem);
}

void check_training_file(Preflight& p, const char* key, const std::string& path, std::optional<TrainingFile>& file) {
  if (path.empty()) return;
  const std::string remake = "make it with strata prepare, or correct the path";
  if (!p.findings.attempt("data.unreadable", key, remake, [&] { file.emplace(path); })) return;
  if (p.model && !p.findings.attempt("data.kind", key, "", [&] { require_kind(*file, path, *p.model); })) return;
  if (p.model && file->vocabulary() > p.model->vocabulary())
    p.findings.error(
        ExitCode::data, "data.vocabulary", key,
        text(key, " = ", path, " has token ids up to ", file->vocabulary() - 1, ", the model's vocabulary holds ", p.model->vocabulary()),
        "prepare the text with the model's tokenizer");
  if (p.tokenizer && !file->tokenizer_hash().empty() && file->tokenizer_hash() != p.tokenizer->hash())
    p.findings.error(ExitCode::data, "data.tokenizer", key,
                     text(key, " = ", path, " was made with another tokenizer (", file->tokenizer_name(), ", ", file->tokenizer_hash(),
                          ") than tokenizer.path = ", p.s.tokenizer.path, " (", p.tokenizer->hash(), ")"),
                     "prepare the text again with this tokenizer, or name the other one");
  const bool any_length = !file->holds_features() && file->tokens().info().pack == "stream";
  p.findings.attempt(any_length ? "data.too_short" : "data.sequence", key, any_length ? "give it more text, or lower data.sequence" : "",
                     [&] { file->require(p.s.data); });
  if (file->holds_features()) return;  // opening it has read and checked all of it
  check_pieces(p, key, file->tokens());
}

// A step takes `global` sequences; a set with fewer repeats itself within a step.
void check_amount(Preflight& p, std::int64_t samples) {
  const std::int64_t global = p.steps->sequences_at(0);
  if (samples < global)
    p.findings.warning("data.few", "data.train",
                       text("data.train holds ", samples, " sequences of ", p.s.data.sequence, " tokens, fewer than the ", global,
                            " of one step: a step takes sequences more than once"),
                       "lower batch.global or data.sequence, or prepare more text");
  if (!p.validation_data || p.s.train.validation_sequences == 0) return;
  const std::int64_t there = p.validation_data->samples(p.s.data.sequence);
  if (p.validation_data->holds_features() && p.validation_data->features().features_of(0).second > p.s.train.validation_sequences)
    p.findings.error(ExitCode::usage, "data.validation_few", "train.validation_sequences",
                     text("train.validation_sequences = ", p.s.train.validation_sequences, ": the first question of data.validation has ",
                          p.validation_data->features().features_of(0).second, " sequences, and whole questions are scored"),
                     "take more, or 0 for all");
  if (p.s.train.validation_sequences > there)
    p.findings.note("data.validation_few", "train.validation_sequences",
                    text("train.validation_sequences = ", p.s.train.validation_sequences, ", data.validation holds ", there));
}

}  // namespace

void check_data(Preflight& p) {
  check_training_file(p, "data.train", p.s.data.train, p.train_data);
  check_training_file(p, "data.validation", p.s.data.validation, p.validation_data);
  if (!p.train_data || (p.s.batch.global == 0 && p.s.batch.accumulation.empty())) return;
  const std::int64_t samples = p.train_data->samples(p.s.data.sequence);
  if (samples == 0) return;
  p.findings.attempt("data.order", "data.order", "", [&] { p.order.emplace(make_order(p.s.data, p.s.run.seed, samples)); });
  p.steps.emplace(p.s.batch, p.s.train, samples, p.launch.size());
  if (p.launch.rank() == 0) check_amount(p, samples);
}

std::string data_hash(const Preflight& p) {
  const std::string& order = p.order->hash();
  return order.empty() ? p.train_data->hash() : p.train_data->hash() + " in order " + order;
}

namespace {

// The first of many lines, each a finding of its own.
void add_mismatches(Preflight& p, const std::vector<std::string>& lines, const std::string& remedy) {
  constexpr std::size_t most = 20;
  for (std::size_t i = 0; i < std::min(most, lines.size()); ++i)
    p.findings.error(ExitCode::data, "weights.mismatch", "model.weights", lines[i], i == 0 ? remedy : "");
  if (lines.size() > most)
    p.findings.error(ExitCode::data, "weights.mismatch", "model.weights", text("and ", lines.size() - most, " more tensors do not fit"));
}

}  // namespace

void check_weights_source(Preflight& p) {
  if (p.checkpoint || p.s.model.weights == "random" || !p.model) return;
  p.findings.attempt("weights.unreadable", "model.weights", "", [&] {
    if (!p.weights) p.weights.emplace(named_weights(p.s.model.weights, p.s.model.config));
    const ParameterSet& set = p.model->parameters();
    const std::string remedy = "use the config.json that belongs to these weights";
    if (p.weights->checkpoint) return add_mismatches(p, compare_checkpoint_model(*p.weights->checkpoint, set), remedy);
    const SafetensorsReader file(p.weights->folder);
    const auto lines = check_weights(file, p.weights->model->weight_rules(), set);
    add_mismatches(p, lines, remedy);
    if (lines.empty() && p.thorough) require_weights(file, p.weights->model->weight_rules(), set);  // a tied head's copy, value by value
  });
}

}  // namespace strata
