// Token pieces: checks on first reading, and a few pieces kept.
#include "data/token_pieces.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata::data {
namespace {

constexpr std::size_t most_kept = 8;

/// Writes the ids as i32 and returns the largest.
template <class T>
std::uint32_t widen(const char* from, std::int64_t count, std::int32_t* to) {
  const T* values = reinterpret_cast<const T*>(from);
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    largest = std::max<std::uint32_t>(largest, values[i]);
    to[i] = static_cast<std::int32_t>(values[i]);
  }
  return largest;
}

}  // namespace

TokenPieces::TokenPieces(const h5::File& file, const TokenFileInfo& info, const h5::DatasetInfo& dataset, std::vector<Digest> digests)
    : file_(file), info_(info), dataset_(dataset), digests_(std::move(digests)), checked_(digests_.size(), false) {}

void TokenPieces::convert(const char* from, std::int64_t first, std::int64_t count, std::int32_t* to) const {
  const std::uint32_t largest = dataset_.type == DType::u16 ? widen<std::uint16_t>(from, count, to) : widen<std::uint32_t>(from, count, to);
  if (static_cast<std::int64_t>(largest) < info_.vocabulary) return;
  const auto beyond = [&](std::int32_t id) { return static_cast<std::int64_t>(static_cast<std::uint32_t>(id)) >= info_.vocabulary; };
  const std::int64_t at = std::find_if(to, to + count, beyond) - to;
  throw DataError(text(file_.path().string(), ": /tokens[", first + at, "] = ", static_cast<std::uint32_t>(to[at]),
                       " is no token: the file's vocabulary has ", info_.vocabulary, " (ids from 0 to ", info_.vocabulary - 1,
                       "); prepare the file again"));
}

std::vector<char> TokenPieces::load(std::int64_t piece) const {
  const auto width = static_cast<std::int64_t>(size_of(dataset_.type));
  const std::int64_t first = piece * piece_bytes / width, count = std::min(piece_bytes / width, dataset_.elements() - first);
  std::vector<char> bytes(static_cast<std::size_t>(count * width));
  file_.read(dataset_, first, count, bytes.data());
  const Digest found = digest_of(bytes.data(), bytes.size());
  const Digest& expected = digests_[static_cast<std::size_t>(piece)];
  if (found != expected)
    throw DataError(text(file_.path().string(), ": piece ", piece, " of /tokens (tokens ", first, " to ", first + count - 1,
                         ") is damaged: expected checksum ", hexadecimal(expected), ", found ", hexadecimal(found),
                         "; copy or prepare the file again"));
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  convert(bytes.data(), first, count, ids.data());
  return bytes;
}

void TokenPieces::check(std::int64_t piece) const {
  load(piece);
}

const std::vector<char>* TokenPieces::kept(std::int64_t piece) {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.piece == piece; });
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
    return &kept_.front().bytes;
  }
  if (checked_[static_cast<std::size_t>(piece)]) return nullptr;
  kept_.push_front({piece, load(piece)});
  checked_[static_cast<std::size_t>(piece)] = true;
  if (kept_.size() > most_kept) kept_.pop_back();
  return &kept_.front().bytes;
}

void TokenPieces::read(std::int64_t first, std::int64_t count, std::int32_t* to) {
  const std::scoped_lock lock(mutex_);
  const auto width = static_cast<std::int64_t>(size_of(dataset_.type));
  const std::int64_t in_piece = piece_bytes / width;
  while (count > 0) {
    const std::int64_t piece = first / in_piece, n = std::min(count, (piece + 1) * in_piece - first);
    if (const std::vector<char>* bytes = kept(piece)) {
      convert(bytes->data() + (first - piece * in_piece) * width, first, n, to);
    } else {
      scratch_.resize(static_cast<std::size_t>(n * width));
      file_.read(dataset_, first, n, scratch_.data());
      convert(scratch_.data(), first, n, to);
    }
    first += n, to += n, count -= n;
  }
}

}  // namespace strata::data
