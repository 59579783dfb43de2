// Fuzz target: what `strata measure` writes and later runs read, machine files and tuning files.
#include "fuzz/fuzz.hpp"

#include "strata/deck/machine_file.hpp"
#include "strata/deck/tuning_file.hpp"
#include "support/support.hpp"

namespace strata::fuzz {

Corpus corpus() {
  Corpus all;
  all.seeds.push_back(test::read_file(test::source_dir() / "input" / "machines" / "xeon-amx-2core.in"));
  Tuning tuning;
  tuning.gpu = "NVIDIA H200, \"one\"", tuning.major = 9, tuning.minor = 0, tuning.cublaslt = 130002, tuning.measured = "2026-11-22";
  TunedProduct product;
  product.us = 12.5, product.first_us = 14, product.tried = 8;
  tuning.products["bf16_nt_512x4096x1024_to_bf16_a1024_b1024_c4096_align16"] = product;
  product.algorithm.data = std::string(128, 'a');
  tuning.products["bf16_tn_4096x1024x512_to_f32_a4096_b1024_c1024_own_align16"] = product;
  all.seeds.push_back(tuning_text(tuning));
  all.words = {"[machine]", "[products]", "[tuning]", "[ops]", "reduction 1", "us 0", "us nan", "1e999",
               "-1",        "_own",       "_align0",  "x",     "\n",          "\"",   "\\",     "#"};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  const std::string input = fuzz::as_text(bytes, size);
  fuzz::only(ExitCode::usage, [&] {
    const std::string written = machine_text(parse_machine("x.in", input));
    STRATA_ASSERT(machine_text(parse_machine("written", written)) == written, "a machine file that reads differently");
  });
  fuzz::only(ExitCode::usage, [&] {
    const std::string written = tuning_text(parse_tuning("x.tuning", input));
    STRATA_ASSERT(tuning_text(parse_tuning("written", written)) == written, "a tuning file that reads differently");
  });
  return 0;
}
