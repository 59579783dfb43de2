#pragma once
// A layer of a BERT-type encoder: bidirectional attention and MLP, each added to its input and normalised behind (post-norm).
#include <string>
#include <vector>

#include "strata/layers/layer_norm.hpp"
#include "strata/layers/projection.hpp"
#include "strata/ops/gelu.hpp"

namespace strata {

struct EncoderConfig {
  std::int64_t H = 0, nh = 0, F = 0;
  Gelu activation = Gelu::erf;
  double eps = 1e-12;
  double hidden_dropout = 0, attention_dropout = 0;
  std::int64_t hd() const { return H / nh; }
};

/// What a pass shares between layers: how many tokens of each sequence are no padding, i32 [B] or not given (all), and what its dropouts
/// draw from; with `draw` false nothing is dropped.
struct EncoderInputs {
  ConstView lengths;
  bool draw = false;
  Dropout from{};  // seed, step and samples
  /// The dropout of one place of the model.
  Dropout dropout(double p, int site) const {
    Dropout what = from;
    what.p = draw ? p : 0, what.site = static_cast<std::uint32_t>(site);
    return what;
  }
};

/// m = norm1(x + dropout(W_o attention(W_q x, W_k x, W_v x))),  y = norm2(m + dropout(W_out gelu(W_in m))), all projections with bias.
/// x, y [R,H]. Local.
class EncoderLayer {
 public:
  /// Kept from forward to backward.
  struct Saved {
    View qkv, o, lse;       // [R,3H], [R,H], [B,nh,S]
    LayerNorm::Saved sum1;  // x + dropout(attention)
    View inner;             // [R,F] before the activation
    LayerNorm::Saved sum2;  // m + dropout(mlp)
    View m, hidden;         // [R,H], [R,F] after norm1 and activation; not given: made again in scratch
    /// All that are given, in a fixed order.
    std::vector<View> views() const;
  };
  /// Shared by all layers.
  struct Scratch {
    View normed;    // [R,H] m where it is not kept; y of a layer that runs again
    View hidden;    // [R,F] where it is not kept
    View d_hidden;  // [R,F], and below in backward only
    View dqkv;      // [R,3H]
    View d_o;       // [R,H]
    View d_branch;  // [R,H], with hidden dropout
  };
  static Saved take_saved(Arena& arena, const std::string& scope, const EncoderConfig& config, PassShape pass, DType type, Keep keep);
  static Scratch take_scratch(Arena& arena, const EncoderConfig& config, PassShape pass, DType type, Keep keep, bool backward);

  /// Layer `number` of the encoder; its dropouts are the model's sites 1 + 3 number and the two behind. Registers BERT's names under
  /// `scope` ("bert.encoder.layer.3").
  EncoderLayer(ParameterSet& set, const EncoderConfig& config, const std::string& scope, int number);
  /// y not given: computes what `saved` keeps.
  void forward(Context& context, PassShape pass, const EncoderInputs& at, ConstView x, const Saved& saved, const Scratch& scratch,
               View y) const;
  /// dy becomes dx in place.
  void backward(Context& context, PassShape pass, const EncoderInputs& at, ConstView x, const Saved& saved, const Scratch& scratch,
                View dy) const;

 private:
  Dropout dropout(const EncoderInputs& at, int which) const;
  EncoderConfig config_;
  int number_;
  Projection qkv_, o_;
  LayerNorm norm1_;
  Projection in_, out_;
  LayerNorm norm2_;
};

}  // namespace strata
