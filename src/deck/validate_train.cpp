// Checks across keys for training: batch, length, validation, model and device.
#include <limits>

#include "deck/validate.hpp"

namespace strata::deck {
namespace {

/// micro * accumulation * ranks, or 0 where it leaves the range or depends on the epoch.
std::int64_t product(const BatchConfig& batch, std::int64_t ranks) {
  if (batch.accumulation.size() != 1 || batch.accumulation[0].first != 0) return 0;
  const std::int64_t factor = batch.accumulation[0].second;  // micro <= 2^20, factor <= 2^30
  const std::int64_t per_rank = batch.micro * factor;
  return per_rank > std::numeric_limits<std::int64_t>::max() / ranks ? 0 : per_rank * ranks;
}

/// batch.global and batch.accumulation say the same thing twice; they must agree.
void check_agreement(Validation& v) {
  const auto& b = v.settings().batch;
  const std::int64_t steps = product(b, v.ranks > 0 ? v.ranks : 1);
  const std::string micro = "batch.micro = " + std::to_string(b.micro);
  if (steps == 0) {
    v.refuse("batch.global", "given together with " + v.quote("batch.accumulation") + ", which changes by epoch; give one of them");
  } else if (v.ranks > 0 ? b.global != steps : b.global % steps != 0) {
    const std::string times = v.ranks > 0 ? " on " + std::to_string(v.ranks) + " ranks make " + std::to_string(steps)
                                          : " make " + std::to_string(steps) + " per rank";
    v.refuse("batch.global", "contradicts " + v.quote("batch.accumulation") + ": " + micro + " times it" + times + "; give one of them");
  }
}

}  // namespace

void validate_batch(Validation& v) {
  if (!v.trains()) return;
  const auto& b = v.settings().batch;
  if (b.global == 0 && b.accumulation.empty()) {
    v.missing("batch.global", "sequences per optimizer step; or give batch.accumulation, and it is micro * accumulation * ranks");
  }
  if (b.global == 0) return;
  if (!b.accumulation.empty()) check_agreement(v);
  if (b.global % b.micro != 0) {
    v.refuse("batch.global", "not a multiple of " + v.quote("batch.micro"));
  } else if (b.global / b.micro % b.block != 0) {
    v.refuse("batch.block", "no divisor of the " + std::to_string(b.global / b.micro) + " micro-batches of a step (" +
                                v.quote("batch.global") + ", " + v.quote("batch.micro") + ")");
  }
}

void validate_train(Validation& v) {
  if (!v.trains()) return;
  const auto& s = v.settings();
  if (s.train.max_steps == 0 && s.train.epochs == 0 && v.command != "plan")
    v.missing("train.max_steps", "a run needs an end; give it, or train.epochs, or both");
  if (s.train.early_stopping > 0 && s.data.validation.empty())
    v.refuse("train.early_stopping", "needs a validation set, and data.validation is empty");
  if (s.train.early_stopping > 0 && s.train.validate_every == 0) {
    v.refuse("train.early_stopping", "needs validations during the run; give train.validate_every");
  }
  if (!s.data.train.empty() && s.data.train == s.data.validation)
    v.refuse("data.validation", "the file that is trained on, " + v.quote("data.train"));
}

void validate_model(Validation& v) {
  const auto& model = v.settings().model;
  if (v.trains() && model.config.empty() && model.weights == "random") {
    v.missing("model.config", "random weights need a config.json, or the folder that holds one");
  }
}

void validate_device(Validation& v) {
  const auto& s = v.settings();
  if (s.precision.compute == "fp64" && s.device.kind == "cuda")
    v.refuse("precision.compute", "runs on cpu only, and there is " + v.quote("device.kind"));
  if (s.precision.compute == "fp16" && s.device.kind == "cpu")
    v.refuse("precision.compute", "runs on cuda only, and there is " + v.quote("device.kind") + "; expected bf16, fp32 or fp64 on cpu");
  if (s.precision.compute == "fp16" && s.precision.loss_scale == "dynamic" && s.precision.smallest_scale > s.precision.initial_scale)
    v.refuse("precision.smallest_scale", "above " + v.quote("precision.initial_scale"));
  if (!v.trains() || s.device.graphs != "on") return;
  if (s.device.kind == "cpu") v.refuse("device.graphs", "graphs are for cuda, and there is " + v.quote("device.kind"));
  if (const std::string why = graphs_hindrance(s); !why.empty()) v.refuse("device.graphs", why + "; expected auto or off");
}

}  // namespace strata::deck

namespace strata {

std::string graphs_hindrance(const Settings& s) {
  for (const std::string& what : s.parallel.offload)
    if (what != "optimizer") return "parallel.offload = " + what + " copies between the ops of a micro-batch";
  if (s.run.profile) return "run.profile = true measures op by op";
  if (!s.run.fault.empty()) return "run.fault breaks the run between ops";
  return "";
}

}  // namespace strata
