#pragma once
// Parameter set: every parameter of a model under its Hugging Face name, laid out in units.
#include <cstdint>
#include <string>
#include <vector>

#include "strata/base/shape.hpp"

namespace strata {

enum class Init { normal, ones, zeros };

struct Parameter {
  std::string name;          // "model.layers.3.mlp.up_proj.weight"
  Shape shape;               // global shape
  Init init = Init::normal;  // normal: standard deviation initializer_range
  int unit = 0;
  std::int64_t offset = 0;       // [elements] in the unit
  std::int64_t first_block = 0;  // in the unit
  std::int64_t elements() const { return shape.elements(); }
  std::int64_t blocks() const;
};

/// Parameters that are gathered, reduced and updated together: the embedding, each block, the head. They lie end to end without gaps, in
/// order of registration, so that neighbours (q, k, v; gate, up) form one matrix.
struct Unit {
  std::string name;           // "embedding", "layer.3", "head"
  std::int64_t elements = 0;  // without padding
  std::int64_t offset = 0;    // [elements] in the flat buffer of the whole model; a multiple of unit_alignment
  int first = 0, count = 0;   // parameters
  std::int64_t blocks = 0;
  std::int64_t first_block = 0;  // in the model
  bool adds = false;
};

class ParameterSet {
 public:
  /// Units begin at multiples of this many elements of the flat buffer.
  static constexpr std::int64_t unit_alignment = 4096;
  /// Shards, checksums and the terms of norms are cut at multiples of this many elements of a parameter; what lies between two cuts is a
  /// block. So a shard never cuts through a checksum, and the three agree whatever a unit is made of.
  static constexpr std::int64_t block_elements = 4096;

  /// `adds`: every gradient of the unit is made by one op, which can add it, finished, to what is there, with the bits of setting it first
  /// and adding then. Not where two ops contribute to one gradient (a tied embedding), or one in pieces (a head cut into chunks).
  void begin_unit(std::string name, bool adds = false);
  /// Registers a parameter in the current unit and returns its number. Throws InternalError for a name that exists.
  int add(std::string name, Shape shape, Init init);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Unit>& units() const { return units_; }
  const Parameter& operator[](int parameter) const { return parameters_[static_cast<std::size_t>(parameter)]; }
  /// Number of a parameter, or -1.
  int find(const std::string& name) const;
  /// Sum of the parameters' elements.
  std::int64_t elements() const;
  /// Elements of the flat buffer: every unit padded to unit_alignment.
  std::int64_t padded_elements() const;
  /// Blocks of all units.
  std::int64_t blocks() const;
  /// First element of a block of a unit, 0 <= block <= blocks; the unit's end for the last. [elements]
  std::int64_t block_begin(int unit, std::int64_t block) const;

 private:
  std::vector<Parameter> parameters_;
  std::vector<Unit> units_;
};

}  // namespace strata
