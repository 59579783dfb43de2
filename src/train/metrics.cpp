#include "strata/train/metrics.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {
constexpr const char* header = "step,epoch,tokens,loss,grad_norm,lr,validation_loss,tokens_per_s,memory_bytes\n";

std::string exact(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.17g", value);
  return std::isnan(value) ? "" : buffer;
}
}  // namespace

std::string step_line(const StepMetrics& m) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, "Step %lld/%lld  Loss %.4f  norm %.2f  lr %.2e  %.0f tok/s  %.1f seq/s  %s  eta %s",
                static_cast<long long>(m.step), static_cast<long long>(m.max_steps), m.loss, m.grad_norm, m.lr, m.tokens_per_s,
                m.sequences_per_s, bytes_text(static_cast<double>(m.memory_bytes)).c_str(), duration_text(m.eta).c_str());
  return buffer;
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t resumed_step) : path_(path) {
  std::string kept = header;
  if (resumed_step > 0 && std::filesystem::exists(path)) {
    std::istringstream rows(read_text(path));
    std::string row;
    std::getline(rows, row);
    // A row cut short by a crash has no newline and a step that will be written again.
    while (std::getline(rows, row) && !rows.eof())
      if (std::strtoll(row.c_str(), nullptr, 10) <= resumed_step) kept += row + "\n";
  }
  write_text_atomically(path, kept);
}

void MetricsFile::append(const StepMetrics& m) {
  errno = 0;
  std::ofstream out(path_, std::ios::app);
  out << m.step << ',' << exact(m.epoch) << ',' << m.tokens << ',' << exact(m.loss) << ',' << exact(m.grad_norm) << ',' << exact(m.lr)
      << ',' << exact(m.validation_loss) << ',' << exact(m.tokens_per_s) << ',' << m.memory_bytes << '\n';
  if (out.flush()) return;
  const int code = errno;
  throw_error(code == ENOSPC || code == EDQUOT ? ExitCode::capacity : ExitCode::data,
              text(path_.string(), ": cannot write the row of step ", m.step, code ? text(": ", std::strerror(code)) : "",
                   "; is the run's folder still there and writable?"),
              false);
}

std::int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace strata
