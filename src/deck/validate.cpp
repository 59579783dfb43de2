// Validation: what each command needs, and checks across the keys of prepare, evaluate and convert; all findings gathered.
#include "deck/validate.hpp"

#include <algorithm>

#include "deck/schema.hpp"
#include "deck/text_tools.hpp"
#include "strata/deck/deck.hpp"

namespace strata {
namespace deck {
namespace {

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_empty(const Deck& deck, const Key& key) {
  const std::string value = deck.value(key.full_name());
  return value.empty() || value == "\"\"";
}

}  // namespace

void Validation::refuse(const std::string& key, const std::string& message) {
  problems.add(deck.where(key), key + " = " + deck.value(key) + ": " + message, {}, 0, key);
}

void Validation::missing(const std::string& key, const std::string& message) {
  // An empty value that is given has a place worth naming.
  const std::string place = deck.given(key) ? deck.where(key) : "strata " + std::string(command);
  problems.add(place, key + " is missing: " + message, {}, 0, key);
}

std::string Validation::quote(const std::string& key) const {
  return key + " = " + deck.value(key) + " (" + deck.where(key) + ")";
}

void validate_required(Validation& v) {
  for (const auto& section : schema()) {
    for (const auto& key : section.keys) {
      const bool needed = std::find(key.required_by.begin(), key.required_by.end(), v.command) != key.required_by.end();
      if (needed && is_empty(v.deck, key)) v.missing(key.full_name(), key.sentence);
    }
  }
}

void validate_tokenizer(Validation& v) {
  const auto& t = v.settings().tokenizer;
  if (v.command != "prepare") return;
  const bool ids = v.settings().prepare.format == "ids";
  const bool squad = v.settings().prepare.format == "squad";
  if (t.train && squad) v.refuse("tokenizer.train", "SQuAD needs a WordPiece vocabulary, which is not trained here");
  if (t.train && ids) v.refuse("tokenizer.train", "there is no text to train on with " + v.quote("prepare.format"));
  if (t.path.empty() && !ids) v.missing("tokenizer.path", t.train ? "the .model file to write" : "the tokenizer of the text");
  if (t.train && !t.path.empty() && !ends_with(t.path, ".model")) {
    v.refuse("tokenizer.path", "tokenizer.train writes a sentencepiece model; expected a name ending in .model");
  }
}

void validate_prepare(Validation& v) {
  if (v.command != "prepare") return;
  const auto& p = v.settings().prepare;
  if (p.format != "text" && p.documents != "file") {
    v.refuse("prepare.documents", "divides plain text; with " + v.quote("prepare.format") + " a line is a document");
  }
  if (!p.validation_output.empty() && p.split == 0)
    v.refuse("prepare.validation_output", "nothing goes there with " + v.quote("prepare.split"));
  if (p.format == "squad" && p.split > 0)
    v.refuse("prepare.split", "SQuAD comes with validation files of its own: prepare train and dev apart");
  if (!p.output.empty() && p.output == p.validation_output)
    v.refuse("prepare.validation_output", "the file of " + v.quote("prepare.output"));
  if (p.pack == "concat" && p.separator == "none") {
    v.refuse("prepare.separator", "prepare.pack = concat puts a token behind every document (semantics S5); expected eos, bos or a token");
  }
}

void validate_evaluate(Validation& v) {
  const auto& s = v.settings();
  const bool evaluates = v.command == "evaluate", generates = v.command == "generate";
  if (!evaluates && !generates) return;
  if (evaluates && !s.evaluate.score.empty()) {
    if (s.evaluate.references.empty()) v.missing("evaluate.references", "the SQuAD JSON that " + v.quote("evaluate.score") + " answers");
    return;
  }
  if (evaluates && !s.evaluate.references.empty())
    v.refuse("evaluate.references", "nothing is compared with them: name predictions in evaluate.score");
  if (evaluates && !s.evaluate.null_odds.empty()) v.refuse("evaluate.null_odds", "belongs to predictions: name them in evaluate.score");
  const std::string section(v.command);
  const bool has_checkpoint = !(evaluates ? s.evaluate.checkpoint : s.generate.checkpoint).empty();
  if (!has_checkpoint && s.model.weights == "random" && s.model.config.empty()) {
    v.missing(section + ".checkpoint", "a checkpoint or a folder of checkpoints; or give model.weights");
  }
  if (evaluates && s.evaluate.data.empty() && s.data.validation.empty())
    v.missing("evaluate.data", "a token or feature file; or give data.validation");
}

void validate_convert(Validation& v) {
  if (v.command != "convert") return;
  const auto& c = v.settings().convert;
  if (!c.from.empty() && c.from == c.to) v.refuse("convert.to", "the same as " + v.quote("convert.from"));
}

}  // namespace deck

std::vector<DeckMistake> contradictions(const Deck& deck, std::string_view command, std::int64_t ranks) {
  deck::Validation v{deck, command, ranks, {}};
  for (const auto check :
       {deck::validate_required, deck::validate_model, deck::validate_tokenizer, deck::validate_prepare, deck::validate_batch,
        deck::validate_train, deck::validate_schedule, deck::validate_device, deck::validate_evaluate, deck::validate_convert}) {
    check(v);
  }
  std::vector<DeckMistake> found;
  for (const DeckMistake& mistake : v.problems.sorted()) {
    const auto concerned = [&](const std::string& key) { return mistake.key == key || deck::mentions(mistake.message, key); };
    if (std::none_of(deck.undecided().begin(), deck.undecided().end(), concerned)) found.push_back(mistake);
  }
  return found;
}

void validate(const Deck& deck, std::string_view command, std::int64_t ranks) {
  throw_mistakes(contradictions(deck, command, ranks));
}

}  // namespace strata
