// Feature file: read whole, every checksum and number checked.
#include "strata/data/feature_file.hpp"

#include <algorithm>

#include "data/feature_layout.hpp"
#include "strata/base/error.hpp"
#include "strata/base/utf8.hpp"

namespace strata {
namespace fs = std::filesystem;
using data::Digest;
using data::LayoutPart;
namespace {

[[noreturn]] void fail(const h5::File& file, const std::string& what) {
  throw DataError(text(file.path().string(), ": ", what));
}

void check_format(const h5::File& file) {
  if (!file.has_attribute("/", "format") || file.string("/", "format") != data::feature_format_name)
    fail(file,
         "this is not a feature file: the attribute format is expected to be \"strata features\" (make one with `strata prepare` and "
         "prepare.format = squad)");
  if (const std::int64_t version = file.integer("/", "version"); version != data::feature_format_version)
    fail(file, text("feature file version ", version, ": this Strata reads version ", data::feature_format_version,
                    "; use the Strata that wrote it, or prepare it again"));
  std::vector<std::pair<std::string, h5::AttributeValue>> attributes;
  for (const std::string& name : file.attribute_names("/")) attributes.emplace_back(name, file.attribute("/", name));
  Digest expected{};
  const h5::DatasetInfo stored = file.dataset(data::attributes_checksum);
  if (stored.type != DType::u8 || stored.elements() != 16) fail(file, text(data::attributes_checksum, " is expected to have 16 bytes"));
  file.read(stored, 0, 16, expected.data());
  if (data::attributes_digest(attributes) != expected) fail(file, "the attributes are damaged or were changed: their checksum differs");
}

/// Reads datasets into memory and compares them with their checksums.
class PartReader {
 public:
  explicit PartReader(const h5::File& file) : file_(file) {}

  /// `expected` < 0: any number of elements.
  template <class T>
  std::vector<T> read(const char* name, DType type, std::int64_t expected = -1, bool in_hash = true) {
    const std::string path = text("/", name);
    if (!file_.has(path)) fail(file_, text("there is no dataset ", path));
    const h5::DatasetInfo info = file_.dataset(path);
    if (info.type != type) fail(file_, text(path, " is expected to hold ", name_of(type), " and holds ", name_of(info.type)));
    if (expected >= 0 && info.elements() != expected)
      fail(file_, text(path, " is expected to have ", expected, " elements and has ", info.elements()));
    std::vector<T> values(static_cast<std::size_t>(info.elements()));
    if (!values.empty()) file_.read(info, 0, info.elements(), values.data());
    compare({name, type, info.elements(), in_hash}, reinterpret_cast<const char*>(values.data()));
    return values;
  }

  /// Ids, checked against the vocabulary, as u32 whatever they are stored as.
  std::vector<std::uint32_t> read_ids(const char* name, const FeatureFileInfo& info, std::int64_t expected) {
    std::vector<std::uint32_t> ids;
    if (data::token_type(info.vocabulary) == DType::u16) {
      const auto narrow = read<std::uint16_t>(name, DType::u16, expected);
      ids.assign(narrow.begin(), narrow.end());
    } else {
      ids = read<std::uint32_t>(name, DType::u32, expected);
    }
    const auto beyond = std::find_if(ids.begin(), ids.end(), [&](std::uint32_t id) { return id >= info.vocabulary; });
    if (beyond != ids.end())
      fail(file_, text("/", name, "[", beyond - ids.begin(), "] = ", *beyond, " is no token: the vocabulary has ", info.vocabulary));
    return ids;
  }

  /// Offsets from 0 to `end` that never fall, one more than `count`.
  std::vector<std::int64_t> read_offsets(const char* name, std::int64_t count, std::int64_t end) {
    auto offsets = read<std::int64_t>(name, DType::i64, count + 1);
    const auto falls = std::is_sorted_until(offsets.begin(), offsets.end());
    if (offsets.front() != 0 || offsets.back() != end || falls != offsets.end())
      fail(file_, text("/", name, " is expected to rise from 0 to ", end, "; entry ",
                       falls != offsets.end() ? falls - offsets.begin() : (offsets.front() != 0 ? 0 : count), " does not"));
    return offsets;
  }

  const std::vector<Digest>& digests() const { return digests_; }

 private:
  void compare(const LayoutPart& part, const char* bytes) {
    const h5::DatasetInfo info = file_.dataset(part.checksums());
    if (info.type != DType::u8 || info.elements() != part.pieces() * 16)
      fail(file_, text(part.checksums(), " is expected to have ", part.pieces() * 16, " bytes"));
    std::vector<Digest> digests(static_cast<std::size_t>(part.pieces()));
    if (!digests.empty()) file_.read(info, 0, part.pieces() * 16, digests.data());
    for (std::int64_t k = 0; k < part.pieces(); ++k) {
      const std::int64_t begin = k * data::piece_bytes, size = std::min(data::piece_bytes, part.bytes() - begin);
      if (data::digest_of(bytes + begin, static_cast<std::size_t>(size)) != digests[static_cast<std::size_t>(k)])
        fail(file_, text("piece ", k, " of ", part.path(), " is damaged: its checksum differs; copy or prepare the file again"));
    }
    if (part.in_hash) digests_.insert(digests_.end(), digests.begin(), digests.end());
  }

