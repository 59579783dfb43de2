// Sentences for training a vocabulary: a sample of lines whose size is bounded.
#include <algorithm>
#include <queue>

#include "data/document.hpp"
#include "strata/base/error.hpp"
#include "strata/data/prepare.hpp"
#include "strata/data/split.hpp"
#include "strata/tensor/random.hpp"

namespace strata {
namespace {

constexpr std::size_t longest_sentence = 4000;  // [bytes] sentencepiece leaves out lines beyond 4,192
constexpr std::int64_t overhead = 64;           // [bytes] of memory that a kept line costs beside its text

/// Keeps the lines with the smallest random keys that fit into the memory.
class Sample {
 public:
  Sample(std::uint64_t seed, std::int64_t most_bytes) : seed_(seed), most_bytes_(most_bytes) {}

  void add(std::string_view line) {
    const auto bits = random_bits(seed_, RandomPurpose::split, static_cast<std::uint64_t>(seen_), 1);  // 0 draws the split
    const std::uint64_t key = (std::uint64_t{bits[0]} << 32) | bits[1];
    kept_.push({key, seen_++, std::string(line)});
    bytes_ += static_cast<std::int64_t>(line.size()) + overhead;
    while (bytes_ > most_bytes_ && kept_.size() > 1) {
      bytes_ -= static_cast<std::int64_t>(kept_.top().line.size()) + overhead;
      kept_.pop();
    }
  }

  std::vector<std::string> take() {
    std::vector<Line> lines;
    for (; !kept_.empty(); kept_.pop()) lines.push_back(kept_.top());
    std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.number < b.number; });
    std::vector<std::string> result;
    for (Line& line : lines) result.push_back(std::move(line.line));
    return result;
  }

 private:
  struct Line {
    std::uint64_t key;
    std::int64_t number;
    std::string line;
    bool operator<(const Line& other) const { return key != other.key ? key < other.key : number < other.number; }
  };
  std::uint64_t seed_;
  std::int64_t most_bytes_, bytes_ = 0, seen_ = 0;
  std::priority_queue<Line> kept_;
};

/// Where to cut a line that is too long: behind the last blank, else between two characters.
std::size_t cut_of(std::string_view line) {
  if (line.size() <= longest_sentence) return line.size();
  const std::size_t blank = line.rfind(' ', longest_sentence - 1);
  if (blank != std::string_view::npos && blank > 0) return blank + 1;
  std::size_t cut = longest_sentence;
  while ((static_cast<unsigned char>(line[cut]) & 0xc0) == 0x80) --cut;
  return cut;
}

void add_lines(std::string_view document, Sample& sample) {
  while (!document.empty()) {
    const std::size_t end = std::min(document.find('\n'), document.size());
    for (std::string_view line = document.substr(0, end); !line.empty();) {
      const std::size_t cut = cut_of(line);
      sample.add(line.substr(0, cut));
      line.remove_prefix(cut);
    }
    document.remove_prefix(std::min(end + 1, document.size()));
  }
}

}  // namespace

std::vector<std::string> sample_sentences(const PrepareConfig& config, std::uint64_t seed, std::int64_t most_bytes) {
  if (config.format == "ids") throw DeckError("tokenizer.train = true needs text: prepare.format = ids has none");
  RecordReader reader(expand_inputs(config.input), record_rules(config.format, config.documents));
  const Split split(config.split, seed);
  Sample sample(seed, most_bytes);
  for (Record record; reader.next(record);) {
    if (split.is_validation(record.number)) continue;
    try {
      add_lines(data::document_text(record, reader.files()[record.file].string(), config), sample);
    } catch (const DataError& error) {
      if (!data::skips(config, error)) throw;  // prepare itself counts and tells what is skipped
    }
  }
  std::vector<std::string> sentences = sample.take();
  if (sentences.empty()) throw DataError("the input holds no text to train a vocabulary on");
  return sentences;
}

}  // namespace strata
