#pragma once
// Settings of the deck's [evaluate] and [generate] sections.
#include <cstdint>
#include <string>
#include <vector>

namespace strata {

struct EvaluateConfig {
  std::string checkpoint;               // checkpoint, folder of checkpoints, or empty: model.weights
  std::string data;                     // token or feature file; empty: data.validation
  std::string output;                   // evaluation.json; empty: in run.folder
  std::string score;                    // predictions in the official SQuAD form, to be scored without a model
  std::vector<std::string> references;  // the SQuAD JSON files that they answer
  std::string null_odds;                // how much higher each null score is (null_odds.json), for the best threshold
  std::int64_t n_best = 20;             // SQuAD: starts, ends and answers that are looked at
  std::int64_t max_answer = 30;         // [tokens] SQuAD: longest answer
  double null_threshold = 0;            // SQuAD 2.0: no answer where the null score is higher by more than this
};

struct GenerateConfig {
  std::string checkpoint;  // checkpoint, folder of checkpoints, or empty: model.weights
  std::string prompts;     // a file with one prompt per line, or the text itself
  std::int64_t max_new_tokens = 128;
  double temperature = 1.0;  // 0: greedy
  std::int64_t top_k = 0;    // 0: off
  double top_p = 1.0;
  double min_p = 0.0;
  double repetition_penalty = 1.0;
  std::vector<std::string> stop;  // texts that end a continuation
  std::int64_t batch = 8;         // [prompts] at a time
  std::string output;             // JSON lines; empty: samples/ in run.folder
};

}  // namespace strata
