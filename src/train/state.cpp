#include "strata/train/state.hpp"

#include <algorithm>
#include <bit>

#include "strata/io/in_flight.hpp"

namespace strata {
namespace {

std::vector<std::int64_t> sizes_of(const Shape& shape) {
  std::vector<std::int64_t> sizes;
  for (int d = 0; d < shape.rank(); ++d) sizes.push_back(shape[d]);
  return sizes;
}

// The share of what is held of a tensor that falls to one of those who hold it.
CheckpointTensor tensor_of(std::string path, const Shape& shape, Range held, const FlatBuffer& buffer, int parameter,
                           const StateLayout::Kept& kept, DType type) {
  CheckpointTensor tensor{std::move(path), type, sizes_of(shape), {}};
  const std::int64_t first_block = held.first / checksum_elements, blocks = checksum_blocks(held.count());
  const auto cut = [&](int holder) { return (first_block + blocks * holder / kept.holders) * checksum_elements; };
  const Range mine = common({cut(kept.holder), cut(kept.holder + 1)}, held);
  if (mine.count() > 0) tensor.pieces.push_back({buffer.slice(parameter, mine).data(), mine.first, mine.count()});
  return tensor;
}

void expect_tensor(const CheckpointReader& checkpoint, const std::string& path, DType type, const Shape& shape) {
  if (!checkpoint.has(path))
    throw DataError(text(checkpoint.path().string(), ": has no ", path, "; is it a checkpoint of another model or precision (",
                         checkpoint.run().compute, ")?"));
  const h5::DatasetInfo info = checkpoint.info(path);
  if (info.shape != sizes_of(shape) || info.type != type)
    throw DataError(text(checkpoint.path().string(), ": ", path, " has ", info.elements(), " elements of ", name_of(info.type),
                         ", expected ", shape.str(), " of ", name_of(type)));
}

}  // namespace

StateLayout StateLayout::whole(const ParameterSet& set) {
  return {{Partition(set)}, {Partition(set)}, false, false};
}

StateLayout StateLayout::of(const ParameterSet& set, const Mesh& mesh, bool weights_on_host, bool optimizer_on_host) {
  // Ranks that keep the same part are those that differ in the other direction of the mesh, or all where a part is the whole.
  const auto kept = [&](bool sharded) {
    const Communicator& owners = mesh.optimizer();
    if (!sharded) return Kept{Partition(set), mesh.world().size(), mesh.world().rank()};
    const bool in_groups = mesh.strategy().scatters_gradients;
    return Kept{Partition(set, owners.size(), owners.rank()), in_groups ? mesh.replicas().size() : 1,
                in_groups ? mesh.replicas().rank() : 0};
  };
  return {kept(mesh.strategy().shards_parameters), kept(mesh.strategy().shards_optimizer), weights_on_host, optimizer_on_host};
}

TrainState::TrainState(Arena& arena, DType compute, const StateLayout& layout) : set_(layout.weights.part.set()), layout_(layout) {
  const DType wide = compute == DType::f64 ? DType::f64 : DType::f32;
  const std::string weights = layout.weights_on_host ? "host.parameters." : "parameters.";
  const std::string optimizer = layout.optimizer_on_host ? "host.optimizer." : "optimizer.";
  weights_.weight = FlatBuffer::take(arena, weights + "weight", compute, layout.weights.part);
  if (compute == DType::bf16) weights_.remainder = FlatBuffer::take(arena, optimizer + "remainder", DType::i16, layout.optimizer.part);
  if (compute == DType::f16) weights_.master = FlatBuffer::take(arena, optimizer + "master", DType::f32, layout.optimizer.part);
  exp_avg_ = FlatBuffer::take(arena, optimizer + "exp_avg", wide, layout.optimizer.part);
  exp_avg_sq_ = FlatBuffer::take(arena, optimizer + "exp_avg_sq", wide, layout.optimizer.part);
}

void TrainState::each_tensor(int p, const Visit& visit) const {
  const std::string name = set_[p].name;
  // A weight in f16 follows from its master, as which the file has it: as an f32 run does.
  if (weights_.master.given())
    visit("/model/" + name, weights_.master, layout_.optimizer);
  else
    visit("/model/" + name, weights_.weight, layout_.weights);
  if (weights_.remainder.given()) visit("/optimizer/" + name + "/remainder", weights_.remainder, layout_.optimizer);
  visit("/optimizer/" + name + "/exp_avg", exp_avg_, layout_.optimizer);
  visit("/optimizer/" + name + "/exp_avg_sq", exp_avg_sq_, layout_.optimizer);
}

std::vector<CheckpointTensor> TrainState::checkpoint_tensors() const {
  std::vector<CheckpointTensor> tensors;
  for (int p = 0; p < static_cast<int>(set_.parameters().size()); ++p)
    each_tensor(p, [&](const std::string& path, const FlatBuffer& buffer, const StateLayout::Kept& kept) {
      tensors.push_back(tensor_of(path, set_[p].shape, buffer.held(p), buffer, p, kept, buffer.flat().type()));
    });
  return tensors;
}

void TrainState::restore(const CheckpointReader& checkpoint, bool past_cache) const {
  check_checkpoint_model(checkpoint, set_);
  std::vector<CheckpointReader::Request> requests;
  for (int p = 0; p < static_cast<int>(set_.parameters().size()); ++p)
    each_tensor(p, [&](const std::string& path, const FlatBuffer& buffer, const StateLayout::Kept&) {
      expect_tensor(checkpoint, path, buffer.flat().type(), set_[p].shape);
      if (&buffer == &weights_.master) return;  // read with the weights that follow from it
      const Range held = buffer.held(p);
      if (held.count() > 0) requests.push_back({path, held.first, held.count(), buffer.slice(p, held).data()});
    });
  checkpoint.read_all(std::move(requests), past_cache);
  if (weights_.master.given()) load_checkpoint_weights(checkpoint, set_, weights_);
}

std::vector<std::string> compare_checkpoint_model(const CheckpointReader& checkpoint, const ParameterSet& set) {
  std::vector<std::string> findings;
  const std::string file = checkpoint.path().string();
  for (const Parameter& p : set.parameters()) {
    const std::string path = "/model/" + p.name;
    if (!checkpoint.has(path))
      findings.push_back(text(file, ": has no ", path, "; it is a checkpoint of another model"));
    else if (checkpoint.info(path).shape != sizes_of(p.shape))
      findings.push_back(text(file, ": ", path, " has ", checkpoint.info(path).elements(),
                              " elements in another shape, the model's configuration asks for ", p.shape.str()));
  }
  for (const std::string& path : checkpoint.tensors())
    if (path.rfind("/model/", 0) == 0 && set.find(path.substr(7)) < 0)
      findings.push_back(text(file, ": ", path, " is not a parameter of this model"));
  return findings;
}

void check_checkpoint_model(const CheckpointReader& checkpoint, const ParameterSet& set) {
  const std::vector<std::string> findings = compare_checkpoint_model(checkpoint, set);
  if (!findings.empty()) throw DataError(findings.front() + (findings.size() > 1 ? text(" (and ", findings.size() - 1, " more)") : ""));
}

void read_checkpoint_master(const CheckpointReader& checkpoint, const std::string& name, std::int64_t first, std::span<float> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  const std::string path = "/model/" + name, low_path = "/optimizer/" + name + "/remainder";
  const DType type = checkpoint.info(path).type;
  if (type == DType::f32) return checkpoint.read(path, first, count, values.data());
  if (type == DType::f64) {
    std::vector<double> wide(values.size());
    checkpoint.read(path, first, count, wide.data());
    std::transform(wide.begin(), wide.end(), values.begin(), [](double d) { return static_cast<float>(d); });
    return;
  }
  if (type != DType::bf16)
    throw DataError(text(checkpoint.path().string(), ": ", path, " is of type ", name_of(type), ", expected f32, bf16 or f64"));
  std::vector<std::uint16_t> high(values.size());
  std::vector<std::int16_t> low(values.size(), 0);
  checkpoint.read(path, first, count, high.data());
  if (checkpoint.has(low_path)) checkpoint.read(low_path, first, count, low.data());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::bit_cast<float>((std::uint32_t{high[i]} << 16) + static_cast<std::uint32_t>(static_cast<std::int32_t>(low[i])));
}

void load_checkpoint_weights(const CheckpointReader& checkpoint, const ParameterSet& set, const WeightStore& store) {
  check_checkpoint_model(checkpoint, set);
  const std::vector<WeightPiece> pieces = weight_pieces(set, store, std::int64_t{1} << 20);
  run_in_flight(static_cast<std::int64_t>(pieces.size()), reads_in_flight, [&](std::int64_t i, int) {
    const WeightPiece& piece = pieces[static_cast<std::size_t>(i)];
    std::vector<float> values(static_cast<std::size_t>(piece.count));
    read_checkpoint_master(checkpoint, set[piece.parameter].name, piece.first, values);
    store.store(piece.parameter, piece.first, values);
  });
}

}  // namespace strata
