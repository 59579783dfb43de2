#pragma once
// Settings of the deck's [data] and [prepare] sections.
#include <cstdint>
#include <string>
#include <vector>

namespace strata {

struct DataConfig {
  std::string train;            // token file, or feature file
  std::string validation;       // the same; empty: no validation
  std::int64_t sequence = 512;  // [tokens]
  bool shuffle = true;          // false: file order
  std::string order;            // file with the numbers of the samples in the order wanted; empty: as shuffle says
  bool mask_documents = false;  // true: no attention across documents in a sequence
};

struct PrepareConfig {
  std::vector<std::string> input;         // files or globs; .gz and .zst too
  std::string format = "text";            // text | jsonl | ids | squad
  std::string documents = "file";         // file | line | blank_line | between:TEXT
  std::string field = "text";             // jsonl: the field that holds the text
  std::string output;                     // token file
  std::string validation_output;          // token file of the validation share; default: output with -valid before its ending
  double split = 0.0;                     // share of documents that go to validation
  std::string separator = "eos";          // eos | bos | none | a token
  std::string pack = "stream";            // stream: one long sequence of tokens | documents: sequences never cross a document | concat: S5
  bool wrap = true;                       // concat: keep the rest of a document for the next sequence
  std::int64_t sequence = 0;              // [tokens] for pack = concat and documents; 0: data.sequence
  std::string normalise = "none";         // none | nfc
  std::string on_error = "stop";          // stop | skip: what to do with a bad line, invalid UTF-8 or a token beyond the vocabulary
  std::string invalid_utf8 = "on_error";  // on_error | stop | skip | replace: what to do with bytes that are not UTF-8
  std::int64_t vocabulary = 0;            // format ids: vocabulary size where neither tokenizer nor model.config says
  std::int64_t stride = 128;              // [tokens] squad: what neighbouring stretches of a context share
  std::int64_t max_question = 0;          // [tokens] squad: longer questions are cut; 0: never
  std::string misplaced_answers = "on_error";  // squad: on_error | stop | skip | move | keep
  std::string labels = "context";              // squad: context | run_qa: the start of an answer in a stretch's last token
  std::int64_t truncate = 0;                   // [tokens] cut each document at this length (S5's model_max_length); 0: never
};

}  // namespace strata
