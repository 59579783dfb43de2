// Reading checkpoints: structure checked when opening, every block against its checksum when read.
#include "strata/checkpoint/reader.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "checkpoint/block_hash.hpp"
#include "checkpoint/records.hpp"
#include "strata/base/error.hpp"
#include "strata/device/gpu.hpp"
#include "strata/io/direct_file.hpp"
#include "strata/io/in_flight.hpp"

namespace strata {
namespace {

bool below(const std::string& path, const std::string& group) {
  return path.rfind(group + "/", 0) == 0;
}

/// Calls visit(first element, elements, bytes) for each transfer of whole blocks that touches elements [first, first + count).
template <class Visit>
void each_transfer(const h5::DatasetInfo& info, std::int64_t first, std::int64_t count, const Visit& visit) {
  const std::int64_t step = transfer_bytes / static_cast<std::int64_t>(size_of(info.type));
  const std::int64_t end = std::min(info.elements(), (first + count + checksum_elements - 1) / checksum_elements * checksum_elements);
  for (std::int64_t at = first / checksum_elements * checksum_elements; count > 0 && at < end; at += step)
    visit(at, std::min(step, end - at));
}

/// Calls damaged(first element, past the last) for each run of blocks of data [first, first + elements) whose hash is not the stored one.
template <class Damaged>
void compare_blocks(const h5::File& file, const h5::DatasetInfo& info, const h5::DatasetInfo& checksums, const void* data,
                    std::int64_t first, std::int64_t elements, const Damaged& damaged) {
  const std::vector<unsigned char> found = hash_blocks(data, elements, size_of(info.type));
  std::vector<unsigned char> stored(found.size());
  file.read(checksums, first / checksum_elements * checksum_bytes, static_cast<std::int64_t>(stored.size()), stored.data());
  for (std::size_t at = 0; at < found.size(); at += checksum_bytes) {
    if (std::memcmp(&found[at], &stored[at], checksum_bytes) == 0) continue;
    const std::int64_t from = first + static_cast<std::int64_t>(at) / checksum_bytes * checksum_elements;
    damaged(from, std::min(from + checksum_elements, first + elements));
  }
}

}  // namespace

CheckpointReader::CheckpointReader(const std::filesystem::path& path) : file_(path) {
  check_format(file_);
  run_ = read_run_record(file_);
  launch_ = read_launch_record(file_);
  const std::string name = path.string();
  std::size_t checksums = 0;
  for (const std::string& dataset : file_.datasets_below("/")) {
    if (below(dataset, checksum_group)) {
      ++checksums;
      continue;
    }
    const std::string checksum = checksum_group + dataset;
    if (!file_.has(checksum)) throw DataError(text(name, ": ", dataset, " has no checksums"));
    const Tensor tensor{file_.dataset(dataset), file_.dataset(checksum)};
    const std::vector<std::int64_t> expected = {checksum_blocks(tensor.data.elements()), checksum_bytes};
    if (tensor.checksums.type != DType::u8 || tensor.checksums.shape != expected)
      throw DataError(text(name, ": ", checksum, " is expected to be u8 of shape [", expected[0], ", ", expected[1], "] and is not"));
    tensors_.emplace(dataset, tensor);
  }
  if (checksums != tensors_.size())
    throw DataError(text(name, ": there are checksums of ", checksums, " tensors, but ", tensors_.size(), " tensors"));
}

const CheckpointReader::Tensor& CheckpointReader::find(const std::string& tensor) const {
  const auto at = tensors_.find(tensor);
  if (at == tensors_.end()) throw DataError(text(path().string(), ": there is no tensor ", tensor, " in this checkpoint"));
  return at->second;
}

std::vector<std::string> CheckpointReader::tensors() const {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors_) result.push_back(name);
  return result;
}

h5::DatasetInfo CheckpointReader::info(const std::string& tensor) const {
  return find(tensor).data;
}

void CheckpointReader::read(const std::string& name, std::int64_t first, std::int64_t count, void* to) const {
  std::vector<std::byte> buffer;
  const Fetch fetch = [&](const Tensor& tensor, std::int64_t from, std::int64_t n, std::byte* wanted) {
    if (!wanted) buffer.resize(static_cast<std::size_t>(n) * size_of(tensor.data.type)), wanted = buffer.data();
    file_.read(tensor.data, from, n, wanted);
    return wanted;
  };
  read_by(fetch, name, first, count, to);
}

void CheckpointReader::read_by(const Fetch& fetch, const std::string& name, std::int64_t first, std::int64_t count, void* to) const {
  const Tensor& tensor = find(name);
  const std::int64_t elements = tensor.data.elements();
  if (first < 0 || count < 0 || count > elements || first > elements - count)
    throw DataError(text(path().string(), ": ", name, ": ", count, " elements from ", first, " are asked of a tensor of ", elements));
  const auto size = static_cast<std::int64_t>(size_of(tensor.data.type));
  each_transfer(tensor.data, first, count, [&](std::int64_t from, std::int64_t n) {
    // A transfer that sticks out of what was asked for cannot go where it is wanted: checksums need whole blocks.
    // Nor can one that belongs into a GPU's memory, which files are not read into.
    const bool inside = from >= first && from + n <= first + count && !gpu_of(to);
    std::byte* const wanted = inside ? static_cast<std::byte*>(to) + (from - first) * size : nullptr;
    const std::byte* const found = fetch(tensor, from, n, wanted);
    compare_blocks(file_, tensor.data, tensor.checksums, found, from, n, [&](std::int64_t a, std::int64_t b) {
      throw DataError(text(path().string(), ": ", name, ": elements ", a, "..", b - 1, " differ from their checksum: the file is damaged"));
    });
    if (found == wanted) return;
    const std::int64_t a = std::max(from, first), b = std::min(from + n, first + count);
    copy_memory(static_cast<std::byte*>(to) + (a - first) * size, found + (a - from) * size, (b - a) * size);
  });
}

