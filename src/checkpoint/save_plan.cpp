// The checks before a save: a checkpoint with a hole in it would read as data.
#include "checkpoint/save_plan.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

struct Span {
  std::int64_t tensor, first, count;
  auto operator<=>(const Span&) const = default;
};

void check_own(const std::vector<const CheckpointTensor*>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const CheckpointTensor& tensor = *tensors[i];
    const bool known_place = tensor.path.rfind("/model/", 0) == 0 || tensor.path.rfind("/optimizer/", 0) == 0;
    STRATA_ASSERT(known_place, tensor.path, " lies neither under /model nor under /optimizer");
    STRATA_ASSERT(i == 0 || tensors[i - 1]->path != tensor.path, tensor.path, " is named twice");
    const std::int64_t elements = elements_of(tensor);
    for (const TensorPiece& piece : tensor.pieces) {
      const std::int64_t end = piece.first + piece.count;
      STRATA_ASSERT(piece.first >= 0 && piece.count >= 0 && end <= elements, tensor.path, ": piece ", piece.first, "..", end, " of ",
                    elements);
      STRATA_ASSERT(piece.count == 0 || (piece.first % checksum_elements == 0 && (end == elements || end % checksum_elements == 0)),
                    tensor.path, ": piece ", piece.first, "..", end, " does not start and end at multiples of ", checksum_elements);
      STRATA_ASSERT(piece.count == 0 || piece.data, tensor.path, ": a piece without data");
    }
  }
}

/// What has to be equal on every rank, as one hash.
std::array<char, 32> hash_of_names(const std::vector<const CheckpointTensor*>& tensors) {
  std::string all;
  for (const CheckpointTensor* tensor : tensors) {
    all += text(tensor->path, ' ', name_of(tensor->type));
    for (const std::int64_t size : tensor->shape) all += text(' ', size);
    all += '\n';
  }
  std::array<char, 32> result;
  std::memcpy(result.data(), xxh3_128(all.data(), all.size()).data(), result.size());
  return result;
}

void check_coverage(const std::vector<const CheckpointTensor*>& tensors, std::vector<Span>& spans) {
  std::sort(spans.begin(), spans.end());
  auto span = spans.begin();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::int64_t at = 0;
    for (; span != spans.end() && span->tensor == static_cast<std::int64_t>(i); ++span) {
      STRATA_ASSERT(span->first == at, tensors[i]->path, ": a piece starts at element ", span->first, " where ", at,
                    " is next: the ranks' pieces ", span->first < at ? "overlap" : "leave a hole");
      at += span->count;
    }
    STRATA_ASSERT(at == elements_of(*tensors[i]), tensors[i]->path, ": the ranks' pieces end at element ", at, " of ",
                  elements_of(*tensors[i]));
  }
}

}  // namespace

std::int64_t elements_of(const CheckpointTensor& tensor) {
  std::int64_t n = 1;
  for (const std::int64_t size : tensor.shape)
    if (size < 0 || __builtin_mul_overflow(n, size, &n)) throw DataError(text("tensor ", tensor.path, " has an impossible shape"));
  return n;
}

std::vector<const CheckpointTensor*> by_path(const std::vector<CheckpointTensor>& tensors) {
  std::vector<const CheckpointTensor*> result;
  for (const CheckpointTensor& tensor : tensors) result.push_back(&tensor);
  std::sort(result.begin(), result.end(), [](const auto* a, const auto* b) { return a->path < b->path; });
  return result;
}

void check_pieces(Communicator& comm, const std::vector<const CheckpointTensor*>& tensors) {
  guarded(comm, [&] { check_own(tensors); });
  const std::array<char, 32> hash = hash_of_names(tensors);
  std::vector<std::array<char, 32>> hashes(static_cast<std::size_t>(comm.size()));
  comm.all_gather(hash.data(), hash.size(), hashes.data());

  std::vector<Span> mine;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    for (const TensorPiece& piece : tensors[i]->pieces)
      if (piece.count > 0) mine.push_back({static_cast<std::int64_t>(i), piece.first, piece.count});
  std::vector<std::size_t> counts(static_cast<std::size_t>(comm.size()));
  const std::size_t bytes = mine.size() * sizeof(Span);
  comm.all_gather(&bytes, sizeof bytes, counts.data());
  std::size_t total = 0;
  for (const std::size_t count : counts) total += count;
  std::vector<Span> spans(total / sizeof(Span));
  comm.all_gather_v(mine.data(), counts, spans.data());
  guarded(comm, [&] {
    for (const auto& other : hashes) STRATA_ASSERT(other == hashes.front(), "the ranks do not name the same tensors for the checkpoint");
    check_coverage(tensors, spans);
  });
}

std::vector<h5::DatasetSpec> datasets_of(const std::vector<const CheckpointTensor*>& tensors) {
  std::vector<h5::DatasetSpec> result;
  for (const CheckpointTensor* tensor : tensors) result.push_back({tensor->path, tensor->type, tensor->shape});
  for (const CheckpointTensor* tensor : tensors)
    result.push_back({checksum_group + tensor->path, DType::u8, {checksum_blocks(elements_of(*tensor)), checksum_bytes}});
  return result;
}

}  // namespace strata
