// Preflight of going on: the checkpoint, and whether this deck continues its run.
#include "commands/attention_source.hpp"
#include "commands/preflight.hpp"
#include "strata/checkpoint/catalogue.hpp"

namespace strata {
namespace fs = std::filesystem;

std::string find_checkpoint(Preflight& p) {
  const std::string& resume = p.s.run.resume;
  if (resume == "never") return "";
  const fs::path where = resume == "auto" ? fs::path(p.s.run.folder) / "checkpoints" : fs::path(resume);
  // A run verifies every hash as it restores, and comes back if one is wrong; so the file is read once.
  const Soundness soundness = p.thorough ? Soundness::every_hash : Soundness::structure;
  std::string found;
  std::vector<std::string> notes;
  p.findings.attempt("resume", "run.resume", "", [&] {
    if (resume != "auto" && !fs::exists(where)) throw DataError(text("run.resume = ", resume, " does not exist"));
    if (fs::exists(where)) found = find_resumable(where, notes, soundness, p.damaged).value_or(fs::path()).string();
    if (resume != "auto" && found.empty()) throw DataError(text("run.resume = ", resume, ": there is no sound checkpoint"));
  });
  for (const std::string& note : notes) p.findings.warning("resume.damaged", "", note);
  return found;
}

namespace {

// Keys that decide the result may not change under a run; others may, and every change is said.
void compare_decks(Preflight& p) {
  const CheckpointReader& checkpoint = *p.checkpoint;
  const Deck stored = Deck::parse({{checkpoint.path().string() + ":/run/deck", checkpoint.run().deck}}, {});
  for (const Difference& d : differences(stored, p.session.deck)) {
    const std::string change = text(d.key, " was ", d.stored, ", is ", d.now);
    if (d.decides_result)
      p.findings.error(ExitCode::usage, "resume.deck", d.key,
                       text(change, ": it decides the result, and this deck would not continue the run of ", checkpoint.path().string()),
                       "set it back, name another run.folder, or start anew with run.resume = never");
    else
      p.findings.note("resume.changed", d.key, text("changed since the checkpoint: ", change, d.note.empty() ? "" : " (" + d.note + ")"));
  }
}

}  // namespace

namespace {

// "3f2a... input/machines/h200.tuning", or what stands for none.
std::string hash_of(const std::string& record) {
  return record.substr(0, record.find(' '));
}

// Another order of sums: allowed, and said.
void compare_tuning(Preflight& p) {
  const auto& extra = p.checkpoint->run().extra;
  const auto found = extra.find(tuning_record_name);
  const std::string before = found == extra.end() ? "" : found->second, now = p.tuning ? p.tuning->record() : "";
  if (hash_of(before) == hash_of(now) || device_of(p.session) != DeviceKind::cuda) return;
  const auto words = [](const std::string& record) { return record.empty() ? std::string("cuBLASLt's own choice") : record; };
  p.findings.warning("resume.tuning", "device.tuning",
                     text("the run of ", p.checkpoint->path().string(), " had the products of ", words(before), ", it goes on with ",
                          words(now), " (device.tuning): its last bits are those of neither alone"));
}

void compare_attention(Preflight& p) {
  const auto& extra = p.checkpoint->run().extra;
  const auto found = extra.find(attention_record_name);
  const std::string before = found == extra.end() ? "own" : found->second;
  if (before == p.attention || p.attention.empty() || device_of(p.session) != DeviceKind::cuda) return;
  p.findings.warning("resume.attention", "device.attention",
                     text("the run of ", p.checkpoint->path().string(), " had the attention of ", before, ", it goes on with ", p.attention,
                          " (device.attention): its last bits are those of neither alone"));
}

}  // namespace

void check_checkpoint(Preflight& p, const std::string& path) {
  if (path.empty()) return;
  const std::string anew = "start anew with run.resume = never, or name another run.folder";
  if (!p.findings.attempt("resume", "run.resume", anew, [&] { p.checkpoint.emplace(path); })) return;
  p.findings.attempt("resume.deck", "run.resume", anew, [&] { compare_decks(p); });
  compare_tuning(p), compare_attention(p);
  const RunRecord& run = p.checkpoint->run();
  const std::int64_t before = p.checkpoint->launch().ranks;
  if (p.s.batch.global == 0 && before != p.launch.size())
    p.findings.error(ExitCode::usage, "resume.ranks", "batch.accumulation",
                     text("batch.global is not given, so the batch follows the number of ranks: ", before, " in the run of ", path, ", ",
                          p.launch.size(), " now"),
                     text("continue on ", before, ", or give batch.global from the start"));
  if (p.model && run.model_config != p.model->json())
    p.findings.error(ExitCode::data, "resume.model", "model.config",
                     text("model.config = ", p.s.model.config, " is not the configuration the run of ", path, " was trained with"), anew);
  if (p.train_data && run.dataset_hash.substr(0, run.dataset_hash.find(' ')) != p.train_data->hash())
    p.findings.error(ExitCode::data, "resume.data", "data.train",
                     text("data.train = ", p.s.data.train, " is not the file the run of ", path, " was trained on"), anew);
  else if (p.order && run.dataset_hash != data_hash(p))
    p.findings.error(ExitCode::data, "resume.order", "data.order",
                     p.s.data.order.empty()
                         ? text("the run of ", path, " was trained with a data.order, and none is given")
                         : text("data.order = ", p.s.data.order, " is not the order in which the run of ", path, " took its samples"),
                     anew);
  if (p.steps && run.step >= p.steps->total_steps())
    p.findings.note("resume.finished", "train.max_steps",
                    text("the run of ", path, " has done all its ", p.steps->total_steps(),
                         " steps: nothing is left to do; a larger train.max_steps or train.epochs goes on"));
}

}  // namespace strata
