// Token file: opening, with everything but /tokens checked.
#include "strata/data/token_file.hpp"

#include <algorithm>
#include <optional>

#include "data/token_layout.hpp"
#include "data/token_pieces.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace fs = std::filesystem;
using data::Digest;
using data::LayoutPart;
namespace {

constexpr std::int64_t anchor_step = 1024;  // documents between two offsets kept in memory

[[noreturn]] void fail(const h5::File& file, const std::string& what) {
  throw DataError(text(file.path().string(), ": ", what));
}

h5::DatasetInfo expect_dataset(const h5::File& file, const std::string& path, DType type, const std::vector<std::int64_t>& shape) {
  if (!file.has(path)) fail(file, text("there is no dataset ", path));
  const h5::DatasetInfo info = file.dataset(path);
  if (info.type != type) fail(file, text(path, " is expected to hold ", name_of(type), " and holds ", name_of(info.type)));
  const auto words = [](const std::vector<std::int64_t>& s) {
    std::string result;
    for (const std::int64_t n : s) result += (result.empty() ? "" : " x ") + std::to_string(n);
    return result;
  };
  if (info.shape != shape) fail(file, text(path, " is expected to have ", words(shape), " elements and has ", words(info.shape)));
  return info;
}

std::vector<Digest> digests_of(const h5::File& file, const std::string& path, std::int64_t count) {
  const h5::DatasetInfo info = expect_dataset(file, path, DType::u8, {count, 16});
  std::vector<Digest> digests(static_cast<std::size_t>(count));
  file.read(info, 0, count * 16, digests.data());
  return digests;
}

void check_version(const h5::File& file) {
  if (!file.has_attribute("/", "format") || file.string("/", "format") != data::format_name)
    fail(file, "this is not a token file: the attribute format is expected to be \"strata tokens\" (make one with `strata prepare`)");
  const std::int64_t version = file.integer("/", "version");
  if (version != data::format_version)
    fail(file, text("token file version ", version, ": this Strata reads version ", data::format_version,
                    "; use the Strata that wrote it, or prepare it again"));
}

void check_attributes(const h5::File& file) {
  std::vector<std::pair<std::string, h5::AttributeValue>> attributes;
  for (const std::string& name : file.attribute_names("/")) attributes.emplace_back(name, file.attribute("/", name));
  if (data::attributes_digest(attributes) != digests_of(file, data::attributes_checksum, 1)[0])
    fail(file, "the attributes are damaged or were changed: their checksum differs");
}

void check_info(const h5::File& file, const TokenFileInfo& info) {
  const auto need = [&](bool good, const std::string& what) {
    if (!good) fail(file, what);
  };
  need(info.vocabulary >= 1 && info.vocabulary <= INT32_MAX, text("vocabulary = ", info.vocabulary, ": expected 1 to 2147483647"));
  need(info.separator_id >= -1 && info.separator_id < info.vocabulary,
       text("separator_id = ", info.separator_id, " is not below the vocabulary of ", info.vocabulary));
  need(info.padding_id >= -1 && info.padding_id < info.vocabulary,
       text("padding_id = ", info.padding_id, " is not below the vocabulary of ", info.vocabulary));
  need(info.tokens >= 1, text("tokens = ", info.tokens, ": expected at least one"));
  need(info.documents >= 0 && info.documents < INT64_MAX / 16, text("documents = ", info.documents, ": expected a count"));
  need(info.pack == "stream" || info.pack == "concat" || info.pack == "documents",
       text("pack = ", info.pack, ": expected stream, concat or documents"));
  if (info.pack != "stream")
    need(info.sequence >= 2 && info.tokens % info.sequence == 0,
         text("sequence = ", info.sequence, ": expected at least 2 and a divisor of the ", info.tokens, " tokens"));
}

/// Takes a part piece by piece, each compared with its checksum: visit(first element, elements, memory).
template <class T, class Visit>
void for_each_piece(const h5::File& file, const LayoutPart& part, const h5::DatasetInfo& info, const std::vector<Digest>& digests,
                    Visit visit) {
  constexpr auto in_piece = data::piece_bytes / static_cast<std::int64_t>(sizeof(T));
  std::vector<T> memory(static_cast<std::size_t>(std::min(in_piece, part.elements)));
  for (std::int64_t first = 0; first < part.elements; first += in_piece) {
    const std::int64_t count = std::min(in_piece, part.elements - first);
    file.read(info, first, count, memory.data());
    if (data::digest_of(memory.data(), static_cast<std::size_t>(count) * sizeof(T)) != digests[static_cast<std::size_t>(first / in_piece)])
      fail(file, text("elements ", first, " to ", first + count - 1, " of ", part.path(), " are damaged: their checksum differs"));
    visit(first, count, memory.data());
  }
}

}  // namespace

