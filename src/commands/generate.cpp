// strata generate: continues prompts.
#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>

#include "commands/model_source.hpp"
#include "commands/tuning_source.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/base/utf8.hpp"
#include "strata/evaluate/generator.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {
namespace fs = std::filesystem;

// generate.prompts: a file with one prompt per line, or the text itself.
std::vector<std::string> read_prompts(const std::string& value) {
  std::error_code not_a_file;
  if (!fs::is_regular_file(value, not_a_file)) return {value};
  std::vector<std::string> prompts;
  std::istringstream lines(read_text(value));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (const std::size_t at = first_invalid_utf8(line); at != std::string::npos)
      throw DataError(text(value, ":", prompts.size() + 1, ": the prompt is not UTF-8: byte ", at, " of the line, 0x", std::hex,
                           static_cast<int>(static_cast<unsigned char>(line[at])), ", begins no valid character; convert the file"));
    prompts.push_back(line);
  }
  if (prompts.empty()) throw DataError(text("generate.prompts = ", value, ": the file is empty"));
  return prompts;
}

// An empty prompt begins with the token that begins a text, or the one that ends it, as training saw it between documents.
std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, const std::string& prompt) {
  std::vector<TokenId> ids = tokenizer.encode(prompt);
  if (!ids.empty()) return ids;
  if (tokenizer.bos()) return {*tokenizer.bos()};
  if (tokenizer.eos()) return {*tokenizer.eos()};
  throw DeckError("generate.prompts: an empty prompt needs a tokenizer with a token that begins or ends a text");
}

std::string line_of(const std::string& prompt, const Generation& g) {
  const nlohmann::ordered_json json{{"prompt", prompt}, {"text", g.text}, {"ids", g.ids}, {"reason", g.reason}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

int run_generate(Session& session) {
  settle_device(session);
  session.tuning = read_tuning(session);
  log_device(session);
  require_device_for_type(session);
  const Settings& s = session.settings();
  check_device(session);
  const WeightsSource source = find_weights(session, s.generate.checkpoint);
  const CausalLm model(source.causal("generate"));
  require_device_fit(session, model);
  const auto tokenizer = tokenizer_of(session);
  if (tokenizer->vocabulary() > model.config().V)
    throw DataError(text("the tokenizer has ", tokenizer->vocabulary(), " tokens, the model's vocabulary only ", model.config().V));
  const std::vector<std::string> prompts = read_prompts(s.generate.prompts);
  std::vector<std::vector<TokenId>> ids;
  std::size_t longest = 0, tokens = 0;
  for (const std::string& prompt : prompts)
    ids.push_back(encode_prompt(*tokenizer, prompt)), longest = std::max(longest, ids.back().size());

  log_info(text("Generating with ", source.description, ": ", prompts.size(), prompts.size() == 1 ? " prompt, " : " prompts, ",
                s.generate.temperature == 0 ? "greedy" : text("temperature ", s.generate.temperature)));
  require_fit(source, model.parameters());
  ComputeDevice device(device_of(session), threads_of(session), 0, 1);
  use_tuning(session, device);
  if (s.device.attention == "cudnn") log_info("device.attention = cudnn: generation computes with our own kernels");
  GenerateConfig config = s.generate;
  config.batch = std::min<std::int64_t>(config.batch, static_cast<std::int64_t>(prompts.size()));
  Generator generator(device, model, compute_type(session), config, static_cast<std::int64_t>(longest));
  load_into(generator.stream(), source, model.parameters(), generator.weights(), s.run.seed);

  const Stopwatch watch;
  const auto results = generator.run(ids, tokenizer.get(), s.run.seed);
  std::string lines;
  for (std::size_t i = 0; i < results.size(); ++i) {
    lines += line_of(prompts[i], results[i]);
    tokens += results[i].ids.size();
    if (!session.line.json) std::printf("%s%s\n", prompts[i].c_str(), results[i].text.c_str());
  }
  if (session.line.json) std::fputs(lines.c_str(), stdout);
  const fs::path output = s.generate.output.empty() ? fs::path(s.run.folder) / "samples" / "samples.jsonl" : fs::path(s.generate.output);
  make_folders(fs::absolute(output).parent_path());
  write_text_atomically(output, lines);
  log_info(text(tokens, " tokens in ", watch.seconds(), " s (", static_cast<double>(tokens) / watch.seconds(), " tok/s), also in ",
                output.string()));
  return 0;
}

}  // namespace strata