  const h5::File& file_;
  std::vector<Digest> digests_;
};

template <class T>
std::span<const T> slice(const std::vector<T>& values, std::int64_t first, std::int64_t count) {
  return std::span<const T>(values).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

}  // namespace

struct FeatureFile::State {
  explicit State(const fs::path& path) : file(path) {}
  void load();
  void load_contexts(PartReader& reader);
  void load_questions(PartReader& reader);
  void load_features(PartReader& reader);
  void check_feature(std::int64_t k) const;

  std::int64_t context_start(std::int64_t question) const {
    return context_starts[static_cast<std::size_t>(questions[static_cast<std::size_t>(question)].context)];
  }
  std::int64_t question_length(std::int64_t question) const {
    return question_starts[static_cast<std::size_t>(question) + 1] - question_starts[static_cast<std::size_t>(question)];
  }
  const std::int32_t* columns(std::int64_t k) const { return features.data() + k * data::feature_columns; }

  h5::File file;
  FeatureFileInfo info;
  std::string hash;
  std::vector<std::string> contexts;
  std::vector<SquadQuestion> questions;
  std::vector<std::uint32_t> context_tokens, question_tokens;
  std::vector<std::int32_t> context_ranges, features;
  std::vector<std::int64_t> context_starts, question_starts, first_features;
};

void FeatureFile::State::load_contexts(PartReader& reader) {
  const auto all = reader.read<char>("context_text", DType::u8);
  const auto places = reader.read_offsets("contexts", info.contexts, static_cast<std::int64_t>(all.size()));
  for (std::size_t c = 0; c + 1 < places.size(); ++c) {
    contexts.emplace_back(all.data() + places[c], static_cast<std::size_t>(places[c + 1] - places[c]));
    if (first_invalid_utf8(contexts.back()) != std::string::npos) fail(file, text("context ", c, " is not UTF-8"));
  }
  context_tokens = reader.read_ids("context_tokens", info, info.context_tokens);
  context_ranges = reader.read<std::int32_t>("context_ranges", DType::i32, 2 * info.context_tokens);
  context_starts = reader.read_offsets("context_starts", info.contexts, info.context_tokens);
  for (std::size_t c = 0; c < contexts.size(); ++c) {
    const std::int64_t characters = Characters(contexts[c]).size();
    for (std::int64_t i = 2 * context_starts[c]; i < 2 * context_starts[c + 1]; ++i)
      if (context_ranges[static_cast<std::size_t>(i)] < 0 || context_ranges[static_cast<std::size_t>(i)] > characters)
        fail(file, text("/context_ranges: token ", i / 2, " is said to lie outside its context of ", characters, " characters"));
  }
}

void FeatureFile::State::load_questions(PartReader& reader) {
  question_tokens = reader.read_ids("question_tokens", info, info.question_tokens);
  question_starts = reader.read_offsets("question_starts", info.questions, info.question_tokens);
  const auto of_context = reader.read<std::int32_t>("question_contexts", DType::i32, info.questions);
  const auto lines = reader.read<char>("questions", DType::u8);
  try {
    questions = data::questions_from(lines);
  } catch (const DataError& error) {
    fail(file, text("/questions: ", error.what()));
  }
  if (static_cast<std::int64_t>(questions.size()) != info.questions)
    fail(file, text("/questions has ", questions.size(), " lines, expected ", info.questions));
  for (std::size_t q = 0; q < questions.size(); ++q) {
    if (of_context[q] < 0 || of_context[q] >= info.contexts)
      fail(file, text("/question_contexts[", q, "] = ", of_context[q], ": there are ", info.contexts, " contexts"));
    questions[q].context = of_context[q];
  }
}

void FeatureFile::State::check_feature(std::int64_t k) const {
  const std::int32_t* row = columns(k);
  const auto need = [&](bool good, const char* what) {
    if (!good) fail(file, text("/features[", k, "]: ", what));
  };
  need(row[0] >= 0 && row[0] < info.questions, "the question does not exist");
  const auto context = static_cast<std::size_t>(questions[static_cast<std::size_t>(row[0])].context);
  const std::int64_t tokens = context_starts[context + 1] - context_starts[context];
  need(row[1] >= 0 && row[2] >= 0 && std::int64_t{row[1]} + row[2] <= tokens, "its tokens lie outside the context");
  need(question_length(row[0]) + row[2] + 3 <= info.sequence, "it is longer than the sequence");
  need(row[3] >= 0 && row[3] < info.sequence && row[4] >= 0 && row[4] < info.sequence, "its labels lie outside the sequence");
}

void FeatureFile::State::load_features(PartReader& reader) {
  features = reader.read<std::int32_t>("features", DType::i32, info.features * data::feature_columns);
  first_features.assign(static_cast<std::size_t>(info.questions) + 1, 0);
  std::int64_t last = -1;
  for (std::int64_t k = 0; k < info.features; ++k) {
    check_feature(k);
    const std::int32_t question = columns(k)[0];
    if (question != last && question != last + 1)
      fail(file,
           text("/features[", k, "] is of question ", question, " behind one of question ", last, ": every question in order is expected"));
    if (question != last) first_features[static_cast<std::size_t>(question)] = k;
    last = question;
  }
  if (last + 1 != info.questions) fail(file, text("/features ends with question ", last, " of ", info.questions));
  first_features.back() = info.features;
}

void FeatureFile::State::load() {
  check_format(file);
  info = data::feature_info_from(file);
  if (info.questions < 1 || info.sequence < 4 || info.sequence > (1 << 24))
    fail(file,
         text("questions = ", info.questions, ", sequence = ", info.sequence, ": expected at least one and rows of 4 to 16777216 tokens"));
  PartReader reader(file);
  load_contexts(reader);
  load_questions(reader);
  load_features(reader);
  const auto lines = reader.read<char>("sources", DType::u8, -1, false);
  try {
    info.sources = data::sources_from(std::string(lines.begin(), lines.end()));
  } catch (const DataError& error) {
    fail(file, text("/sources: ", error.what()));
  }
  const Digest digest = data::feature_digest(info, reader.digests());
  Digest expected{};
  const h5::DatasetInfo stored = file.dataset(data::dataset_checksum);
  if (stored.type != DType::u8 || stored.elements() != 16) fail(file, text(data::dataset_checksum, " is expected to have 16 bytes"));
  file.read(stored, 0, 16, expected.data());
  if (digest != expected) fail(file, "the checksums are damaged or were changed: the checksum over them differs");
  hash = data::hexadecimal(digest);
}

FeatureFile::FeatureFile(const fs::path& path) : state_(std::make_unique<State>(path)) {
  state_->load();
}
FeatureFile::~FeatureFile() = default;
FeatureFile::FeatureFile(FeatureFile&&) noexcept = default;
FeatureFile& FeatureFile::operator=(FeatureFile&&) noexcept = default;

const fs::path& FeatureFile::path() const {
  return state_->file.path();
}
const FeatureFileInfo& FeatureFile::info() const {
  return state_->info;
}
const std::string& FeatureFile::hash() const {
  return state_->hash;
}

Feature FeatureFile::feature(std::int64_t k) const {
  STRATA_ASSERT(k >= 0 && k < state_->info.features, "feature ", k, " of ", state_->info.features);
  const std::int32_t* row = state_->columns(k);
  return {row[0], {row[1], row[2]}, state_->question_length(row[0]) + row[2] + 3, {row[3], row[4]}};
}

Feature FeatureFile::row(std::int64_t k, std::int32_t* ids, std::int32_t* types) const {
  const Feature of = feature(k);
  const State& s = *state_;
  const auto question = slice(s.question_tokens, s.question_starts[static_cast<std::size_t>(of.question)], s.question_length(of.question));
  fill_row(s.info.frame, question, slice(s.context_tokens, s.context_start(of.question) + of.span.first, of.span.count), s.info.sequence,
           ids, types);
  return of;
}

bool FeatureFile::in_context(std::int64_t k, std::int64_t position) const {
  const Feature of = feature(k);
  return position >= of.used - 1 - of.span.count && position < of.used - 1;
}

TextRange FeatureFile::range(std::int64_t k, std::int64_t position) const {
  if (!in_context(k, position)) return {};
  const Feature of = feature(k);
  const std::int64_t token = state_->context_start(of.question) + of.span.first + position - (of.used - 1 - of.span.count);
  const std::int32_t* range = state_->context_ranges.data() + 2 * token;
  return {static_cast<std::uint32_t>(range[0]), static_cast<std::uint32_t>(range[1])};
}

std::pair<std::int64_t, std::int64_t> FeatureFile::features_of(std::int64_t question) const {
  return {state_->first_features.at(static_cast<std::size_t>(question)), state_->first_features.at(static_cast<std::size_t>(question) + 1)};
}

const SquadQuestion& FeatureFile::question(std::int64_t number) const {
  return state_->questions.at(static_cast<std::size_t>(number));
}

const std::vector<SquadQuestion>& FeatureFile::questions() const {
  return state_->questions;
}

const std::string& FeatureFile::context(std::int64_t number) const {
  return state_->contexts.at(static_cast<std::size_t>(number));
}

bool is_feature_file(const fs::path& path) {
  try {
    const h5::File file(path);
    return file.has_attribute("/", "format") && file.string("/", "format") == data::feature_format_name;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace strata