struct TokenFileReader::State {
  explicit State(const fs::path& path) : file(path) {}
  void load_parts();
  void load_documents(const LayoutPart& part, const h5::DatasetInfo& dataset, const std::vector<Digest>& digests);
  void load_lengths(const LayoutPart& part, const h5::DatasetInfo& dataset, const std::vector<Digest>& digests);
  void load_counts(const LayoutPart& part, const h5::DatasetInfo& dataset, const std::vector<Digest>& digests);
  void load_sources(const LayoutPart& part, const h5::DatasetInfo& dataset, const std::vector<Digest>& digests);

  h5::File file;
  TokenFileInfo info;
  std::string hash;
  h5::DatasetInfo documents;
  std::vector<std::int64_t> anchors;  // offsets of documents 0, 1024, 2048, ...
  std::vector<std::int32_t> lengths;
  std::optional<data::TokenPieces> pieces;
};

void TokenFileReader::State::load_documents(const LayoutPart& part, const h5::DatasetInfo& dataset, const std::vector<Digest>& digests) {
  documents = dataset;
  std::int64_t last = 0;
  for_each_piece<std::int64_t>(file, part, dataset, digests, [&](std::int64_t first, std::int64_t count, const std::int64_t* offsets) {
    if (first == 0 && offsets[0] != 0)
      fail(file, text("/documents[0] = ", offsets[0], ": the first document is expected to start at token 0"));
    for (std::int64_t i = 0; i < count; ++i) {
      if (offsets[i] < last)
        fail(file, text("/documents[", first + i, "] = ", offsets[i], " lies before the document before it, which starts at ", last));
      last = offsets[i];
      if ((first + i) % anchor_step == 0) anchors.push_back(last);
    }
  });
  if (last != info.tokens)
    fail(file,
         text("/documents[", part.elements - 1, "] = ", last, ": the last entry is expected to be the number of tokens, ", info.tokens));
}

void TokenFileReader::State::load_lengths(const LayoutPart& part, const h5::DatasetInfo& dataset, const std::vector<Digest>& digests) {
  for_each_piece<std::int32_t>(file, part, dataset, digests, [&](std::int64_t, std::int64_t count, const std::int32_t* values) {
    lengths.insert(lengths.end(), values, values + count);
  });
  for (std::size_t i = 0; i < lengths.size(); ++i)
    if (lengths[i] < 1 || lengths[i] > info.sequence)
      fail(file, text("/lengths[", i, "] = ", lengths[i], ": expected 1 to ", info.sequence));
}

void TokenFileReader::State::load_counts(const LayoutPart& part, const h5::DatasetInfo& dataset, const std::vector<Digest>& digests) {
  for_each_piece<std::int64_t>(file, part, dataset, digests, [&](std::int64_t, std::int64_t, const std::int64_t* counts) {
    info.separator_tokens = counts[0], info.padding_tokens = counts[1];
  });
}

void TokenFileReader::State::load_sources(const LayoutPart& part, const h5::DatasetInfo& dataset, const std::vector<Digest>& digests) {
  std::string lines;
  for_each_piece<char>(file, part, dataset, digests,
                       [&](std::int64_t, std::int64_t count, const char* bytes) { lines.append(bytes, static_cast<std::size_t>(count)); });
  try {
    info.sources = data::sources_from(lines);
  } catch (const DataError& error) {
    fail(file, text("/sources: ", error.what()));
  }
}

