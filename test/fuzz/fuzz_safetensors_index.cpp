// Fuzz target: model.safetensors.index.json beside two sound parts.
#include "fuzz/fuzz.hpp"
#include "strata/io/safetensors.hpp"

namespace strata::fuzz {

Corpus corpus() {
  Corpus all;
  all.seeds = {R"({"metadata":{"total_size":8},"weight_map":{"a":"p1.safetensors","b":"p2.safetensors"}})",
               R"({"weight_map":{"a":"p1.safetensors"}})"};
  all.words = {"p1.safetensors", "p2.safetensors",      "../", "/etc/passwd", "\"weight_map\"", "[[[[[[[[[[",
               "\\u0000",        std::string(300, 'x'), ".",   ".."};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  const auto part = [](const std::string& name) {
    const std::string header = R"({")" + name + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
    return std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + "data";
  };
  fuzz::scratch_file("p1.safetensors", part("a"));
  fuzz::scratch_file("p2.safetensors", part("b"));
  fuzz::scratch_file("model.safetensors.index.json", bytes, size);
  fuzz::only(ExitCode::data, [&] { SafetensorsReader reader(fuzz::scratch_folder()); });
  return 0;
}
