// Preflight of what a run reads: config.json, tokenizer, token files, weights.
#include <algorithm>

#include "commands/preflight.hpp"

namespace strata {

Preflight::Preflight(const Session& of, const Communicator& ranks, bool look_longer)
    : session(of), s(of.settings()), launch(ranks), thorough(look_longer), findings(of.deck) {}

void check_model(Preflight& p) {
  p.findings.attempt("device", "device.kind", "", [&] { check_device(p.session); });
  const std::string& config = p.s.model.config;
  p.findings.attempt("model.config", config.empty() ? "model.weights" : "model.config", "",
                     [&] { p.config = config.empty() ? named_weights(p.s.model.weights, "").config : read_model_config(config); });
  if (p.config) {
    p.findings.attempt("model.sequence", "data.sequence", "", [&] { p.config->check_sequence(p.s.data.sequence); });
    p.findings.attempt("model.config", "model.config", "", [&] { p.model.emplace(*p.config); });
  }
  p.findings.attempt("tokenizer", "tokenizer.path", "", [&] {
    if (has_tokenizer(p.session)) p.tokenizer = tokenizer_of(p.session);
  });
  if (p.tokenizer && p.config && p.tokenizer->vocabulary() > p.config->V)
    p.findings.error(ExitCode::data, "tokenizer.vocabulary", "tokenizer.path",
                     text("the tokenizer has ids up to ", p.tokenizer->vocabulary() - 1, ", the model's vocabulary holds ", p.config->V),
                     "use the model's own tokenizer, or a config.json with a vocab_size that holds it");
}

namespace {

void check_token_file(Preflight& p, const char* key, const std::string& path, std::optional<TokenFileReader>& file) {
  const std::string remake = "prepare it again (strata prepare), or correct the path";
  if (!p.findings.attempt("data.unreadable", key, remake, [&] { file.emplace(path); })) return;
  const TokenFileInfo& info = file->info();
  if (p.config && info.vocabulary > p.config->V)
    p.findings.error(ExitCode::data, "data.vocabulary", key,
                     text(key, " = ", path, " has token ids up to ", info.vocabulary - 1, ", the model's vocabulary holds ", p.config->V),
                     "prepare the text with the model's tokenizer");
  if (p.tokenizer && !info.tokenizer_hash.empty() && info.tokenizer_hash != p.tokenizer->hash())
    p.findings.error(ExitCode::data, "data.tokenizer", key,
                     text(key, " = ", path, " was made with another tokenizer (", info.tokenizer_name, ", ", info.tokenizer_hash,
                          ") than tokenizer.path = ", p.s.tokenizer.path, " (", p.tokenizer->hash(), ")"),
                     "prepare the text again with this tokenizer, or name the other one");
  p.findings.attempt("data.too_short", key, "", [&] { TokenSamples(*file, p.s.data.sequence, p.s.data.mask_documents); });
}

}  // namespace

void check_data(Preflight& p) {
  const std::size_t errors = p.findings.count(Severity::error);
  check_token_file(p, "data.train", p.s.data.train, p.train_data);
  const bool sound = p.findings.count(Severity::error) == errors;
  if (!p.s.data.validation.empty()) check_token_file(p, "data.validation", p.s.data.validation, p.validation_data);
  if (p.train_data && sound)
    p.steps.emplace(p.s.batch, p.s.train, TokenSamples(*p.train_data, p.s.data.sequence, p.s.data.mask_documents).samples(),
                    p.launch.size());
}

void check_weights_source(Preflight& p) {
  if (p.checkpoint || p.s.model.weights == "random" || !p.model) return;
  p.findings.attempt("weights", "model.weights", "", [&] {
    p.weights.emplace(named_weights(p.s.model.weights, p.s.model.config));
    require_fit(*p.weights, p.model->parameters());
  });
}

}  // namespace strata
