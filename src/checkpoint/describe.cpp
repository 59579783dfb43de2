// A checkpoint in words and as JSON, from one gathering of facts.
#include "strata/checkpoint/describe.hpp"

#include <cmath>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {
using Json = nlohmann::ordered_json;

struct Group {
  std::int64_t tensors = 0, elements = 0, bytes = 0;
};

/// "/model", and of the optimizer each kind of state: "/optimizer exp_avg".
std::string group_of(const std::string& tensor) {
  const std::string top = tensor.substr(0, tensor.find('/', 1));
  return top == "/optimizer" ? top + " " + tensor.substr(tensor.rfind('/') + 1) : top;
}

std::map<std::string, Group> groups_of(const CheckpointReader& checkpoint) {
  std::map<std::string, Group> groups;
  for (const std::string& name : checkpoint.tensors()) {
    const h5::DatasetInfo info = checkpoint.info(name);
    Group& group = groups[group_of(name)];
    ++group.tensors, group.elements += info.elements(), group.bytes += info.bytes();
  }
  return groups;
}

/// model_type of the stored config.json, "unknown" where it has none.
std::string model_type(const RunRecord& run) {
  const Json config = Json::parse(run.model_config, nullptr, false);
  const auto at = config.is_object() ? config.find("model_type") : config.end();
  return config.is_object() && at != config.end() && at->is_string() ? at->get<std::string>() : "unknown";
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string result = "[";
  for (const std::int64_t size : shape) result += text(result.size() > 1 ? ", " : "", size);
  return result + "]";
}

std::string value_text(double value) {
  if (std::isnan(value)) return "none";
  std::ostringstream out;
  out << std::setprecision(9) << value;
  return out.str();
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace

std::string describe_checkpoint(const CheckpointReader& checkpoint, bool verbose) {
  const RunRecord& run = checkpoint.run();
  const LaunchRecord& launch = checkpoint.launch();
  const std::map<std::string, Group> groups = groups_of(checkpoint);
  const auto model = groups.find("/model");
  std::ostringstream out;
  const auto line = [&](const std::string& name, const auto&... values) {
    out << std::left << std::setw(24) << name << text(values...) << '\n';
  };

  line("checkpoint", checkpoint.path().string());
  line("model", model_type(run), ", ", model == groups.end() ? 0 : model->second.elements, " parameters, computed in ", run.compute);
  line("step", run.step);
  line("epoch", value_text(run.epoch), " (", run.cursor, " sequences, ", run.tokens, " tokens)");
  line("loss", value_text(run.loss), ", validation ", value_text(run.validation_loss));
  line("best", value_text(run.best_metric), run.best_step < 0 ? "" : text(" at step ", run.best_step));
  line("seed", run.seed);
  for (const auto& [name, group] : groups)
    line(name, group.tensors, " tensors, ", group.elements, " elements, ", bytes_text(static_cast<double>(group.bytes)));
  line("content of /model", checkpoint.content_hash("/model"));
  line("training data", run.dataset_hash);
  line("validation data", run.validation_hash);
  line("tokenizer", run.tokenizer_hash);
  line("written by", run.version, launch.written.empty() ? "" : ", " + launch.written);
  line("launch", launch.ranks, " ranks x ", launch.threads, " threads, ", launch.strategy, ", ", launch.hosts, ", ", launch.processor);
  for (const auto& [name, content] : run.extra) line(name, content);
  if (!verbose) return out.str();

  out << "\ntensors\n";
  for (const std::string& name : checkpoint.tensors()) {
    const h5::DatasetInfo info = checkpoint.info(name);
    out << "  " << name << "  " << name_of(info.type) << ' ' << shape_text(info.shape) << '\n';
  }
  out << "\ndeck\n" << run.deck << (run.deck.ends_with('\n') ? "" : "\n");
  return out.str();
}

std::string describe_checkpoint_json(const CheckpointReader& checkpoint, bool verbose) {
  const RunRecord& run = checkpoint.run();
  const LaunchRecord& launch = checkpoint.launch();
  Json json;
  json["path"] = checkpoint.path().string();
  json["kind"] = "checkpoint";
  json["model"] = {{"type", model_type(run)}, {"parameters", 0}, {"config", Json::parse(run.model_config, nullptr, false)}};
  if (json["model"]["config"].is_discarded()) json["model"]["config"] = nullptr;
  json["step"] = run.step;
  json["epoch"] = number(run.epoch);
  json["cursor"] = run.cursor;
  json["tokens"] = run.tokens;
  json["seed"] = run.seed;
  json["loss"] = number(run.loss);
  json["validation_loss"] = number(run.validation_loss);
  json["best_metric"] = number(run.best_metric);
  json["best_step"] = run.best_step < 0 ? Json(nullptr) : Json(run.best_step);
  json["bad_validations"] = run.bad_validations;
  json["compute"] = run.compute;
  json["version"] = run.version;
  for (const auto& [name, group] : groups_of(checkpoint)) {
    json["groups"][name] = {{"tensors", group.tensors}, {"elements", group.elements}, {"bytes", group.bytes}};
    if (name == "/model") json["model"]["parameters"] = group.elements;
  }
  json["hashes"] = {{"model", checkpoint.content_hash("/model")},
                    {"optimizer", checkpoint.content_hash("/optimizer")},
                    {"dataset", run.dataset_hash},
                    {"validation", run.validation_hash},
                    {"tokenizer", run.tokenizer_hash}};
  json["launch"] = {{"ranks", launch.ranks},         {"threads", launch.threads}, {"strategy", launch.strategy}, {"hosts", launch.hosts},
                    {"processor", launch.processor}, {"build", launch.build},     {"written", launch.written}};
  json["extra"] = run.extra;
  json["deck"] = run.deck;
  if (verbose)
    for (const std::string& name : checkpoint.tensors()) {
      const h5::DatasetInfo info = checkpoint.info(name);
      json["tensors"][name] = {{"type", name_of(info.type)}, {"shape", info.shape}, {"bytes", info.bytes()}};
    }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace strata
