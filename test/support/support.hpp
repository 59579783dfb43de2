#pragma once
// What tests of every room share: where files lie, temporary folders, and reading references.
#include <filesystem>
#include <string>
#include <vector>

namespace strata::test {

/// 77 (CTest: skipped) when no test failed and every test that ran was skipped; otherwise the status itself.
int exit_status(int gtest_status);

/// The repository's root, and a file below test/data in it.
std::filesystem::path source_dir();
std::filesystem::path data_file(const std::string& name);
/// ../shared beside the repository; empty where it is absent (a test that needs it skips with that reason).
std::filesystem::path shared_dir();
/// The strata binary of this build.
std::string binary();

/// The sanitizer this test is built with, for the reason of a skip: "AddressSanitizer", "ThreadSanitizer", or nullptr.
const char* sanitizer();
/// Factor for times that a test gives a program until something must have happened: 1, or more where a sanitizer slows it down. The same as
/// that of the time limits (STRATA_TEST_PATIENCE).
int patience();

/// A fresh folder below the system's temporary folder, removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& content);

/// ||a - b|| / ||b||, in double; the agreement measure of the recorded references.
double relative_error(const std::vector<double>& a, const std::vector<double>& b);
/// ||values||
double norm(const std::vector<double>& values);
/// ||a - b|| / max(||b||, floor): how the references measure a gradient.
double distance(const std::vector<double>& a, const std::vector<double>& b, double floor);

struct CommandResult {
  int status = -1;  // exit code, or 128 + signal
  std::string out, err;
};
/// Runs a shell command with the given standard input, and returns what it printed.
CommandResult run_command(const std::string& command);

}  // namespace strata::test
