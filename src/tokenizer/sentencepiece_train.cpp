// Trains a sentencepiece vocabulary in memory.
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <cctype>
#include <unordered_map>

#include "strata/base/error.hpp"
#include "strata/tokenizer/config.hpp"
#include "strata/tokenizer/tokenizer.hpp"

namespace strata {
namespace {

constexpr std::int64_t smallest_vocabulary = 3 + 256 + 1;  // <unk> <s> </s>, the bytes, the line end
constexpr std::int64_t largest_vocabulary = 4'000'000;
constexpr std::size_t longest_line = 16384;  // [bytes] that the trainer is given at once

/// The lines of the sentences, without their ends, cut before a blank where they are long: pieces never reach across blanks or line ends, so
/// nothing is lost, and the library's own limit (it drops longer lines) is never met.
class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& sentences) : sentences_(sentences) { find(); }
  bool done() const override { return sentence_ >= sentences_.size(); }
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
        const std::size_t blank = all.find(' ', at_ + longest_line);
        stop = std::min({stop, blank, at_ + 64 * longest_line});
        while (stop < all.size() && stop > at_ + 1 && (static_cast<unsigned char>(all[stop]) & 0xc0) == 0x80) --stop;
      }
      line_ = all.substr(at_, stop - at_);
      at_ = stop < all.size() && all[stop] == '\n' ? stop + 1 : stop;
    }
  }

  const std::vector<std::string>& sentences_;
  std::size_t sentence_ = 0, at_ = 0;
  std::string line_;
};

std::unordered_map<std::string, std::string> options(const TokenizerConfig& config) {
  return {{"model_type", config.kind},
          {"vocab_size", std::to_string(config.vocabulary)},
          {"unk_id", "0"}, {"bos_id", "1"}, {"eos_id", "2"}, {"pad_id", "-1"},
          {"unk_piece", "<unk>"}, {"bos_piece", "<s>"}, {"eos_piece", "</s>"},
          {"user_defined_symbols", "\n"},          // never joined with anything, one token each
          {"byte_fallback", "true"},               // so no text is unknown
          {"character_coverage", "0.9995"},        // the rarest characters go as bytes
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
    throw DataError(text("tokenizer.vocabulary = ", config.vocabulary, " is too large for this text: the largest possible value is ", most));
  if (message.find("smaller than required_chars") != std::string::npos) {
    const std::string least = number_after(message, text(config.vocabulary, " vs "));
    throw DataError(text("tokenizer.vocabulary = ", config.vocabulary, " is too small for the characters of this text",
                         least.empty() ? "" : text(": the smallest possible value is ", least)));
  }
  throw DataError(text("sentencepiece could not train a vocabulary of ", config.vocabulary, " tokens: ", message));
}

void check(const TokenizerConfig& config, const std::vector<std::string>& sentences) {
  if (config.kind != "unigram" && config.kind != "bpe") throw DeckError(text("tokenizer.kind is 'unigram' or 'bpe', found '", config.kind, "'"));
  if (config.vocabulary < smallest_vocabulary || config.vocabulary > largest_vocabulary)
    throw DeckError(text("tokenizer.vocabulary is expected to be from ", smallest_vocabulary, " (256 bytes, <unk>, <s>, </s> and the line end) to ",
                         largest_vocabulary, ", found ", config.vocabulary));
  if (Lines(sentences).done()) throw DataError("there is no text to train the tokenizer on: the input is empty");
}

}  // namespace

std::string train_sentencepiece(const TokenizerConfig& config, const std::vector<std::string>& sentences) {
  check(config, sentences);
  Lines lines(sentences);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options(config), &lines, &model);
  if (!status.ok()) report(config, status.ToString());
  return model;
}

}  // namespace strata
