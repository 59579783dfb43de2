// The step line's wording, and metrics.csv: exact numbers, and what a resumed run keeps.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <sstream>

#include "strata/base/error.hpp"
#include "strata/train/metrics.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

constexpr const char* header = "step,epoch,tokens,loss,grad_norm,lr,validation_loss,tokens_per_s,memory_bytes";

StepMetrics sample(std::int64_t step) {
  StepMetrics m;
  m.step = step, m.max_steps = 1000, m.epoch = 0.1 * static_cast<double>(step), m.tokens = 512 * step;
  m.loss = 3.41214, m.grad_norm = 0.84, m.lr = 4.98e-5, m.validation_loss = std::numeric_limits<double>::quiet_NaN();
  m.tokens_per_s = 8123.4, m.sequences_per_s = 15.88, m.memory_bytes = 2310000000, m.eta = 725;
  return m;
}

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}
std::vector<std::string> cells_of(const std::string& row) {
  std::vector<std::string> cells(1);
  for (char c : row)
    if (c == ',')
      cells.emplace_back();
    else
      cells.back() += c;
  return cells;
}
std::vector<std::string> steps_of(const std::filesystem::path& path) {
  std::vector<std::string> steps;
  for (const std::string& line : lines_of(path)) steps.push_back(cells_of(line)[0]);
  return steps;
}
using Steps = std::vector<std::string>;

// A file with the rows of steps 1 to `steps`.
void write_rows(const std::filesystem::path& path, std::int64_t steps) {
  MetricsFile file(path, 0);
  for (std::int64_t step = 1; step <= steps; ++step) file.append(sample(step));
}

TEST(StepLine, ReadsAsPromised) {
  EXPECT_EQ(step_line(sample(120)), "Step 120/1000  Loss 3.4121  norm 0.84  lr 4.98e-05  8123 tok/s  15.9 seq/s  2.31 GB  eta 12:05");
}

TEST(StepLine, SmallMemoryAndLongRuns) {
  StepMetrics m = sample(1);
  m.memory_bytes = 512000000, m.eta = 3 * 3600 + 12 * 60 + 5;
  EXPECT_EQ(step_line(m), "Step 1/1000  Loss 3.4121  norm 0.84  lr 4.98e-05  8123 tok/s  15.9 seq/s  512.00 MB  eta 3:12:05");
}

TEST(MetricsFile, BeginsWithItsHeader) {
  const TemporaryFolder folder;
  const MetricsFile file(folder / "metrics.csv", 0);
  EXPECT_EQ(read_file(folder / "metrics.csv"), std::string(header) + "\n");
}

TEST(MetricsFile, RowsHaveTheHeadersColumns) {
  const TemporaryFolder folder;
  write_rows(folder / "metrics.csv", 1);
  const auto lines = lines_of(folder / "metrics.csv");
  ASSERT_EQ(lines.size(), 2u);
  const auto cells = cells_of(lines[1]);
  ASSERT_EQ(cells.size(), 9u);
  EXPECT_EQ(cells[0], "1");
  EXPECT_EQ(cells[2], "512");
  EXPECT_EQ(cells[6], "");  // not validated
  EXPECT_EQ(cells[8], "2310000000");
}

TEST(MetricsFile, NumbersComeBackBitForBit) {
  const TemporaryFolder folder;
  StepMetrics m = sample(1);
  m.epoch = 1.0 / 3, m.loss = std::nextafter(3.0, 4.0), m.grad_norm = 5e-324, m.lr = 4.9999999999999996e-5;
  m.validation_loss = 0.1 + 0.2, m.tokens_per_s = 1.7976931348623157e308;
  MetricsFile(folder / "metrics.csv", 0).append(m);
  const auto cells = cells_of(lines_of(folder / "metrics.csv").at(1));
  ASSERT_EQ(cells.size(), 9u);
  const auto number = [&](std::size_t column) { return std::strtod(cells[column].c_str(), nullptr); };
  EXPECT_EQ(number(1), m.epoch);
  EXPECT_EQ(number(3), m.loss);
  EXPECT_EQ(number(4), m.grad_norm);
  EXPECT_EQ(number(5), m.lr);
  EXPECT_EQ(number(6), m.validation_loss);
  EXPECT_EQ(number(7), m.tokens_per_s);
  EXPECT_EQ(cells[3], "3.0000000000000004");
}