void TokenFileReader::State::load_parts() {
  if (!file.has("/sources")) fail(file, "there is no dataset /sources");
  std::vector<Digest> in_hash;
  for (const LayoutPart& part : data::layout_parts(info, file.dataset("/sources").elements())) {
    const h5::DatasetInfo dataset = expect_dataset(file, part.path(), part.type, {part.elements});
    std::vector<Digest> digests = digests_of(file, part.checksums(), part.pieces());
    if (part.in_hash) in_hash.insert(in_hash.end(), digests.begin(), digests.end());
    if (part.name == "documents") load_documents(part, dataset, digests);
    if (part.name == "lengths") load_lengths(part, dataset, digests);
    if (part.name == "counts") load_counts(part, dataset, digests);
    if (part.name == "sources") load_sources(part, dataset, digests);
    if (part.name == "tokens") pieces.emplace(file, info, dataset, std::move(digests));
  }
  const Digest digest = data::dataset_digest(info, in_hash);
  if (digest != digests_of(file, data::dataset_checksum, 1)[0])
    fail(file, "the checksums are damaged or were changed: the checksum over them differs");
  hash = data::hexadecimal(digest);
}

TokenFileReader::TokenFileReader(const fs::path& path) : state_(std::make_unique<State>(path)) {
  const h5::File& file = state_->file;
  check_version(file);
  check_attributes(file);
  state_->info = data::info_from(file);
  check_info(file, state_->info);
  state_->load_parts();
}

TokenFileReader::~TokenFileReader() = default;
TokenFileReader::TokenFileReader(TokenFileReader&&) noexcept = default;
TokenFileReader& TokenFileReader::operator=(TokenFileReader&&) noexcept = default;

const fs::path& TokenFileReader::path() const {
  return state_->file.path();
}
const TokenFileInfo& TokenFileReader::info() const {
  return state_->info;
}
const std::string& TokenFileReader::hash() const {
  return state_->hash;
}

void TokenFileReader::read(std::int64_t first, std::int64_t count, std::int32_t* to) const {
  if (first < 0 || count < 0 || count > state_->info.tokens || first > state_->info.tokens - count)
    fail(state_->file, text(count, " tokens from ", first, " are asked for; it has ", state_->info.tokens));
  state_->pieces->read(first, count, to);
}

std::vector<std::int64_t> TokenFileReader::starts_between(std::int64_t first, std::int64_t end) const {
  const std::vector<std::int64_t>& anchors = state_->anchors;
  std::vector<std::int64_t> starts, offsets;
  // The anchor before the first one beyond `first`: entries before it start at `first` or earlier.
  const auto beyond = std::upper_bound(anchors.begin(), anchors.end(), first);
  const std::int64_t entries = state_->documents.elements();
  for (std::int64_t at = std::max<std::int64_t>(0, beyond - anchors.begin() - 1) * anchor_step; at < entries; at += anchor_step) {
    offsets.resize(static_cast<std::size_t>(std::min(anchor_step, entries - at)));
    state_->file.read(state_->documents, at, static_cast<std::int64_t>(offsets.size()), offsets.data());
    for (const std::int64_t offset : offsets)
      if (offset > first && offset < end && (starts.empty() || offset > starts.back())) starts.push_back(offset);
    if (offsets.back() >= end) break;
  }
  return starts;
}

std::int64_t TokenFileReader::used(std::int64_t number) const {
  STRATA_ASSERT(number >= 0 && number < static_cast<std::int64_t>(state_->lengths.size()), "sequence ", number);
  return state_->lengths[static_cast<std::size_t>(number)];
}

std::vector<std::string> TokenFileReader::verify() const {
  return verify_some(state_->pieces->pieces());
}

std::vector<std::string> TokenFileReader::verify_some(std::int64_t most) const {
  constexpr std::size_t most_problems = 20;
  const std::int64_t pieces = state_->pieces->pieces(), looked = std::min(most, pieces);
  std::vector<std::string> problems;
  for (std::int64_t k = 0; k < looked && problems.size() < most_problems; ++k) try {
      state_->pieces->check(looked == 1 ? 0 : k * (pieces - 1) / (looked - 1));
    } catch (const Error& error) {
      problems.emplace_back(error.what());
    }
  return problems;
}

std::vector<std::string> verify_token_file(const fs::path& path) {
  try {
    return TokenFileReader(path).verify();
  } catch (const Error& error) {
    return {error.what()};
  }
}

bool is_token_file(const fs::path& path) {
  try {
    const h5::File file(path);
    return file.has_attribute("/", "format") && file.string("/", "format") == data::format_name;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace strata
