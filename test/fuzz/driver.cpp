// Our own fuzz driver: a bounded number of deterministic mutants in child processes, so that a crash, a hang, a foreign exception or
// memory asked for without reason is seen, and the input that did it is kept.
//
//   fuzz_<reader> [--inputs=N] [--seconds=S] [--seed=X] [FILE...]     with files: only those, as they are
//   fuzz_<reader> --write-seeds=FOLDER                                what mutations start from, for libFuzzer
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <sstream>

#include "fuzz/mutate.hpp"

#ifndef STRATA_FUZZ_SANITIZED
#define STRATA_FUZZ_SANITIZED 0
#endif

namespace {
using namespace strata;
using namespace strata::fuzz;

constexpr bool sanitized = STRATA_FUZZ_SANITIZED != 0;
constexpr rlim_t memory_limit = rlim_t{2} << 30;    // [bytes] of a child; inputs are at most a few MiB
constexpr int input_seconds = sanitized ? 60 : 20;  // [s] of processor time and of waiting for one input
constexpr std::uint64_t inputs_per_child = 500;     // what a library leaks does not add up
constexpr int foreign_exception = 99;

struct Options {
  std::uint64_t seed = 1, inputs = 2000;
  double seconds = 30;
  std::vector<std::string> files;
  std::string seed_folder;
};

/// Seen by the parent after a child's death.
struct Shared {
  std::atomic<std::uint64_t> number;
  char what[512];
};

std::string name_of_program(const char* path) {
  return std::filesystem::path(path).filename().string();
}

Options parse(int argc, char** argv) {
  Options options;
  if (const char* seed = std::getenv("STRATA_FUZZ_SEED")) options.seed = std::strtoull(seed, nullptr, 10);
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&](const char* name) {
      const std::size_t n = std::strlen(name);
      return argument.compare(0, n, name) == 0 ? argument.c_str() + n : nullptr;
    };
    if (const char* inputs = value("--inputs="))
      options.inputs = std::strtoull(inputs, nullptr, 10);
    else if (const char* seconds = value("--seconds="))
      options.seconds = std::strtod(seconds, nullptr);
    else if (const char* seed = value("--seed="))
      options.seed = std::strtoull(seed, nullptr, 10);
    else if (const char* folder = value("--write-seeds="))
      options.seed_folder = folder;
    else
      options.files.push_back(argument);
  }
  return options;
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void limit_child() {
  const rlimit no_core{0, 0}, memory{memory_limit, memory_limit};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (!sanitized) ::setrlimit(RLIMIT_AS, &memory);  // a sanitizer reserves terabytes of addresses for itself
}

/// The timers that end the child if one input takes too long, in processor time or (waiting for a pipe, say) without using any.
void start_timers() {
  const itimerval processor{{0, 0}, {input_seconds, 0}};
  ::setitimer(ITIMER_PROF, &processor, nullptr);
  ::alarm(5 * input_seconds);
}

void try_input(const std::string& bytes, Shared& shared) {
  try {
    start_timers();
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  } catch (const std::exception& error) {
    std::snprintf(shared.what, sizeof shared.what, "%s: %s", typeid(error).name(), error.what());
    ::_exit(foreign_exception);
  }
}

/// Inputs [first, end) in a child; true if it lived through them all.
template <class Input>
bool child_survives(std::uint64_t first, std::uint64_t end, Shared& shared, const Input& input, int& status) {
  shared.number = first, shared.what[0] = 0;
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    limit_child();
    for (std::uint64_t number = first; number < end; ++number) {
      shared.number = number;
      try_input(input(number), shared);
    }
    ::_exit(0);
  }
  if (child < 0) {
    std::perror("fork");
    std::exit(1);
  }
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string fate(int status, const Shared& shared) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == foreign_exception) return std::string("an exception that is no answer: ") + shared.what;
  if (WIFEXITED(status)) return "the process left with exit code " + std::to_string(WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  if (signal == SIGPROF || signal == SIGALRM) return "it did not end within the time for one input";
  return std::string("signal ") + std::to_string(signal) + " (" + strsignal(signal) + ")";
}

/// Where failing inputs go: STRATA_FUZZ_OUT or the current folder.
std::string keep(const std::string& program, const Options& options, std::uint64_t number, const std::string& bytes) {
  const char* folder = std::getenv("STRATA_FUZZ_OUT");
  const std::filesystem::path path =
      std::filesystem::absolute(std::filesystem::path(folder ? folder : ".") /
                                (program + "-" + std::to_string(options.seed) + "-" + std::to_string(number) + ".input"));
  std::ofstream(path, std::ios::binary) << bytes;
  return path.string();
}

int run_files(const Options& options, Shared& shared) {
  int failures = 0, status = 0;
  for (const std::string& file : options.files) {
    const bool survived = child_survives(
        0, 1, shared, [&](std::uint64_t) { return read(file); }, status);
    std::printf("%s: %s\n", file.c_str(), survived ? "accepted or refused in order" : fate(status, shared).c_str());
    failures += !survived;
  }
  return failures;
}

int run_mutants(const std::string& program, const Options& options, Shared& shared) {
  const Corpus all = corpus();
  scratch_folder();  // made by this process, shared by its children
  const auto input = [&](std::uint64_t number) {
    return number < all.seeds.size() ? all.seeds[number] : mutant(all, options.seed, number);
  };
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  std::uint64_t next = 0;
  int failures = 0, status = 0;
  while (next < options.inputs && seconds() < options.seconds && failures < 10) {
    const std::uint64_t step = next == 0 ? std::min<std::uint64_t>(100, inputs_per_child) : inputs_per_child;
    const std::uint64_t end = std::min(options.inputs, next + step);
    if (child_survives(next, end, shared, input, status)) {
      next = end;
      continue;
    }
    ++failures;
    const std::uint64_t number = shared.number;
    std::printf("%s: input %llu of seed %llu: %s\n  kept as %s\n", program.c_str(), static_cast<unsigned long long>(number),
                static_cast<unsigned long long>(options.seed), fate(status, shared).c_str(),
                keep(program, options, number, input(number)).c_str());
    next = number + 1;
  }
  std::printf("%s: seed %llu, %zu seeds, %llu inputs in %.1f s, %d findings\n", program.c_str(),
              static_cast<unsigned long long>(options.seed), all.seeds.size(), static_cast<unsigned long long>(next), seconds(), failures);
  return failures;
}

int write_seeds(const std::string& folder) {
  const Corpus all = corpus();
  for (std::size_t i = 0; i < all.seeds.size(); ++i)
    std::ofstream(std::filesystem::path(folder) / ("seed-" + std::to_string(i)), std::ios::binary) << all.seeds[i];
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (!options.seed_folder.empty()) return write_seeds(options.seed_folder);
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  Shared& shared = *new (memory) Shared;
  const int failures = options.files.empty() ? run_mutants(name_of_program(argv[0]), options, shared) : run_files(options, shared);
  return failures == 0 ? 0 : 1;
}
