#include "strata/train/validation.hpp"

#include "strata/base/phase.hpp"
#include "strata/parallel/reduction.hpp"
#include "strata/tensor/fold.hpp"

namespace strata {

ValidationResult validate(Stream& stream, Communicator& comm, const CausalLm& model, const FlatBuffer& weights,
                          CausalLm::Activations& activations, LeafSource& source, std::int64_t leaves,
                          const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const auto begin = [&](int r) { return first_leaf(leaves, 1, r, comm.size()); };
  const std::int64_t first = begin(comm.rank()), last = begin(comm.rank() + 1);
  std::vector<double> sums(static_cast<std::size_t>(leaves), 0.0);
  std::int64_t counted = 0;
  for (std::int64_t leaf = first; leaf < last; ++leaf) {
    Phase::enter("validation micro-batch", leaf);
    source.fill(leaf, activations);
    Context context{stream, weights};
    model.forward(context, activations);
    sums[static_cast<std::size_t>(leaf)] = fold_rows(activations.row_loss);
    counted += source.counted(leaf);
    if (progress) progress(leaf - first + 1, last - first);
  }
  gather_runs(comm, sums, begin);
  ValidationResult result;
  result.counted = comm.all_sum(counted);
  result.loss = fold(sums) / static_cast<double>(std::max<std::int64_t>(result.counted, 1));
  return result;
}

}  // namespace strata
