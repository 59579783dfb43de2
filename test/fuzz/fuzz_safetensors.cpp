// Fuzz target: a safetensors file, header and tensors.
#include "fuzz/fuzz.hpp"
#include "strata/io/safetensors.hpp"

namespace strata::fuzz {
namespace {

std::string with_length(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  return length + header + data;
}

}  // namespace

Corpus corpus() {
  Corpus all;
  all.seeds = {
      with_length(R"({"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                  R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"I64","shape":[],"data_offsets":[32,40]}}   )",
                  std::string(40, 'd')),
      with_length(R"({"e":{"dtype":"U8","shape":[0,7],"data_offsets":[0,0]}})", ""), with_length("{}", "")};
  all.words = {"\"dtype\"", "\"shape\"", "\"data_offsets\"", "__metadata__", "\"F16\"",  "\"BOOL\"", "\"F8_E4M3\"",
               "[[[[[[[[",  "{\"a\":",   "\\u0000",          "\"a\":",       "\xff\xfe", "-0",       "1e400"};
  // The length in front is an attacker's to set.
  all.repair = [](std::string& mutant, std::size_t) {
    const std::size_t close = mutant.rfind('}');
    if (mutant.size() > 8 && close != std::string::npos && close > 8)
      mutant.replace(0, 8, with_length(mutant.substr(8, close - 7), "").substr(0, 8));
  };
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  const auto path = fuzz::scratch_file("x.safetensors", bytes, size);
  fuzz::only(ExitCode::data, [&] {
    const SafetensorsReader reader(path);
    for (const auto& [name, entry] : reader.tensors()) {
      std::vector<char> memory(static_cast<std::size_t>(entry.bytes()));
      reader.read(entry, 0, entry.elements(), memory.data());
    }
  });
  return 0;
}
