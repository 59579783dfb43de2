#pragma once
// Activations: the buffers of a pass; which of them are kept from forward to backward, and where.
#include <functional>
#include <string>
#include <vector>

#include "strata/layers/block.hpp"
#include "strata/layers/encoder_embedding.hpp"
#include "strata/ops/transfer.hpp"
#include "strata/parallel/config.hpp"

namespace strata {

/// What the backward pass computes again instead of finding it kept (doc/recompute.md). The bits are the same.
enum class Recompute {
  none,       // everything backward reads is kept
  selective,  // norms, rotation and activation products are made again
  full        // each block keeps its input only and runs forward once more
};

struct ActivationPolicy {
  Recompute recompute = Recompute::none;
  bool offload = false;  // what a block keeps waits in the host's memory
  /// What a block's Saved holds, wherever it lies.
  Keep keep() const { return recompute == Recompute::selective ? Keep::costly : Keep::all; }
};

/// parallel.recompute, and whether parallel.offload lists activations.
ActivationPolicy activation_policy(const ParallelConfig& config);

/// What a pass through an encoder has besides. The caller fills the first three before each pass, and seed and step before one that drops.
struct EncoderActivations {
  View types;    // i32 [R] token_type_ids
  View lengths;  // i32 [B] tokens that are no padding: the attention mask is 1 for so many, then 0
  View samples;  // i32 [B] each sequence's number among those of the step: what dropout knows it by
  std::uint64_t seed = 0;
  std::uint32_t step = 0;  // of the optimizer
  View step_at;            // i32 [1] the same for a GPU's kernels to read, or not given: work that is captured has the step of the day
  View logits;             // f32 (f64) [B,2,S] start and end, as the last pass left them; after a backward pass, their gradient
  LayerNorm::Saved embedding;
  std::vector<EncoderLayer::Saved> saved;  // as Activations::saved
  EncoderLayer::Scratch scratch;
};

/// Buffers of a pass over B sequences of S tokens. The caller fills inputs and labels (and first_key, if taken; and those of the encoder)
/// before each pass.
struct Activations {
  /// What a block keeps, in the host's memory; empty: nothing of it.
  struct Stored {
    View x;
    std::vector<View> saved;
  };

  PassShape pass;
  View inputs;             // i32 [R]
  View labels, first_key;  // i32 [R]; labels < 0 do not count; first_key: index in the sequence of the first key a row may see. For
                           // question answering labels are [2 B]: first and last token of each sequence's span, outside 0 .. S-1: none
  View row_loss;           // f64, one per label, 0 where it does not count
  View cos, sin, positions;
  std::vector<View> x;              // residual stream before each block and after the last, [R,H]; two take turns in evaluate and offload
  std::vector<Block::Saved> saved;  // one per block; evaluate and recompute = full: one for all, offload: two that take turns
  std::vector<Stored> host;         // offload: one per block but the last, which is used again at once
  View rstd;                        // of the last norm, [R]
  Block::Scratch scratch;
  View dx;  // train only
  bool document_mask = false;
  ActivationPolicy policy;
  EncoderActivations encoder;
  /// Copies under way of what a block keeps: to the host, and back.
  struct Copies {
    GpuMark input, saved, back;
  };
  std::vector<Copies> copies;  // one per block that has been sent

  /// The residual stream before block l; l = L: after the last one.
  const View& x_at(std::size_t l) const { return x[l % x.size()]; }
  Block::Saved& saved_at(std::size_t l) { return saved[l % saved.size()]; }
  EncoderLayer::Saved& encoder_at(std::size_t l) { return encoder.saved[l % encoder.saved.size()]; }
  /// What layer l keeps on the device, in a fixed order, whatever the model.
  std::vector<View> kept_views(std::size_t l) { return saved.empty() ? encoder_at(l).views() : saved_at(l).views(); }

  /// Block l's forward comes next: sends its input to the host, where it is offloaded, and holds the stream up until the places that the
  /// block writes have been copied. Local.
  void store_input(Stream& stream, std::size_t l);
  /// Sends what block l's forward has kept. Local.
  void store_saved(Stream& stream, std::size_t l);
  /// Block l's backward comes next: the stream goes on when what it reads is back in its places; that of block l - 1 sets out, to come
  /// while block l computes. Local.
  void bring_back(Stream& stream, std::size_t l);

 private:
  /// What block l keeps besides its input, where it waits on the host.
  std::vector<HostCopy> kept_copies(std::size_t l);
};

/// Sees each block of a forward pass when it is done: its number, input, results on the way, output. Views are valid during the call.
using BlockObserver = std::function<void(std::size_t, const View& x, const Block::Saved&, const View& y)>;

/// Sees named results of a forward pass, in the order in which they are computed: "the output of the embedding", "layer 3: ...". Rows of
/// the views are tokens, sequence by sequence. Views are valid during the call.
using ResultObserver = std::function<void(const std::string& what, const View& result)>;

}  // namespace strata
