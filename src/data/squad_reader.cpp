// SQuAD's JSON: articles, paragraphs, questions, answers; every complaint names the place.
#include "data/squad_reader.hpp"

#include <algorithm>

#include "data/byte_stream.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace data {
using nlohmann::json;
namespace {

constexpr std::size_t most_problems = 20;

/// Nesting far beyond SQuAD's seven levels would only serve to exhaust memory.
void check_depth(const std::string& content, const std::string& name) {
  int depth = 0;
  bool inside = false;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const char c = content[i];
    if (inside) {
      if (c == '\\') ++i;
      if (c == '"') inside = false;
      continue;
    }
    inside = c == '"';
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (depth > 64) throw DataError(text(name, ": the JSON is nested deeper than 64 levels: is it a SQuAD file?"));
  }
}

json parse(const std::string& content, const std::string& name) {
  check_depth(content, name);
  const std::size_t bom = content.compare(0, 3, "\xef\xbb\xbf") == 0 ? 3 : 0;
  try {
    return json::parse(content.begin() + static_cast<std::ptrdiff_t>(bom), content.end());
  } catch (const json::exception& error) {
    throw DataError(text(name, ": the JSON is broken: ", error.what(), "; a SQuAD file is expected, as in train-v1.1.json"));
  }
}

const json& member(const json& object, const char* name, json::value_t type, const std::string& place) {
  const char* expected = type == json::value_t::array ? "a list" : "a text";
  if (!object.is_object()) throw DataError(text(place, ": expected an object, found ", object.type_name()));
  const auto found = object.find(name);
  if (found == object.end()) throw DataError(text(place, ": there is no \"", name, "\", expected ", expected, ": is it a SQuAD file?"));
  if (found->type() != type) throw DataError(text(place, ".", name, ": expected ", expected, ", found ", found->type_name()));
  return *found;
}

bool is_version_2(const json& root) {
  const auto version = root.find("version");
  if (version == root.end() || !version->is_string()) return false;
  const std::string& words = version->get_ref<const std::string&>();
  return words.rfind("v2", 0) == 0 || words.rfind("2", 0) == 0;
}

std::string short_text(const std::string& words) {
  const Characters characters(words);
  return characters.size() > 80 ? std::string(characters.between(0, 80)) + "..." : words;
}

}  // namespace

std::string whole_content(const std::filesystem::path& path) {
  constexpr std::size_t most = std::size_t{4} << 30, step = std::size_t{1} << 20;
  ByteStream stream(path);
  std::string content;
  while (true) {
    const std::size_t before = content.size();
    if (before > most) throw DataError(text(path.string(), ": holds more than 4 GiB; a SQuAD file of that size is not read at once"));
    content.resize(before + step);
    const std::size_t n = stream.read(content.data() + before, step);
    content.resize(before + n);
    if (n == 0) return content;
  }
}

void SquadReader::note(const std::string& problem) {
  if (data_.problems.size() < most_problems) data_.problems.push_back(problem);
}

void SquadReader::add(const std::string& content, const std::string& name) {
  file_ = name;
  const json root = parse(content, name);
  const json& articles = member(root, "data", json::value_t::array, name);
  data_.v2 = data_.v2 || is_version_2(root);
  for (std::size_t a = 0; a < articles.size(); ++a) {
    const std::string place = text(name, ": data[", a, "]");
    const json& paragraphs = member(articles[a], "paragraphs", json::value_t::array, place);
    ++data_.counts.articles;
    for (std::size_t p = 0; p < paragraphs.size(); ++p) add_paragraph(paragraphs[p], text(place, ".paragraphs[", p, "]"));
  }
}

void SquadReader::add_paragraph(const json& paragraph, const std::string& place) {
  const std::string& context = member(paragraph, "context", json::value_t::string, place).get_ref<const std::string&>();
  const json& questions = member(paragraph, "qas", json::value_t::array, place);
  ++data_.counts.paragraphs;
  if (questions.empty()) ++data_.counts.paragraphs_without_questions;
  if (context.size() > UINT32_MAX) throw DataError(text(place, ".context: ", context.size(), " bytes are too long"));
  const std::size_t before = data_.questions.size();
  data_.contexts.push_back(context);
  for (std::size_t q = 0; q < questions.size(); ++q) add_question(questions[q], text(place, ".qas[", q, "]"));
  if (data_.questions.size() == before) data_.contexts.pop_back();
}

