// Steps as rows and as events.
#include "strata/train/run_metrics.hpp"

#include <cmath>
#include <sstream>

namespace strata {
namespace {

// Indented lines are shown as they stand.
std::string as_markdown(const std::string& deck) {
  std::string result;
  std::istringstream lines(deck);
  for (std::string line; std::getline(lines, line);) result += "    " + line + "\n";
  return result;
}

}  // namespace

RunMetrics::RunMetrics(const std::filesystem::path& folder, std::int64_t resumed_step, const std::string& host, const std::string& deck)
    : csv_(folder / "metrics.csv", resumed_step), events_(folder, host, resumed_step + 1) {
  events_.text(resumed_step + 1, "effective_deck", as_markdown(deck));
}

void RunMetrics::append(const StepMetrics& m) {
  csv_.append(m);
  std::vector<EventFile::Scalar> scalars{{"train/loss", m.loss},
                                         {"train/grad_norm", m.grad_norm},
                                         {"train/lr", m.lr},
                                         {"train/epoch", m.epoch},
                                         {"train/tokens", static_cast<double>(m.tokens)},
                                         {"train/tokens_per_s", m.tokens_per_s},
                                         {"memory/peak_bytes", static_cast<double>(m.memory_bytes)}};
  if (!std::isnan(m.validation_loss)) {
    scalars.push_back({"validation/loss", m.validation_loss});
    if (m.perplexity) scalars.push_back({"validation/perplexity", std::exp(m.validation_loss)});
  }
  if (!std::isnan(m.f1)) scalars.push_back({"validation/exact_match", m.exact_match}), scalars.push_back({"validation/f1", m.f1});
  if (!std::isnan(m.loss_scale)) scalars.push_back({"train/loss_scale", m.loss_scale});
  events_.scalars(m.step, scalars);
}

}  // namespace strata
