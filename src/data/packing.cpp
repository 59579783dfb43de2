// Packing: prefixes end to end, or first fit into the sequences opened last.
#include "strata/data/packing.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {

PackMode pack_mode(const std::string& name) {
  if (name == "stream") return PackMode::stream;
  if (name == "concat") return PackMode::concat;
  if (name == "documents") return PackMode::documents;
  throw DeckError(text("prepare.pack = ", name, ": expected stream, concat or documents"));
}

Packing::Packing(PackMode mode, std::int64_t sequence, bool wrap, std::int64_t limit)
    : mode_(mode), sequence_(sequence), wrap_(wrap), limit_(limit) {
  if (mode != PackMode::stream && sequence < 2)
    throw DeckError(text("prepare.sequence = ", sequence, ": packing into sequences needs at least 2 tokens in each"));
}

void Packing::add_prefix(std::int64_t source, std::int64_t length, PackSink& sink) {
  const bool cut = mode_ == PackMode::concat && !wrap_;
  const std::int64_t kept = cut ? std::min(length, sequence_ - placed_ % sequence_) : length;
  const std::int64_t destination = placed_, inside = std::min(kept, limit_ - destination);
  placed_ += kept;
  if (destination >= limit_) return;  // in the dropped tail
  sink.entry(destination);
  if (source >= 0 && inside > 0) sink.piece(source, inside, destination);
}

void Packing::close_oldest(PackSink& sink) {
  const Open& oldest = open_.front();
  std::int64_t at = closed_ * sequence_;
  for (const Piece& piece : oldest.pieces) {
    sink.entry(at);
    if (piece.source >= 0) sink.piece(piece.source, piece.count, at);
    at += piece.count;
  }
  sink.sequence(closed_++, oldest.used);
  open_.pop_front();
}

void Packing::place(std::int64_t source, std::int64_t count, PackSink& sink) {
  const auto fits = [&](const Open& open) { return open.used + count <= sequence_; };
  auto found = std::find_if(open_.begin(), open_.end(), fits);
  if (found == open_.end()) {
    if (static_cast<std::int64_t>(open_.size()) == look_back) close_oldest(sink);
    open_.emplace_back();
    found = open_.end() - 1;
  }
  found->used += count;
  found->pieces.push_back({source, count});
}

void Packing::add(std::int64_t source, std::int64_t length, PackSink& sink) {
  if (mode_ != PackMode::documents) return add_prefix(source, length, sink);
  for (std::int64_t from = 0; from < length; from += sequence_)
    place(source < 0 ? source : source + from, std::min(sequence_, length - from), sink);
}

void Packing::finish(PackSink& sink) {
  while (!open_.empty()) close_oldest(sink);
}

std::int64_t Packing::tokens() const {
  if (mode_ == PackMode::documents) return (closed_ + static_cast<std::int64_t>(open_.size())) * sequence_;
  return mode_ == PackMode::concat ? std::min(limit_, placed_ / sequence_ * sequence_) : placed_;
}

}  // namespace strata
