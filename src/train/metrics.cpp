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
#include "strata/base/log.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {
constexpr const char* header = "step,epoch,tokens,loss,grad_norm,lr,validation_loss,tokens_per_s,memory_bytes\n";

std::string exact(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.17g", value);
  return std::isnan(value) ? "" : buffer;
}

/// The step of a row with all its columns, each empty or a number; 0: it is no such row.
std::int64_t step_of(const std::string& row) {
  constexpr int columns = 9;
  std::istringstream cells(row + ",");
  std::int64_t step = 0;
  int found = 0;
  for (std::string cell; std::getline(cells, cell, ','); ++found) {
    char* end = nullptr;
    const double value = std::strtod(cell.c_str(), &end);
    const bool decimal = !*end && cell.find_first_not_of("+-.0123456789einf") == std::string::npos;
    if (!decimal || (found == 0 && (cell.empty() || cell.find_first_not_of("0123456789") != std::string::npos))) return 0;
    if (found == 0) step = static_cast<std::int64_t>(value);
  }
  return found == columns ? step : 0;
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
    if (row + "\n" != header) {
      const std::filesystem::path aside = path.string() + ".unknown";
      std::filesystem::rename(path, aside);
      rows.setstate(std::ios::eofbit);
      log_warning(text(path.string(), " does not begin with the line of columns that this version writes; renamed to ",
                       aside.filename().string(), ", and a new one begun"));
    }
    // A row cut short by a crash has no newline and a step that will be written again.
    std::int64_t last = 0, rubbish = 0;
    while (std::getline(rows, row) && !rows.eof()) {
      const std::int64_t step = step_of(row);
      if (step <= last)
        ++rubbish;
      else if (step <= resumed_step)
        kept += row + "\n", last = step;
    }
    if (rubbish > 0)
      log_warning(text(path.string(), ": ", rubbish, rubbish == 1 ? " line that is" : " lines that are", " no step's row left out"));
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
