#include "strata/train/data_leaves.hpp"

#include "strata/tensor/values.hpp"

namespace strata {
namespace {

void copy_into(const TokenBatch& batch, Activations& activations) {
  set_values(activations.inputs, batch.inputs), set_values(activations.labels, batch.labels);
  if (activations.document_mask) set_values(activations.first_key, batch.first_key);
}

}  // namespace

struct DataLeaves::State {
  TokenSamples samples;
  TokenLoader loader;
  TokenBatch batch;
  std::int64_t cursor = 0, end = 0;
  std::unique_ptr<ReadAhead> ahead;  // last: its thread reads the members above
  State(const TokenFileReader& file, const DataConfig& data, const DataOrder& order, std::int64_t micro)
      : samples(file, data.sequence, data.mask_documents), loader(samples, order, micro) {}
  std::int64_t position(std::int64_t leaf) const { return cursor + leaf * loader.rows(); }
};

DataLeaves::DataLeaves(const TokenFileReader& file, const DataConfig& data, const DataOrder& order, std::int64_t micro)
    : state_(std::make_unique<State>(file, data, order, micro)) {}
DataLeaves::~DataLeaves() = default;

std::int64_t DataLeaves::samples() const {
  return state_->samples.samples();
}

void DataLeaves::read_ahead(std::function<std::optional<std::int64_t>()> next_position, std::int64_t end) {
  state_->ahead = std::make_unique<ReadAhead>(state_->loader, end, std::move(next_position));
}

void DataLeaves::begin(std::int64_t cursor, std::int64_t sequences) {
  state_->cursor = cursor, state_->end = cursor + sequences;
}

std::int64_t DataLeaves::counted(std::int64_t leaf) {
  return state_->loader.counted_labels(state_->position(leaf), state_->end);
}

void DataLeaves::fill(std::int64_t leaf, Activations& activations) {
  TokenBatch& batch = state_->batch;
  if (state_->ahead && !state_->ahead->next(batch)) state_->ahead.reset();  // it has come to its end
  if (!state_->ahead) state_->loader.fill(state_->position(leaf), state_->end, batch);
  STRATA_ASSERT(batch.position == state_->position(leaf), "a batch of position ", batch.position, ", expected ", state_->position(leaf));
  copy_into(batch, activations);
}

void DataLeaves::fill_again(std::int64_t leaf, Activations& activations) {
  TokenBatch batch;
  state_->loader.fill(state_->position(leaf), state_->end, batch);
  copy_into(batch, activations);
}

}  // namespace strata
