// The report of `strata check`, as text and as JSON.
#include "commands/check_report.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "strata/base/clock.hpp"

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

std::string bytes_of(std::int64_t bytes) {
  return bytes_text(static_cast<double>(bytes));
}

std::string counted(std::size_t n, const char* what) {
  return text(n, " ", what, n == 1 ? "" : "s");
}

std::int64_t samples_of(const Preflight& p, const TrainingFile& file) {
  return file.samples(p.s.data.sequence);
}

std::string facts_lines(const Preflight& p) {
  std::string lines = text("launch      ", counted(static_cast<std::size_t>(p.launch.size()), "rank"), ", ", p.launch.local_size(),
                           " on a host, ", counted(static_cast<std::size_t>(p.threads), "thread"), " each\n");
  if (p.model)
    lines += text("model       ", p.model->family(), ", ", p.model->parameters().elements(), " parameters in ",
                  p.model->parameters().parameters().size(), " tensors, ", p.s.precision.compute, "\n");
  if (p.train_data)
    lines += text("data        ", samples_of(p, *p.train_data), " sequences of ", p.s.data.sequence, " tokens",
                  p.train_data->holds_features() ? text(" from ", p.train_data->features().info().questions, " questions") : "",
                  p.validation_data ? text(", ", samples_of(p, *p.validation_data), " for validation") : "", "\n");
  if (p.steps)
    lines += text("steps       ", p.steps->total_steps(), ", ", p.steps->steps_per_epoch(), " per epoch, ", p.steps->sequences_at(0),
                  " sequences each in micro-batches of ", p.s.batch.micro,
                  p.checkpoint ? text("; goes on from ", p.checkpoint->path().string(), ", step ", p.checkpoint->run().step) : "", "\n");
  if (p.plan) {
    lines += text("memory      ", bytes_of(p.memory_needed), " on a host of ", bytes_of(p.memory_available), " free: ", p.plan->bytes,
                  " bytes in the arena of a rank", p.snapshot_bytes > 0 ? text(", ", p.snapshot_bytes, " for a snapshot") : "", "\n");
    for (const ArenaEntry& group : p.plan->groups) {
      char line[96];
      std::snprintf(line, sizeof line, "            %-14s %16lld bytes\n", group.name.c_str(), static_cast<long long>(group.bytes));
      lines += line;
    }
  }
  if (p.checkpoints_kept > 0)
    lines += text("disk        ", counted(static_cast<std::size_t>(p.checkpoints_kept), "checkpoint"), " of ", bytes_of(p.checkpoint_bytes),
                  ": ", bytes_of(p.disk_needed), " to come, ", bytes_of(p.disk_free), " free\n");
  return lines;
}

Json data_json(const Preflight& p, const std::string& path, const TrainingFile& file) {
  Json json = {{"path", path}};
  if (file.holds_features())
    json["questions"] = file.features().info().questions;
  else
    json["tokens"] = file.tokens().info().tokens;
  json["sequences"] = samples_of(p, file);
  json["vocabulary"] = file.vocabulary();
  json["tokenizer_hash"] = file.tokenizer_hash();
  json["hash"] = file.hash();
  return json;
}

Json memory_json(const Preflight& p) {
  Json table = Json::array();
  for (const ArenaEntry& group : p.plan->groups) table.push_back({{"name", group.name}, {"bytes", group.bytes}});
  return {{"table", table},
          {"arena_bytes", p.plan->bytes},
          {"snapshot_bytes", p.snapshot_bytes},
          {"host_bytes", p.memory_needed},
          {"available_bytes", p.memory_available}};
}

Json facts_json(const Preflight& p) {
  Json facts = {{"launch", {{"ranks", p.launch.size()}, {"ranks_per_host", p.launch.local_size()}, {"threads", p.threads}}}};
  if (p.model)
    facts["model"] = {{"family", p.model->family()},
                      {"parameters", p.model->parameters().elements()},
                      {"tensors", p.model->parameters().parameters().size()},
                      {"compute", p.s.precision.compute}};
  if (p.train_data) facts["data"] = data_json(p, p.s.data.train, *p.train_data);
  if (p.validation_data) facts["validation"] = data_json(p, p.s.data.validation, *p.validation_data);
  if (p.steps)
    facts["steps"] = {{"total", p.steps->total_steps()},
                      {"per_epoch", p.steps->steps_per_epoch()},
                      {"sequences", p.steps->sequences_at(0)},
                      {"micro_batches", p.steps->leaves(p.steps->sequences_at(0))}};
  if (p.checkpoint) facts["resume"] = {{"path", p.checkpoint->path().string()}, {"step", p.checkpoint->run().step}};
  if (p.plan) facts["memory"] = memory_json(p);
  if (p.checkpoint_bytes > 0)
    facts["checkpoints"] = {
        {"bytes", p.checkpoint_bytes}, {"most_at_once", p.checkpoints_kept}, {"needed_bytes", p.disk_needed}, {"free_bytes", p.disk_free}};
  return facts;
}

}  // namespace

std::string check_text(const Preflight& p) {
  std::string all;
  for (const Finding& finding : p.findings.sorted()) {
    const std::string name = name_of(finding.severity);
    all += name + std::string(9 - name.size(), ' ') + headline(finding) + "\n";
    if (!finding.remedy.empty()) all += "         -> " + finding.remedy + "\n";
  }
  const std::size_t errors = p.findings.count(Severity::error), warnings = p.findings.count(Severity::warning);
  all += (all.empty() ? "" : "\n") + facts_lines(p);
  all += errors == 0 ? "can start" : "cannot start: " + counted(errors, "error");
  return all + (warnings > 0 ? (errors == 0 ? ", with " : ", ") + counted(warnings, "warning") : "") + "\n";
}

std::string check_json(const Preflight& p) {
  Json findings = Json::array();
  for (const Finding& f : p.findings.sorted())
    findings.push_back({{"severity", name_of(f.severity)},
                        {"code", f.code},
                        {"key", f.key},
                        {"where", f.where},
                        {"message", f.message},
                        {"remedy", f.remedy},
                        {"exit_code", static_cast<int>(f.kind)}});
  const Json all = {{"can_start", p.findings.can_start()},
                    {"exit_code", static_cast<int>(p.findings.exit_code())},
                    {"findings", findings},
                    {"facts", facts_json(p)}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace strata
