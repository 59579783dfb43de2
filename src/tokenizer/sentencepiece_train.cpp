// Trains a sentencepiece vocabulary in memory.
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <unordered_map>

#include "strata/base/error.hpp"
#include "strata/tokenizer/config.hpp"
#include "strata/tokenizer/tokenizer.hpp"
#include "tokenizer/utf8.hpp"

namespace strata {
namespace {

constexpr std::int64_t smallest_vocabulary = 3 + 256 + 1;  // <unk> <s> </s>, the bytes, the line end
constexpr std::int64_t largest_vocabulary = 4'000'000;
constexpr std::size_t longest_line = 4096;  // [bytes] that the trainer is given at once

/// The lines of the sentences, without their ends. Long ones are cut before a blank, which pieces never reach across, or else between two
/// characters: the library drops lines over its limit, and ends the program where a word of 200,000 characters makes its sums overflow.
class Lines : public sentencepiece::SentenceIterator {
 public:
  /// `last`: one more line behind the others, if not empty.
  explicit Lines(const std::vector<std::string>& sentences, std::string last = "") : sentences_(sentences), last_(std::move(last)) {
    find();
  }
  bool done() const override { return line_.empty(); }
  void Next() override { find(); }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void find() {
    line_.clear();
    while (line_.empty() && sentence_ < sentences_.size()) {
      const std::string& all = sentences_[sentence_];
      if (at_ >= all.size()) {
        ++sentence_;
        at_ = 0;
        continue;
      }
      std::size_t stop = std::min(all.find('\n', at_), all.size());
      if (stop - at_ > longest_line) {
        const std::size_t limit = at_ + longest_line, blank = all.rfind(' ', limit);
        stop = blank != std::string::npos && blank > at_ ? blank : limit;
        while (stop > at_ + 1 && (static_cast<unsigned char>(all[stop]) & 0xc0) == 0x80) --stop;
      }
      line_ = all.substr(at_, stop - at_);
      at_ = stop < all.size() && all[stop] == '\n' ? stop + 1 : stop;
    }
    if (line_.empty()) std::swap(line_, last_);
    // The library drops a line that holds its own mark for rare characters; a blank in its place keeps the rest of the line.
    for (std::size_t at; (at = line_.find("\xe2\x96\x85")) != std::string::npos;) line_.replace(at, 3, " ");
  }

  const std::vector<std::string>& sentences_;
  std::size_t sentence_ = 0, at_ = 0;
  std::string line_, last_;
};

std::unordered_map<std::string, std::string> options(const TokenizerConfig& config) {
  return {{"model_type", config.kind},
          {"vocab_size", std::to_string(config.vocabulary)},
          {"unk_id", "0"},
          {"bos_id", "1"},
          {"eos_id", "2"},
          {"pad_id", "-1"},
          {"unk_piece", "<unk>"},
          {"bos_piece", "<s>"},
          {"eos_piece", "</s>"},
          {"user_defined_symbols", "\n"},    // never joined with anything, one token each
          {"byte_fallback", "true"},         // so no text is unknown
          {"character_coverage", "0.9995"},  // the rarest characters go as bytes
          {"normalization_rule_name", "identity"},
          {"add_dummy_prefix", "false"},
          {"remove_extra_whitespaces", "false"},
          {"allow_whitespace_only_pieces", "true"},  // runs of blanks may be tokens
          {"split_digits", "true"},
          {"max_sentence_length", "100000000"},
          {"shuffle_input_sentence", "false"},
          {"hard_vocab_limit", "true"},
          {"num_threads", "1"},
          {"minloglevel", "3"}};
}

/// The number behind `words` in the library's message, if it has one.
std::string number_after(const std::string& message, const std::string& words) {
  const std::size_t at = message.find(words);
  if (at == std::string::npos) return "";
  std::size_t stop = at + words.size();
  while (stop < message.size() && std::isdigit(static_cast<unsigned char>(message[stop]))) ++stop;
  return message.substr(at + words.size(), stop - at - words.size());
}

[[noreturn]] void report(const TokenizerConfig& config, const std::string& message) {
  if (const std::string most = number_after(message, "set it to a value <= "); !most.empty())
    throw DataError(
        text("tokenizer.vocabulary = ", config.vocabulary, " is too large for this text: the largest possible value is ", most));
  if (message.find("smaller than required_chars") != std::string::npos) {
    const std::string least = number_after(message, text(config.vocabulary, " vs "));
    throw DataError(text("tokenizer.vocabulary = ", config.vocabulary, " is too small for the characters of this text",
                         least.empty() ? "" : text(": the smallest possible value is ", least)));
  }
  throw DataError(text("sentencepiece could not train a vocabulary of ", config.vocabulary, " tokens: ", message));
}

/// The character that occurs most often, the smallest of equals; empty if there is none to learn.
std::string commonest_character(const std::vector<std::string>& sentences) {
  constexpr std::uint32_t blank_mark = 0x2581;
  std::map<std::uint32_t, std::int64_t> counts;
  for (Lines lines(sentences); !lines.done(); lines.Next()) {
    const std::string& line = lines.value();
    for (const char *at = line.data(), *end = at + line.size(); at < end;) {
      const auto c = utf8::decode(at, end);
      if (c.code > ' ' && c.code < utf8::raw_byte && c.code != blank_mark) ++counts[c.code];
      at += c.bytes;
    }
  }
  std::string result;
  if (counts.empty()) return result;
  const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  utf8::append(std::max_element(counts.begin(), counts.end(), less)->first, result);
  return result;
}

void check(const TokenizerConfig& config) {
  if (config.kind != "unigram" && config.kind != "bpe")
    throw DeckError(text("tokenizer.kind is 'unigram' or 'bpe', found '", config.kind, "'"));
  if (config.vocabulary < smallest_vocabulary || config.vocabulary > largest_vocabulary)
    throw DeckError(text("tokenizer.vocabulary is expected to be from ", smallest_vocabulary,
                         " (256 bytes, <unk>, <s>, </s> and the line end) to ", largest_vocabulary, ", found ", config.vocabulary));
}

}  // namespace

std::string train_sentencepiece(const TokenizerConfig& config, const std::vector<std::string>& sentences) {
  check(config);
  if (Lines(sentences).done()) throw DataError("there is no text to train the tokenizer on: the input is empty");
  const std::string common = commonest_character(sentences);
  if (common.empty()) throw DataError("there is no text to train the tokenizer on: the input holds blanks only, or no UTF-8");
  // One character alone as the last line: the library ends the program where no piece is expected to occur at least half a time, which
  // happens to short texts that repeat themselves.
  Lines lines(sentences, common);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options(config), &lines, &model);
  if (!status.ok()) report(config, status.ToString());
  return model;
}

}  // namespace strata
