#pragma once
// What the fuzz targets share: one reader fed with bytes, its seeds, and the rule that only an error of the right class may come out.
//
// Each test/fuzz/fuzz_<reader>.cpp defines LLVMFuzzerTestOneInput and corpus(). It is linked with our own driver (driver.cpp, run by CTest)
// and, by the preset `fuzz`, with clang's libFuzzer (libfuzzer_seeds.cpp writes its first corpus).
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "strata/base/error.hpp"

namespace strata::fuzz {

/// What mutations start from.
struct Corpus {
  std::vector<std::string> seeds;
  std::vector<std::string> words;  // of the format: keys, signatures, extreme numbers; mutations put them in
  /// Makes a mutant of seeds[seed] pass the checks that an attacker could satisfy as well (checksums). May be empty.
  std::function<void(std::string& mutant, std::size_t seed)> repair;
};

/// Defined by each target.
Corpus corpus();

/// Runs the reader. Errors of class `allowed` are its right answer to bad bytes; every other exception passes through and is a finding.
void only(ExitCode allowed, const std::function<void()>& read);

/// A folder of this process in memory where the system has such (/dev/shm), removed at exit.
const std::filesystem::path& scratch_folder();
/// Writes the bytes to a file in the scratch folder, over what was there, and returns its path.
std::filesystem::path scratch_file(const std::string& name, const void* bytes, std::size_t size);
std::filesystem::path scratch_file(const std::string& name, const std::string& bytes);
/// The bytes as text.
std::string as_text(const std::uint8_t* bytes, std::size_t size);

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);