SquadQuestion SquadReader::parse_question(const json& object, const std::string& place) const {
  SquadQuestion question;
  question.id = member(object, "id", json::value_t::string, place).get<std::string>();
  const std::string named = text(place, " (id '", short_text(question.id), "')");
  question.question = member(object, "question", json::value_t::string, named).get<std::string>();
  question.context = static_cast<std::int64_t>(data_.contexts.size()) - 1;
  if (const auto mark = object.find("is_impossible"); mark != object.end()) {
    if (!mark->is_boolean()) throw DataError(text(named, ".is_impossible: expected true or false, found ", mark->type_name()));
    question.impossible = mark->get<bool>();
  }
  if (!object.contains("answers")) return question;
  const json& answers = member(object, "answers", json::value_t::array, named);
  for (std::size_t k = 0; k < answers.size(); ++k) {
    const std::string where = text(named, ".answers[", k, "]");
    SquadAnswer answer{member(answers[k], "text", json::value_t::string, where).get<std::string>(), 0};
    const auto start = answers[k].find("answer_start");
    if (start != answers[k].end() && start->is_number_integer())
      answer.start = start->get<std::int64_t>();
    else if (rules_.checks)
      throw DataError(text(where, ".answer_start: expected a whole number of characters, found ",
                           start == answers[k].end() ? "nothing" : start->dump().substr(0, 40)));
    constexpr std::int64_t far = std::int64_t{1} << 40;  // beyond any context; what is added to it must not overflow
    if (answer.start < -far || answer.start > far)
      throw DataError(text(where, ".answer_start: expected a place in the context, found ", start->dump()));
    question.answers.push_back(std::move(answer));
  }
  return question;
}

/// What is wrong with the answer's place after the rules have been followed; "" if nothing.
std::string SquadReader::settle_answer(SquadAnswer& answer, const Characters& context, const std::string& whole) {
  const Characters words(answer.text);
  const std::string found(context.between(answer.start, answer.start + words.size()));
  if (answer.start >= 0 && found == answer.text) return "";
  ++data_.counts.misplaced;
  const std::string fault = text("the answer '", short_text(answer.text), "' is not at its offset ", answer.start,
                                 " of the context, where '", short_text(found), "' stands");
  if (rules_.misplaced == SquadRules::Misplaced::keep) return note(text(file_, ": ", fault, "; the offset counts")), "";
  if (rules_.misplaced != SquadRules::Misplaced::move)
    return fault + "; prepare.misplaced_answers says what to do with such: stop, skip, move or keep";
  std::int64_t best = -1;
  for (std::size_t at = whole.find(answer.text); at != std::string::npos && !answer.text.empty(); at = whole.find(answer.text, at + 1)) {
    const std::int64_t here = context.number_at(at);
    if (best < 0 || std::abs(here - answer.start) < std::abs(best - answer.start)) best = here;
  }
  if (best < 0) return fault + ", nor anywhere else in it";
  note(text(file_, ": ", fault, "; moved to ", best));
  ++data_.counts.moved;
  answer.start = best;
  return "";
}

/// What is wrong with the question itself; "" if nothing.
std::string SquadReader::fault_of(const SquadQuestion& question) const {
  if (ids_.count(question.id) > 0) return "another question has the same id: predictions could not be told apart";
  if (without_leading_blanks(question.question).empty()) return "the question is empty";
  if (question.impossible && !question.answers.empty()) return "is_impossible is true, yet there are answers";
  return "";
}

void SquadReader::add_question(const json& object, const std::string& place) {
  SquadQuestion question = parse_question(object, place);
  data_.v2 = data_.v2 || object.contains("is_impossible");
  if (rules_.checks) {
    const std::string& whole = data_.contexts.back();
    const Characters context(whole);
    bool skip = rules_.skip_bad;
    std::string fault = fault_of(question);
    for (std::size_t k = 0; k < question.answers.size() && fault.empty(); ++k) {
      fault = settle_answer(question.answers[k], context, whole);
      if (fault.empty() || rules_.misplaced == SquadRules::Misplaced::move) continue;
      skip = rules_.misplaced == SquadRules::Misplaced::skip;
    }
    if (!fault.empty()) {
      const std::string message = text(place, " (id '", short_text(question.id), "'): ", fault);
      if (!skip) throw DataError(message);
      ++data_.counts.skipped;
      return note(message + "; question left out");
    }
  }
  ids_.insert(question.id);
  ++data_.counts.questions;
  data_.counts.impossible += question.impossible;
  data_.counts.without_answers += !question.impossible && question.answers.empty();
  data_.questions.push_back(std::move(question));
}

SquadData SquadReader::finish() {
  return std::move(data_);
}

}  // namespace data

SquadData read_squad(const std::vector<std::filesystem::path>& files, const SquadRules& rules) {
  data::SquadReader reader(rules);
  for (const auto& file : files) reader.add(data::whole_content(file), file.string());
  return reader.finish();
}

}  // namespace strata
