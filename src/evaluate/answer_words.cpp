// Normalisation of answers, and the scores of one.
#include <algorithm>
#include <map>

#include "strata/data/characters.hpp"
#include "strata/evaluate/squad_score.hpp"
#include "strata/tokenizer/python_text.hpp"

namespace strata {
namespace {

bool is_punctuation(char32_t code) {  // Python's string.punctuation
  return (code >= 0x21 && code <= 0x2f) || (code >= 0x3a && code <= 0x40) || (code >= 0x5b && code <= 0x60) ||
         (code >= 0x7b && code <= 0x7e);
}

/// Each whole word a, an, the becomes a blank.
std::u32string without_articles(const std::u32string& text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && is_python_word(text[end])) ++end;
    if (end == at) {
      out.push_back(text[at++]);
      continue;
    }
    const std::u32string_view word = std::u32string_view(text).substr(at, end - at);
    if (word == U"a" || word == U"an" || word == U"the")
      out.push_back(U' ');
    else
      out += word;
    at = end;
  }
  return out;
}

}  // namespace

std::vector<std::string> answer_words(const std::string& answer) {
  std::u32string text = python_lower(code_points(answer));
  text.erase(std::remove_if(text.begin(), text.end(), is_punctuation), text.end());
  text = without_articles(text);
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && !is_python_space(text[end])) ++end;
    if (end > at) words.push_back(utf8_text(std::u32string_view(text).substr(at, end - at)));
    at = end + 1;
  }
  return words;
}

double exact_match(const std::string& prediction, const std::string& gold) {
  return answer_words(prediction) == answer_words(gold) ? 1 : 0;
}

double answer_f1(const std::string& prediction, const std::string& gold, bool v2) {
  const std::vector<std::string> said = answer_words(prediction), right = answer_words(gold);
  if (v2 && (said.empty() || right.empty())) return said == right ? 1 : 0;
  std::map<std::string, std::int64_t> left;
  for (const std::string& word : right) ++left[word];
  std::int64_t common = 0;
  for (const std::string& word : said)
    if (auto found = left.find(word); found != left.end() && found->second > 0) --found->second, ++common;
  if (common == 0) return 0;
  const double precision = 1.0 * static_cast<double>(common) / static_cast<double>(said.size());
  const double recall = 1.0 * static_cast<double>(common) / static_cast<double>(right.size());
  return (2 * precision * recall) / (precision + recall);
}

AnswerScore score_answer(const std::string& prediction, const std::vector<SquadAnswer>& golds, bool v2) {
  std::vector<std::string> texts;
  for (const SquadAnswer& gold : golds)
    if (!v2 || !answer_words(gold.text).empty()) texts.push_back(gold.text);
  if (v2 && texts.empty()) texts.emplace_back();
  AnswerScore best;
  for (const std::string& gold : texts) {
    best.exact = std::max(best.exact, exact_match(prediction, gold));
    best.f1 = std::max(best.f1, answer_f1(prediction, gold, v2));
  }
  return best;
}

}  // namespace strata