TEST(MetricsFile, ANewRunBeginsAnew) {
  const TemporaryFolder folder;
  write_rows(folder / "metrics.csv", 3);
  const MetricsFile file(folder / "metrics.csv", 0);
  EXPECT_EQ(steps_of(folder / "metrics.csv"), Steps({"step"}));
}

TEST(MetricsFile, ResumingCutsRowsBeyondTheStep) {
  const TemporaryFolder folder;
  write_rows(folder / "metrics.csv", 12);
  const auto before = lines_of(folder / "metrics.csv");
  MetricsFile file(folder / "metrics.csv", 9);
  EXPECT_EQ(lines_of(folder / "metrics.csv"), std::vector<std::string>(before.begin(), before.begin() + 10));
  for (std::int64_t step = 10; step <= 12; ++step) file.append(sample(step));
  EXPECT_EQ(lines_of(folder / "metrics.csv"), before);
}

TEST(MetricsFile, ARowCutShortByACrashIsDropped) {
  const TemporaryFolder folder;
  write_rows(folder / "metrics.csv", 4);
  const std::string whole = read_file(folder / "metrics.csv");
  // "1" is what may be left of step 10.
  for (const char* rest : {"5,0.5", "5", "1"}) {
    SCOPED_TRACE(rest);
    write_file(folder / "metrics.csv", whole + rest);
    MetricsFile(folder / "metrics.csv", 4).append(sample(5));
    EXPECT_EQ(steps_of(folder / "metrics.csv"), Steps({"step", "1", "2", "3", "4", "5"}));
    for (const std::string& line : lines_of(folder / "metrics.csv")) EXPECT_EQ(cells_of(line).size(), 9u) << line;
  }
}

TEST(MetricsFile, LinesThatAreNoRowsAreLeftOut) {
  const TemporaryFolder folder;
  write_rows(folder / "metrics.csv", 4);
  auto lines = lines_of(folder / "metrics.csv");
  const std::string good = lines[3];
  std::string content = lines[0] + "\n" + lines[1] + "\nrubbish\n\n,,,,,,,,\n2,1,2\n-1" + good.substr(1) + "\n" + lines[2] + "\n" + good +
                        ",7\n" + good + "\n2" + good.substr(1) + "\n3.5" + good.substr(1) + "\n" + lines[4].substr(0, 3) + "x" +
                        lines[4].substr(3) + "\n" + lines[4] + "\n";
  write_file(folder / "metrics.csv", content);
  MetricsFile(folder / "metrics.csv", 4).append(sample(5));
  lines.push_back(cells_of(lines_of(folder / "metrics.csv").back())[0] == "5" ? lines_of(folder / "metrics.csv").back() : "");
  EXPECT_EQ(lines_of(folder / "metrics.csv"), lines);
}

TEST(MetricsFile, AFileWithOtherColumnsIsSetAside) {
  const TemporaryFolder folder;
  const std::string foreign = "epoch,loss\n1,2\n2,3\n";
  write_file(folder / "metrics.csv", foreign);
  MetricsFile(folder / "metrics.csv", 7).append(sample(8));
  EXPECT_EQ(steps_of(folder / "metrics.csv"), Steps({"step", "8"}));
  EXPECT_EQ(lines_of(folder / "metrics.csv")[0], header);
  EXPECT_EQ(read_file(folder / "metrics.csv.unknown"), foreign);
}

TEST(MetricsFile, ResumingWithoutAFileStartsOne) {
  const TemporaryFolder folder;
  MetricsFile(folder / "metrics.csv", 7).append(sample(8));
  EXPECT_EQ(steps_of(folder / "metrics.csv"), Steps({"step", "8"}));
}

TEST(MetricsFile, AFolderThatIsMissingIsNamed) {
  const TemporaryFolder folder;
  try {
    const MetricsFile file(folder / "absent" / "metrics.csv", 0);
    FAIL() << "a file in a missing folder was written";
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("metrics.csv"), std::string::npos) << e.what();
  }
}

TEST(Memory, PeakCoversWhatWasTouched) {
  const std::int64_t before = peak_memory_bytes();
  EXPECT_GT(before, std::int64_t{1} << 20);
  std::vector<char> touched(std::size_t{96} << 20, 1);
  EXPECT_EQ(touched[touched.size() / 2], 1);
  EXPECT_GE(peak_memory_bytes(), std::int64_t{96} << 20);
}

}  // namespace
}  // namespace strata::test
