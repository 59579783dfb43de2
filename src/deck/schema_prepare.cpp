// Keys of [prepare]: inputs, documents, packing and outputs.
#include "deck/schema.hpp"

namespace strata::deck {
namespace {

bool is_document_rule(const std::string& value) {
  constexpr std::string_view between = "between:";
  const bool by_text = value.size() > between.size() && value.compare(0, between.size(), between) == 0;
  return value == "file" || value == "line" || value == "blank_line" || (by_text && value.find('\n') == std::string::npos);
}

}  // namespace

Section schema_prepare() {
  using C = PrepareConfig;
  Table<C> table("prepare", "Text to token files.", &Settings::prepare);
  table.row("input", &C::input, Texts(), "", "Files or globs, read in this order, a glob's files by name; .gz and .zst too.")
      .required({"prepare"});
  table.row("format", &C::format, Choice({{"text", "jsonl", "ids", "squad"}}), "",
            "Plain text, JSON lines with a text field, JSON lines {\"input_ids\": [...]} of data tokenized elsewhere, or SQuAD's JSON.");
  table.row(
      "documents", &C::documents, Text("file | line | blank_line | between:TEXT", is_document_rule), "",
      "Where a document of plain text ends: with the file, the line, at a blank line, or at a line that reads TEXT, as in between:%.");
  table.row("field", &C::field, Text::some(), "", "jsonl: the field that holds the text.");
  table.row("output", &C::output, Text(), "", "Token file to write (squad: feature file).").required({"prepare"});
  table.row("validation_output", &C::validation_output, Text(), "",
            "Token file of the validation share; empty: the name of output with -valid before its ending.");
  table.row("split", &C::split, Real::from_up_to_below(0, 1), "1", "Share of the documents that goes to validation.");
  table.row("separator", &C::separator, Text("eos | bos | none | a token", [](const std::string& v) { return !v.empty(); }), "",
            "Token between documents.");
  table.row("pack", &C::pack, Choice({{"stream", "documents", "concat"}}), "",
            "One long stream of tokens; sequences that never cross a document; or ConcatTokens (semantics S5).");
  table.row("wrap", &C::wrap, Flag(), "", "concat: the rest of a document goes on in the next sequence; false: it is dropped.");
  table.row("sequence", &C::sequence, Whole::between(2, 1u << 24).word("auto", 0), "tokens",
            "Length of a packed sequence, or of a row of SQuAD; auto: data.sequence.");
  table.row("normalise", &C::normalise, Choice({{"none", "nfc"}}), "", "Unicode normalisation before tokenizing.");
  table.row(
      "on_error", &C::on_error, Choice({{"stop", "skip"}}), "",
      "What to do with a bad line or question, invalid UTF-8 or a token beyond the vocabulary; what is skipped is counted and reported.");
  table.row(
      "invalid_utf8", &C::invalid_utf8, Choice({{"on_error", "stop", "skip", "replace"}}), "",
      "What to do with a document whose bytes are not UTF-8: as prepare.on_error says, stop, leave it out, or put U+FFFD in their place; "
      "counted and reported with file, line and byte.");
  table.row("stride", &C::stride, Whole::at_least(0), "tokens", "squad: tokens that neighbouring stretches of a long context share.");
  table.row("max_question", &C::max_question, Whole::at_least(0), "tokens", "squad: longer questions are cut at this length; 0: never.");
  table.row("misplaced_answers", &C::misplaced_answers, Choice({{"on_error", "stop", "skip", "move", "keep"}}), "",
            "squad: what to do with a question whose answer is not at its offset: as prepare.on_error says, stop, leave it out, move the "
            "answer to where its text stands next to the offset, or let the offset count; counted and named.");
  table.row(
      "labels", &C::labels, Choice({{"context", "run_qa"}}), "",
      "squad: start label of an answer that begins in a stretch's last token: that token, or sequence - 1 as in Hugging Face's script.");
  table.row("vocabulary", &C::vocabulary, Whole::between(1, 1u << 31).word("auto", 0), "tokens",
            "ids: size of the vocabulary; auto: from the tokenizer or model.config.");
  table.row("truncate", &C::truncate, Whole::at_least(0), "tokens", "Cut every document at this length; 0: never.");
  return table.done();
}

}  // namespace strata::deck
