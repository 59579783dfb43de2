#pragma once
// Leaves of sequences of tokens, from a token file.
#include <memory>

#include "strata/data/config.hpp"
#include "strata/data/loader.hpp"
#include "strata/train/file_leaves.hpp"

namespace strata {

class DataLeaves final : public FileLeaves {
 public:
  /// Local.
  DataLeaves(const TokenFileReader& file, const DataConfig& data, const DataOrder& order, std::int64_t micro);
  ~DataLeaves() override;
  std::int64_t samples() const override;
  void read_ahead(std::function<std::optional<std::int64_t>()> next_position, std::int64_t end) override;
  void begin(std::int64_t cursor, std::int64_t sequences) override;
  std::int64_t counted(std::int64_t leaf) override;
  void fill(std::int64_t leaf, Activations& activations) override;
  void fill_again(std::int64_t leaf, Activations& activations) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
