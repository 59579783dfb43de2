#pragma once
// The leaves of steps and validations, from a token file: leaf k holds the sequences at positions cursor + k M ... of the endless stream of
// epochs.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "strata/data/config.hpp"
#include "strata/data/loader.hpp"
#include "strata/train/step.hpp"

namespace strata {

class DataLeaves final : public LeafSource {
 public:
  /// `seed` and data.shuffle decide the order. Local.
  DataLeaves(const TokenFileReader& file, const DataConfig& data, std::uint64_t seed, std::int64_t micro);
  ~DataLeaves() override;
  std::int64_t samples() const;
  /// From now on a thread reads ahead: `next_position` names, in order, the positions of all leaves that fill() will ask for; rows at `end`
  /// and beyond are filler. The batches are the same as without.
  void read_ahead(std::function<std::optional<std::int64_t>()> next_position, std::int64_t end);
  /// Points at `sequences` sequences from position `cursor` on. Rows of the last leaf beyond them count nothing.
  void begin(std::int64_t cursor, std::int64_t sequences);
  std::int64_t counted(std::int64_t leaf) override;
  void fill(std::int64_t leaf, CausalLm::Activations& activations) override;
  void fill_again(std::int64_t leaf, CausalLm::Activations& activations) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
