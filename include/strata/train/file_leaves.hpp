#pragma once
// Leaves from a file, of either kind: leaf k holds the samples at positions cursor + k M ... of the endless stream of epochs.
#include <cstdint>
#include <functional>
#include <optional>

#include "strata/train/step.hpp"

namespace strata {

class FileLeaves : public LeafSource {
 public:
  /// Of one epoch.
  virtual std::int64_t samples() const = 0;
  /// From now on a thread may read ahead: `next_position` names, in order, the positions of all leaves that fill() will ask for; rows at
  /// `end` and beyond are filler. The batches are the same as without.
  virtual void read_ahead(std::function<std::optional<std::int64_t>()> next_position, std::int64_t end) = 0;
  /// Points at `sequences` sequences from position `cursor` on. Rows of the last leaf beyond them count nothing.
  virtual void begin(std::int64_t cursor, std::int64_t sequences) = 0;
};

}  // namespace strata
