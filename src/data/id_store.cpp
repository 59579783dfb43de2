// Id store: narrow ids on disk, lengths in memory, and everybody's lengths in input order.
#include "data/id_store.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata::data {
namespace fs = std::filesystem;
namespace {
constexpr std::int64_t blocks_in_flight = 4096;  // of all ranks, whose lengths travel at once: at most 64 MiB
}

IdStore::IdStore(const fs::path& output, DType type) : type_(type), file_(temporary_name(output), FileHandle::Mode::create) {
  std::error_code ignored;
  fs::remove(file_.path(), ignored);
}

void IdStore::append(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> lengths) {
  if (type_ == DType::u16) {
    const std::vector<std::uint16_t> narrow(ids.begin(), ids.end());
    file_.write_at(narrow.data(), narrow.size() * 2, tokens_ * 2);
  } else {
    file_.write_at(ids.data(), ids.size() * 4, tokens_ * 4);
  }
  tokens_ += static_cast<std::int64_t>(ids.size());
  lengths_.insert(lengths_.end(), lengths.begin(), lengths.end());
  block_documents_.push_back(documents());
}

void IdStore::read(std::int64_t first, std::int64_t count, void* to) const {
  const auto width = static_cast<std::int64_t>(size_of(type_));
  file_.read_at(to, static_cast<std::size_t>(count * width), first * width);
}

/// For each block its number of documents, then their lengths.
std::vector<std::uint32_t> IdStore::pack_lengths(std::size_t first_block, std::size_t count) const {
  std::vector<std::uint32_t> packed;
  for (std::size_t block = first_block; block < std::min(first_block + count, block_documents_.size() - 1); ++block) {
    const auto begin = lengths_.begin() + block_documents_[block], end = lengths_.begin() + block_documents_[block + 1];
    packed.push_back(static_cast<std::uint32_t>(end - begin));
    packed.insert(packed.end(), begin, end);
  }
  return packed;
}

void IdStore::for_all(Communicator& comm, std::int64_t blocks, const std::function<void(std::int64_t, std::int64_t)>& visit) const {
  const auto ranks = static_cast<std::size_t>(comm.size()), me = static_cast<std::size_t>(comm.rank());
  const std::int64_t per_rank = std::max<std::int64_t>(1, blocks_in_flight / comm.size());
  std::int64_t source = 0;
  for (std::int64_t first = 0; first * comm.size() < blocks; first += per_rank) {
    const std::vector<std::uint32_t> mine = pack_lengths(static_cast<std::size_t>(first), static_cast<std::size_t>(per_rank));
    std::vector<std::size_t> sizes(ranks), cursor(ranks, 0);
    const std::size_t bytes = mine.size() * 4;
    comm.all_gather(&bytes, sizeof bytes, sizes.data());
    std::size_t total = 0;
    for (std::size_t r = 0; r < ranks; ++r) cursor[r] = total / 4, total += sizes[r];
    std::vector<std::uint32_t> all(total / 4);
    comm.all_gather_v(mine.data(), sizes, all.data());
    guarded(comm, [&] {
      for (std::int64_t block = first * comm.size(); block < std::min(blocks, (first + per_rank) * comm.size()); ++block) {
        const auto owner = static_cast<std::size_t>(block) % ranks;
        for (std::uint32_t left = all[cursor[owner]++]; left > 0; --left) {
          const std::int64_t length = all[cursor[owner]++];
          visit(owner == me ? source : -1, length);
          if (owner == me) source += length;
        }
      }
    });
  }
}

}  // namespace strata::data
