// Fuzz target: checkpoints, opened, every tensor read, verified, hashed and described.
#include "checkpoint/sample.hpp"
#include "fuzz/h5_repair.hpp"
#include "strata/checkpoint/describe.hpp"
#include "strata/checkpoint/writer.hpp"
#include "strata/comm/communicator.hpp"
#include "support/support.hpp"

namespace strata::fuzz {
namespace {

std::string checkpoint_of(std::vector<CheckpointTensor>& tensors, const RunRecord& run) {
  const test::TemporaryFolder folder;
  write_checkpoint(*make_self_communicator(), folder / "c.h5", tensors, run, test::sample_launch(), false);
  return test::read_file(folder / "c.h5");
}

/// Mostly structure, unlike the checkpoint tests' sample: a few tensors, a short deck.
std::string small_checkpoint(int tensors) {
  const std::vector<float> values(24, 1.5f);
  std::vector<CheckpointTensor> list;
  for (int i = 0; i < tensors; ++i)
    list.push_back({text("/model/model.layers.", i, ".weight"), DType::f32, {4, 6}, {{values.data(), 0, 24}}});
  RunRecord run = test::sample_run();
  run.deck = "[run]\nseed = 3\n";
  return checkpoint_of(list, run);
}

}  // namespace

/// With twenty tensors a group keeps its names in a heap and a tree; with two in its header.
Corpus corpus() {
  return h5_corpus({small_checkpoint(2), small_checkpoint(20)});
}

}  // namespace strata::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace strata;
  const auto path = fuzz::scratch_file("checkpoint.h5", bytes, size);
  fuzz::only(ExitCode::data, [&] {
    const CheckpointReader checkpoint(path);
    describe_checkpoint(checkpoint, true);
    describe_checkpoint_json(checkpoint, true);
    checkpoint.content_hash("/model");
    checkpoint.verify();
    for (const std::string& tensor : checkpoint.tensors()) {
      const h5::DatasetInfo info = checkpoint.info(tensor);
      std::vector<char> memory(static_cast<std::size_t>(info.bytes()));
      checkpoint.read(tensor, 0, info.elements(), memory.data());
    }
  });
  return 0;
}
