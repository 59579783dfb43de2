// Fuzz target: config.json, and the list of parameters of the model it describes.
#include "fuzz/fuzz.hpp"
#include "strata/models/model.hpp"
#include "support/support.hpp"

namespace strata::fuzz {

Corpus corpus() {
  Corpus all;
  for (const char* model : {"llama3-scaled", "qwen3-tied", "qwen3-untied-bias", "bert-qa"})
    all.seeds.push_back(test::read_file(test::data_file(std::string("models/") + model + "/config.json")));
  all.words = {"\"rope_parameters\": {",
               "\"rope_scaling\": {\"rope_type\": \"llama3\"",
               "\"layer_types\": [",
               "\"head_dim\": ",
               "\"sliding_window\": ",
               "\"use_sliding_window\": true, ",
               "null",
               "true",
               "\"mistral\"",
               "\"bert\"",
               "\"gelu_new\"",
               "\"pad_token_id\"",
               "[[[[[[[[[[",
               "\xff",
               "1e308"};
  return all;
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  fuzz::only(ExitCode::data, [&] {
    const std::unique_ptr<Model> model = parse_model(fuzz::as_text(bytes, size), "config.json");
    model->check_sequence(1);
    STRATA_ASSERT(model->parameters().elements() > 0, "a model has parameters");
  });
  return 0;
}
