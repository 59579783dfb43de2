#pragma once
// Train state: parameters and optimizer moments of a run, and their way into and out of checkpoints.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "strata/checkpoint/reader.hpp"
#include "strata/models/weights.hpp"
#include "strata/parallel/strategy.hpp"

namespace strata {

/// What of the state a rank keeps, and with whom it shares that.
struct StateLayout {
  /// A part, and the ranks that keep the same one: this rank is number `holder` of `holders`.
  struct Kept {
    Partition part;
    int holders = 1, holder = 0;
  };
  Kept weights, optimizer;
  bool weights_on_host = false, optimizer_on_host = false;  // between uses
  /// Everything, by one rank alone.
  static StateLayout whole(const ParameterSet& set);
  /// What the mesh's strategy says.
  static StateLayout of(const ParameterSet& set, const Mesh& mesh, bool weights_on_host = false, bool optimizer_on_host = false);
};

class TrainState {
 public:
  /// Takes "parameters.weight", "optimizer.remainder" (bf16) or "optimizer.master" (f16), "optimizer.exp_avg" and "optimizer.exp_avg_sq"
  /// from the arena: what of them the layout says, under "host." where it lies there.
  TrainState(Arena& arena, DType compute, const StateLayout& layout);
  const WeightStore& weights() const { return weights_; }
  const StateLayout& layout() const { return layout_; }
  const FlatBuffer& exp_avg() const { return exp_avg_; }
  const FlatBuffer& exp_avg_sq() const { return exp_avg_sq_; }
  const ParameterSet& parameters() const { return set_; }

  /// Every tensor with the pieces this rank writes: of what it keeps, an equal share with the others who keep the same, at multiples of the
  /// checksum's length. Local.
  std::vector<CheckpointTensor> checkpoint_tensors() const;
  /// Reads what is kept here from a checkpoint of the same model and precision; checks every hash. Throws DataError naming what does not
  /// fit, or what is damaged: the state is then undefined. `past_cache`: no other rank of this host is going to read the file. Local.
  void restore(const CheckpointReader& checkpoint, bool past_cache = false) const;

 private:
  using Visit = std::function<void(const std::string& path, const FlatBuffer& buffer, const StateLayout::Kept& kept)>;
  void each_tensor(int parameter, const Visit& visit) const;

  const ParameterSet& set_;
  StateLayout layout_;
  WeightStore weights_;
  FlatBuffer exp_avg_, exp_avg_sq_;
};

/// Compares names and shapes under /model with the model's; one line per finding, empty if they fit. Reads no tensor. Local.
std::vector<std::string> compare_checkpoint_model(const CheckpointReader& checkpoint, const ParameterSet& set);
/// Throws DataError unless every tensor under /model of the checkpoint is one of the model's, in its shape, and all are there.
void check_checkpoint_model(const CheckpointReader& checkpoint, const ParameterSet& set);
/// Loads the weights alone (the fp32 master where the checkpoint has it) into a store of any type. For evaluate, generate and convert.
/// Local.
void load_checkpoint_weights(const CheckpointReader& checkpoint, const ParameterSet& set, const WeightStore& store);
/// The fp32 values of elements of one parameter.
void read_checkpoint_master(const CheckpointReader& checkpoint, const std::string& name, std::int64_t first, std::span<float> values);

}  // namespace strata
