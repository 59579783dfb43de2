// Feature layout: attributes both ways, questions as lines, and what the checksums cover.
#include "data/feature_layout.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"

namespace strata::data {
namespace {

template <class T>
FeaturePart part(const char* name, DType type, const std::vector<T>& values, bool ids = false) {
  return {name, type, values.data(), static_cast<std::int64_t>(values.size()), ids, true};
}

std::string sources_summary(const std::vector<SourceFile>& sources) {
  std::string result;
  for (const SourceFile& source : sources) {
    if (result.size() + source.name.size() > 4096) return result + "and more, see /sources";
    result += text(source.name, " (", source.bytes, " bytes, ", source.hash, ")\n");
  }
  return result;
}

/// The numbers among the attributes, for both directions.
template <class Info, class Visit>
void for_each_number(Info& info, Visit visit) {
  visit("version", info.version), visit("vocabulary", info.vocabulary);
  visit("sequence", info.sequence), visit("stride", info.stride), visit("max_question", info.max_question);
  visit("contexts", info.contexts), visit("questions", info.questions), visit("features", info.features);
  visit("context_tokens", info.context_tokens), visit("question_tokens", info.question_tokens), visit("unlabelled", info.unlabelled);
  auto& counts = info.counts;
  visit("articles", counts.articles), visit("paragraphs", counts.paragraphs), visit("impossible", counts.impossible);
  visit("without_answers", counts.without_answers), visit("paragraphs_without_questions", counts.paragraphs_without_questions);
  visit("misplaced_answers", counts.misplaced), visit("moved_answers", counts.moved), visit("skipped_questions", counts.skipped);
}

}  // namespace

std::vector<FeaturePart> feature_parts(const FeatureFileInfo& info, const FeatureParts& parts) {
  const DType id = token_type(info.vocabulary);
  std::vector<FeaturePart> all{part("context_text", DType::u8, parts.context_text),
                               part("contexts", DType::i64, parts.contexts),
                               part("context_tokens", id, parts.context_tokens, true),
                               part("context_ranges", DType::i32, parts.context_ranges),
                               part("context_starts", DType::i64, parts.context_starts),
                               part("question_tokens", id, parts.question_tokens, true),
                               part("question_starts", DType::i64, parts.question_starts),
                               part("question_contexts", DType::i32, parts.question_contexts),
                               part("questions", DType::u8, parts.questions),
                               part("features", DType::i32, parts.features),
                               part("sources", DType::u8, parts.sources)};
  all.back().in_hash = false;
  return all;
}

std::vector<h5::AttributeSpec> feature_attributes(const FeatureFileInfo& info) {
  std::vector<h5::AttributeSpec> all{{"/", "format", std::string(feature_format_name)},
                                     {"/", "tokenizer_kind", info.tokenizer_kind},
                                     {"/", "tokenizer_name", info.tokenizer_name},
                                     {"/", "tokenizer_hash", info.tokenizer_hash},
                                     {"/", "labels", std::string(info.labels == LabelRule::context ? "context" : "run_qa")},
                                     {"/", "squad_version", std::string(info.v2 ? "2.0" : "1.1")},
                                     {"/", "cls_id", std::int64_t{info.frame.cls}},
                                     {"/", "sep_id", std::int64_t{info.frame.sep}},
                                     {"/", "pad_id", std::int64_t{info.frame.pad}},
                                     {"/", "sources", sources_summary(info.sources)}};
  for_each_number(info, [&](const char* name, std::int64_t value) { all.push_back({"/", name, value}); });
  return all;
}

FeatureFileInfo feature_info_from(const h5::File& file) {
  const auto string = [&](const char* name) { return file.string("/", name); };
  const auto fail = [&](const std::string& what) { throw DataError(text(file.path().string(), ": ", what)); };
  FeatureFileInfo info;
  for_each_number(info, [&](const char* name, std::int64_t& value) {
    value = file.integer("/", name);
    if (value < 0 || value > INT32_MAX) fail(text("the attribute ", name, " = ", value, ": expected 0 to 2147483647"));
  });
  info.tokenizer_kind = string("tokenizer_kind"), info.tokenizer_name = string("tokenizer_name"),
  info.tokenizer_hash = string("tokenizer_hash");
  const std::string labels = string("labels"), version = string("squad_version");
  if (labels != "context" && labels != "run_qa") fail(text("labels = ", labels, ": expected context or run_qa"));
  if (version != "1.1" && version != "2.0") fail(text("squad_version = ", version, ": expected 1.1 or 2.0"));
  info.labels = labels == "context" ? LabelRule::context : LabelRule::run_qa;
  info.v2 = version == "2.0";
  info.counts.questions = info.questions;
  const auto id = [&](const char* name) {
    const std::int64_t value = file.integer("/", name);
    if (value < 0 || value >= info.vocabulary) fail(text(name, " = ", value, " is not below the vocabulary of ", info.vocabulary));
    return static_cast<TokenId>(value);
  };
  info.frame = {id("cls_id"), id("sep_id"), id("pad_id")};
  return info;
}

Digest feature_digest(const FeatureFileInfo& info, const std::vector<Digest>& digests) {
  std::string all = text(feature_format_name, " ", info.version, "\n", info.tokenizer_hash, "\n", info.v2, "\n");
  for (const std::int64_t number :
       {info.vocabulary, info.sequence, std::int64_t{info.frame.cls}, std::int64_t{info.frame.sep}, std::int64_t{info.frame.pad}})
    all += std::to_string(number) + "\n";
  for (const Digest& digest : digests) all.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return digest_of(all.data(), all.size());
}

std::string question_line(const SquadQuestion& question) {
  nlohmann::ordered_json answers = nlohmann::ordered_json::array();
  for (const SquadAnswer& answer : question.answers) answers.push_back({{"text", answer.text}, {"answer_start", answer.start}});
  const nlohmann::ordered_json line{
      {"id", question.id}, {"question", question.question}, {"answers", std::move(answers)}, {"is_impossible", question.impossible}};
  return line.dump() + "\n";
}

std::vector<SquadQuestion> questions_from(const std::vector<char>& lines) {
  std::vector<SquadQuestion> questions;
  for (auto at = lines.begin(); at != lines.end();) {
    const auto end = std::find(at, lines.end(), '\n');
    try {
      const auto line = nlohmann::json::parse(at, end);
      SquadQuestion question;
      question.id = line.at("id").get<std::string>(), question.question = line.at("question").get<std::string>();
      question.impossible = line.at("is_impossible").get<bool>();
      for (const auto& answer : line.at("answers"))
        question.answers.push_back({answer.at("text").get<std::string>(), answer.at("answer_start").get<std::int64_t>()});
      questions.push_back(std::move(question));
    } catch (const nlohmann::json::exception& error) {
      throw DataError(text("line ", questions.size(), " is not what Strata writes: ", error.what()));
    }
    at = end == lines.end() ? end : end + 1;
  }
  return questions;
}

}  // namespace strata::data
