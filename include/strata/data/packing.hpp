#pragma once
// Packing: where each document's tokens lie in the token file, decided from the documents' lengths alone.
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace strata {

enum class PackMode {
  stream,  // all documents end to end; the loader cuts sequences from it
  concat,  // ConcatTokensDataset (semantics S5): sequences of S tokens, the tail dropped; wrap says whether a document goes on in the next
  documents  // no document is cut by a sequence's edge unless it is longer than a sequence; what remains of a sequence is padding
};

/// The deck's prepare.pack. Throws DeckError.
PackMode pack_mode(const std::string& name);

/// Receives placements. All positions are in tokens.
class PackSink {
 public:
  virtual ~PackSink() = default;
  /// Tokens [source, source + count) of the documents' own store go to [destination, destination + count) of the file.
  virtual void piece(std::int64_t source, std::int64_t count, std::int64_t destination) = 0;
  /// The next entry of /documents: a document (in mode documents: a piece of one) starts here. Entries come in rising order of
  /// `destination`.
  virtual void entry(std::int64_t destination) = 0;
  /// Mode documents only: sequence `number` holds `used` tokens, then padding. Sequences come in order.
  virtual void sequence(std::int64_t number, std::int64_t used) = 0;
};

/// Takes the documents' lengths in input order. The same calls give the same placements everywhere, so every rank runs it over all lengths
/// and copies what is its own.
///
/// concat: with b tokens waiting and a document of n tokens, wrap = true places all n; the file ends at the last full sequence. wrap =
/// false places min(n, S - b); a document that fills the sequence loses its rest. Equal to S5's buffer, token for token. documents: a
/// document longer than S is cut into pieces of S and a rest; a piece goes to the first sequence with room among the `look_back` sequences
/// opened last, else to a new one (first fit); documents without tokens vanish.
class Packing {
 public:
  static constexpr std::int64_t look_back = 64;
  /// sequence [tokens] is S, >= 2 unless mode is stream; limit [tokens]: placements are cut there (the size a first pass gave).
  Packing(PackMode mode, std::int64_t sequence, bool wrap, std::int64_t limit = INT64_MAX);
  /// One document of `length` tokens. `source` is its place in this rank's store, negative where it is not this rank's: then no piece() is
  /// called.
  void add(std::int64_t source, std::int64_t length, PackSink& sink);
  /// Ends the input.
  void finish(PackSink& sink);
  /// Tokens in the file, padding included, after finish().
  std::int64_t tokens() const;

 private:
  struct Piece {
    std::int64_t source, count;
  };
  struct Open {
    std::int64_t used = 0;
    std::vector<Piece> pieces;
  };
  void add_prefix(std::int64_t source, std::int64_t length, PackSink& sink);
  void place(std::int64_t source, std::int64_t count, PackSink& sink);
  void close_oldest(PackSink& sink);

  PackMode mode_;
  std::int64_t sequence_;
  bool wrap_;
  std::int64_t limit_;
  std::int64_t placed_ = 0;  // tokens placed so far (stream, concat)
  std::int64_t closed_ = 0;  // sequences told to the sink (documents)
  std::deque<Open> open_;    // the sequences opened last, oldest first (documents)
};

}  // namespace strata
