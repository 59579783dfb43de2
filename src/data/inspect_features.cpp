// What `strata inspect` says about a feature file.
#include <nlohmann/json.hpp>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/data/feature_file.hpp"

namespace strata {

std::string describe_feature_file(const FeatureFile& file) {
  const FeatureFileInfo& info = file.info();
  std::string result = text(file.path().string(), ": feature file, version ", info.version, ", of SQuAD ", info.v2 ? "2.0" : "1.1", "\n");
  const auto line = [&](const char* name, const std::string& value) {
    result += text("  ", name, std::string(14 - std::string(name).size(), ' '), value, "\n");
  };
  line("questions", text(info.questions, " (", info.counts.impossible, " unanswerable, ", info.counts.without_answers, " without answers, ",
                         info.counts.skipped, " left out)"));
  line("contexts", text(info.contexts, " of ", info.counts.articles, " articles, ", info.context_tokens, " tokens"));
  line("features", text(info.features, " rows of ", info.sequence, " tokens, stride ", info.stride, ", ", info.unlabelled,
                        " of answered questions without the answer"));
  line("answers", text(info.counts.misplaced, " not at their offset, ", info.counts.moved, " of them moved"));
  line("labels", info.labels == LabelRule::context ? "context" : "run_qa");
  line("longest", info.max_question > 0 ? text("questions cut at ", info.max_question, " tokens") : "questions are not cut");
  line("vocabulary", text(info.vocabulary, ", [CLS] ", info.frame.cls, ", [SEP] ", info.frame.sep, ", [PAD] ", info.frame.pad));
  line("tokenizer", text(info.tokenizer_kind, " ", info.tokenizer_name, ", hash ", info.tokenizer_hash));
  line("hash", file.hash());
  for (const SourceFile& source : info.sources)
    line("source", text(source.name, ", ", bytes_text(static_cast<double>(source.bytes)), ", ", source.hash));
  return result;
}

std::string feature_file_json(const FeatureFile& file) {
  const FeatureFileInfo& info = file.info();
  nlohmann::ordered_json sources = nlohmann::ordered_json::array();
  for (const SourceFile& source : info.sources) sources.push_back({{"name", source.name}, {"bytes", source.bytes}, {"hash", source.hash}});
  const nlohmann::ordered_json json{
      {"kind", "features"},
      {"path", file.path().string()},
      {"version", info.version},
      {"squad_version", info.v2 ? "2.0" : "1.1"},
      {"articles", info.counts.articles},
      {"contexts", info.contexts},
      {"questions", info.questions},
      {"features", info.features},
      {"sequence", info.sequence},
      {"stride", info.stride},
      {"max_question", info.max_question},
      {"labels", info.labels == LabelRule::context ? "context" : "run_qa"},
      {"impossible", info.counts.impossible},
      {"without_answers", info.counts.without_answers},
      {"misplaced_answers", info.counts.misplaced},
      {"moved_answers", info.counts.moved},
      {"skipped_questions", info.counts.skipped},
      {"unlabelled", info.unlabelled},
      {"vocabulary", info.vocabulary},
      {"tokenizer", {{"kind", info.tokenizer_kind}, {"name", info.tokenizer_name}, {"hash", info.tokenizer_hash}}},
      {"hash", file.hash()},
      {"sources", std::move(sources)}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace strata