void CheckpointReader::read_all(std::vector<Request> requests, bool past_cache) const {
  std::vector<Request> pieces;
  for (const Request& request : requests) {
    const h5::DatasetInfo& info = find(request.tensor).data;
    const auto size = static_cast<std::int64_t>(size_of(info.type));
    for (std::int64_t at = 0, step = transfer_bytes / size; at < request.count; at += step)
      pieces.push_back(
          {request.tensor, request.first + at, std::min(step, request.count - at), static_cast<std::byte*>(request.to) + at * size});
  }
  const auto place = [&](const Request& piece) {
    const h5::DatasetInfo& info = find(piece.tensor).data;
    return info.offset + piece.first * static_cast<std::int64_t>(size_of(info.type));
  };
  std::sort(pieces.begin(), pieces.end(), [&](const Request& a, const Request& b) { return place(a) < place(b); });
  const auto count = static_cast<std::int64_t>(pieces.size());
  if (!past_cache)
    return run_in_flight(count, reads_in_flight, [&](std::int64_t i, int) {
      const Request& piece = pieces[static_cast<std::size_t>(i)];
      read(piece.tensor, piece.first, piece.count, piece.to);
    });
  const DirectFile direct(path(), FileHandle::Mode::read);
  std::vector<TransferBuffer> buffers;
  for (int worker = 0; worker < transfers_in_flight; ++worker) buffers.emplace_back(transfer_bytes);
  run_in_flight(count, transfers_in_flight, [&](std::int64_t i, int worker) {
    std::byte* const memory = buffers[static_cast<std::size_t>(worker)].data();
    const Fetch fetch = [&](const Tensor& tensor, std::int64_t from, std::int64_t n, std::byte*) {
      const auto size = static_cast<std::int64_t>(size_of(tensor.data.type));
      direct.read_at(memory, n * size, tensor.data.offset + from * size);
      return memory;
    };
    const Request& piece = pieces[static_cast<std::size_t>(i)];
    read_by(fetch, piece.tensor, piece.first, piece.count, piece.to);
  });
}

namespace {

/// Whole blocks of one tensor that are verified at a time, and what came of it.
struct Check {
  std::string_view name;
  const h5::DatasetInfo *data, *checksums;
  std::int64_t first, count;
  std::vector<std::pair<std::int64_t, std::int64_t>> damaged;  // [elements]: from, past the end
  std::string error;                                           // why it could not be read
};

/// One line per damaged stretch of a tensor, stretches that touch joined, and one for what could not be read.
std::vector<std::string> damage_lines(const std::vector<Check>& checks) {
  std::vector<std::string> lines;
  std::int64_t from = 0, to = 0;
  std::string_view unreadable;  // the tensor whose rest is not spoken of
  for (std::size_t i = 0; i < checks.size(); ++i) {
    const Check& check = checks[i];
    if (check.name == unreadable) continue;
    const auto report = [&] {
      if (to > from) lines.push_back(text(check.name, ": elements ", from, "..", to - 1, " differ from their checksum"));
      from = to = 0;
    };
    for (const auto& [a, b] : check.damaged) {
      if (a != to) report(), from = a;
      to = b;
    }
    const bool last = i + 1 == checks.size() || checks[i + 1].name != check.name;
    if (last || !check.error.empty()) report();
    if (!check.error.empty()) lines.push_back(text(check.name, ": ", check.error)), unreadable = check.name;
  }
  return lines;
}

}  // namespace

std::vector<std::string> CheckpointReader::verify() const {
  std::vector<Check> checks;
  for (const auto& [name, tensor] : tensors_)
    each_transfer(tensor.data, 0, tensor.data.elements(), [&, &t = tensor, &n = name](std::int64_t first, std::int64_t count) {
      checks.push_back({n, &t.data, &t.checksums, first, count, {}, {}});
    });
  std::vector<std::vector<std::byte>> buffers(reads_in_flight);
  run_in_flight(static_cast<std::int64_t>(checks.size()), reads_in_flight, [&](std::int64_t i, int worker) {
    Check& check = checks[static_cast<std::size_t>(i)];
    std::vector<std::byte>& buffer = buffers[static_cast<std::size_t>(worker)];
    buffer.resize(static_cast<std::size_t>(check.count) * size_of(check.data->type));
    try {
      file_.read(*check.data, check.first, check.count, buffer.data());
      compare_blocks(file_, *check.data, *check.checksums, buffer.data(), check.first, check.count,
                     [&](std::int64_t a, std::int64_t b) { check.damaged.emplace_back(a, b); });
    } catch (const DataError& error) {
      check.error = error.what();
    }
  });
  return damage_lines(checks);
}

std::string CheckpointReader::content_hash(const std::string& group) const {
  std::string all;
  for (const auto& [name, tensor] : tensors_) {
    if (!below(name, group)) continue;
    all += text(name, ' ', name_of(tensor.data.type));
    for (const std::int64_t size : tensor.data.shape) all += text(' ', size);
    std::string checksums(static_cast<std::size_t>(tensor.checksums.elements()), '\0');
    file_.read(tensor.checksums, 0, tensor.checksums.elements(), checksums.data());
    all += '\n' + xxh3_128(checksums.data(), checksums.size()) + '\n';
  }
  return xxh3_128(all.data(), all.size());
}

}  // namespace strata
