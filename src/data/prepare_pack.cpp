// Packing pass of prepare: the same placements on every rank, each copying what is its own.
#include "data/prepare_pack.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata::data {
namespace {

constexpr std::int64_t copy_bytes = std::int64_t{4} << 20;
constexpr std::size_t buffered = 65536;  // elements of /documents or /lengths written at once

/// Counts.
struct Measure : PackSink {
  std::int64_t entries = 0, used = 0, sequences = 0;
  void piece(std::int64_t, std::int64_t, std::int64_t) override {}
  void entry(std::int64_t) override { ++entries; }
  void sequence(std::int64_t, std::int64_t count) override { ++sequences, used += count; }
};

/// Elements of one dataset that arrive in order, of which this rank writes one equal stretch.
template <class T>
class Stretch {
 public:
  Stretch(TokenWriter& writer, const char* part, std::int64_t elements, const Communicator& comm)
      : writer_(writer), part_(part), begin_(elements * comm.rank() / comm.size()), end_(elements * (comm.rank() + 1) / comm.size()) {}
  void add(std::int64_t value) {
    const std::int64_t at = count_++;
    if (!owns(at)) return;
    values_.push_back(static_cast<T>(value));
    if (values_.size() == buffered) flush();
  }
  bool owns(std::int64_t index) const { return index >= begin_ && index < end_; }
  std::int64_t count() const { return count_; }
  void flush() {
    writer_.write(part_, begin_ + written_, static_cast<std::int64_t>(values_.size()), values_.data());
    written_ += static_cast<std::int64_t>(values_.size());
    values_.clear();
  }

 private:
  TokenWriter& writer_;
  const char* part_;
  std::int64_t begin_, end_, count_ = 0, written_ = 0;
  std::vector<T> values_;
};

/// Copies pieces, neighbours joined; writes offsets, lengths and padding.
class Copy : public PackSink {
 public:
  Copy(Communicator& comm, const IdStore& store, const TokenFileInfo& info, TokenWriter& writer)
      : store_(store),
        info_(info),
        writer_(writer),
        documents_(writer, "documents", info.documents + 1, comm),
        lengths_(writer, "lengths", info.pack == "documents" ? info.tokens / info.sequence : 0, comm),
        memory_(copy_bytes) {}

  void piece(std::int64_t source, std::int64_t count, std::int64_t destination) override {
    if (source == source_ + count_ && destination == destination_ + count_) {
      count_ += count;
    } else {
      copy();
      source_ = source, count_ = count, destination_ = destination;
    }
  }
  void entry(std::int64_t destination) override { documents_.add(destination); }
  void sequence(std::int64_t number, std::int64_t used) override {
    lengths_.add(used);
    if (lengths_.owns(number)) pad(number * info_.sequence + used, info_.sequence - used);
  }
  void end() {
    copy();
    documents_.add(info_.tokens);
    STRATA_ASSERT(documents_.count() == info_.documents + 1, documents_.count(), " entries, ", info_.documents + 1, " expected");
    documents_.flush();
    if (info_.pack == "documents") lengths_.flush();
  }

 private:
  void copy() {
    const std::int64_t most = copy_bytes / static_cast<std::int64_t>(writer_.token_bytes());
    for (std::int64_t at = 0; at < count_; at += most) {
      const std::int64_t n = std::min(most, count_ - at);
      store_.read(source_ + at, n, memory_.data());
      writer_.write("tokens", destination_ + at, n, memory_.data());
    }
    count_ = 0;
  }
  void pad(std::int64_t first, std::int64_t count) {
    if (count == 0) return;
    const auto id = static_cast<std::uint32_t>(info_.padding_id);
    const std::vector<std::uint32_t> wide(static_cast<std::size_t>(count), id);
    const std::vector<std::uint16_t> narrow(static_cast<std::size_t>(count), static_cast<std::uint16_t>(id));
    writer_.write("tokens", first, count, writer_.token_bytes() == 2 ? static_cast<const void*>(narrow.data()) : wide.data());
  }

  const IdStore& store_;
  const TokenFileInfo& info_;
  TokenWriter& writer_;
  Stretch<std::int64_t> documents_;
  Stretch<std::int32_t> lengths_;
  std::vector<char> memory_;
  std::int64_t source_ = 0, count_ = 0, destination_ = 0;  // the copy that waits for neighbours
};

}  // namespace

PackedSize measure_packing(Communicator& comm, const IdStore& store, std::int64_t blocks, PackMode mode, std::int64_t sequence, bool wrap) {
  PackedSize size;
  const auto run = [&](Packing packing, Measure& measure, bool count) {
    store.for_all(comm, blocks, [&](std::int64_t source, std::int64_t length) {
      packing.add(source, length, measure);
      if (count) ++size.documents, size.source_tokens += length;
    });
    packing.finish(measure);
    return packing.tokens();
  };
  Measure first;
  size.tokens = run(Packing(mode, sequence, wrap), first, true);
  size.entries = first.entries;
  if (mode == PackMode::documents) size.padding = size.tokens - first.used;
  if (mode != PackMode::concat) return size;
  Measure second;  // which documents lie before the dropped tail shows only when the file's size is known
  run(Packing(mode, sequence, wrap, size.tokens), second, false);
  size.entries = second.entries;
  return size;
}

void write_packed(Communicator& comm, const IdStore& store, std::int64_t blocks, PackMode mode, const TokenFileInfo& info,
                  TokenWriter& writer) {
  Copy copy(comm, store, info, writer);
  Packing packing(mode, info.sequence, info.wrap, mode == PackMode::concat ? info.tokens : INT64_MAX);
  store.for_all(comm, blocks, [&](std::int64_t source, std::int64_t length) { packing.add(source, length, copy); });
  guarded(comm, [&] {
    packing.finish(copy);
    copy.end();
  });
}

}  // namespace strata::data
