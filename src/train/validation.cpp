#include "strata/train/validation.hpp"

#include <algorithm>

#include "strata/base/phase.hpp"
#include "strata/tensor/fold.hpp"

namespace strata {

ValidationResult validate(Stream& stream, Communicator& comm, const Model& model, const FlatBuffer& weights, Activations& activations,
                          LeafSource& source, std::int64_t leaves, UnitTraffic* traffic, ValidationScoring* scoring) {
  const LeafRounds runs(leaves, 1, 1, comm.size());
  Stream idle = Stream::plan();
  std::vector<double> sums(static_cast<std::size_t>(leaves), 0.0);
  std::int64_t counted = 0, rounds = runs.rounds(comm.rank());
  if (scoring) scoring->begin();
  // Ranks that gather weights need one another to the end: those with fewer leaves go through the motions.
  for (int r = 0; traffic && r < comm.size(); ++r) rounds = std::max(rounds, runs.rounds(r));
  for (std::int64_t round = 0; round < rounds; ++round) {
    const std::int64_t leaf = runs.leaf(comm.rank(), 0, round);
    Phase::enter("validation micro-batch", leaf);
    if (traffic) traffic->begin_evaluation_pass(stream);
    Context context{leaf < 0 ? idle : stream, weights, nullptr, traffic};
    if (leaf >= 0) source.fill(leaf, activations);
    model.forward(context, activations);
    if (leaf < 0) continue;
    sums[static_cast<std::size_t>(leaf)] = fold_rows(activations.row_loss);
    counted += source.counted(leaf);
    if (scoring) scoring->see(leaf, activations);
  }
  gather_leaves(comm, sums, runs);
  ValidationResult result;
  result.counted = comm.all_sum(counted);
  result.loss = fold(sums) / static_cast<double>(std::max<std::int64_t>(result.counted, 1));
  if (scoring) result.answers = scoring->finish();
  return result;
}

}  // namespace strata
