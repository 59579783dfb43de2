#include "support/support.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace strata::test {
namespace fs = std::filesystem;

int exit_status(int gtest_status) {
  const auto& unit = *::testing::UnitTest::GetInstance();
  const int ran = unit.test_to_run_count();
  if (gtest_status != 0) return gtest_status;
  if (ran == 0) return 1;  // a filter that matches nothing must not pass
  return unit.skipped_test_count() == ran ? 77 : 0;
}

fs::path source_dir() {
  const char* value = std::getenv("STRATA_SOURCE_DIR");
  if (!value) throw std::runtime_error("STRATA_SOURCE_DIR is not set: run the tests through ctest");
  return value;
}

fs::path data_file(const std::string& name) {
  return source_dir() / "test" / "data" / name;
}

fs::path shared_dir() {
  const fs::path folder = source_dir().parent_path() / "shared";
  return fs::exists(folder / "golden") ? folder : fs::path();
}

const char* sanitizer() {
#if defined(__SANITIZE_ADDRESS__)
  return "AddressSanitizer";
#elif defined(__SANITIZE_THREAD__)
  return "ThreadSanitizer";
#else
  return nullptr;
#endif
}

int patience() {
#ifdef STRATA_TEST_PATIENCE
  return STRATA_TEST_PATIENCE;
#else
  return 1;
#endif
}

std::string binary() {
  const char* value = std::getenv("STRATA_BINARY");
  if (!value) throw std::runtime_error("STRATA_BINARY is not set: run the tests through ctest");
  return value;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "strata-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_file(const fs::path& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary);
  out << content;
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference += (a[i] - b[i]) * (a[i] - b[i]), norm += b[i] * b[i];
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

double norm(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum);
}

double distance(const std::vector<double>& a, const std::vector<double>& b, double floor) {
  if (a.size() != b.size()) return INFINITY;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum) / std::max(norm(b), floor);
}

CommandResult run_command(const std::string& command) {
  TemporaryFolder folder;
  const std::string out = (folder / "out").string(), err = (folder / "err").string();
  const int raw = std::system(("( " + command + " ) >" + out + " 2>" + err + " </dev/null").c_str());
  CommandResult result;
  result.status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  result.out = read_file(out);
  result.err = read_file(err);
  return result;
}

}  // namespace strata::test
