#pragma once
// A transformer block: attention and MLP, each behind a norm, each added to the residual stream.
#include <string>
#include <vector>

#include "strata/layers/attention.hpp"
#include "strata/layers/mlp.hpp"
#include "strata/layers/norm.hpp"

namespace strata {

struct BlockConfig {
  AttentionConfig attention;
  std::int64_t F = 0;
  bool mlp_bias = false;
};

/// x_mid = x + attention(norm1(x)),  y = x_mid + mlp(norm2(x_mid)).   x, y [R,H]. Local.
class Block {
 public:
  struct Saved {
    View x_mid, rstd1, rstd2;
    View normed1, normed2;  // [R,H] inputs of attention and MLP; not given: made again in scratch
    Attention::Saved attention;
    Mlp::Saved mlp;
    /// All that are given, in a fixed order.
    std::vector<View> views() const;
  };
  struct Scratch {
    View normed, d_normed;  // [R,H]; d_normed in backward only
    Attention::Scratch attention;
    Mlp::Scratch mlp;
  };
  /// One new token per sequence, [B, ...].
  struct DecodeScratch {
    View normed, x_mid, qkv, o, gate_up, hidden;
  };
  static Saved take_saved(Arena& arena, const std::string& scope, const BlockConfig& config, PassShape pass, DType type, Keep keep);
  static Scratch take_scratch(Arena& arena, const BlockConfig& config, PassShape pass, DType type, Keep keep, bool backward);
  static DecodeScratch take_decode_scratch(Arena& arena, const BlockConfig& config, std::int64_t B, DType type);

  Block(ParameterSet& set, const BlockConfig& config, const std::string& scope);
  /// y not given: computes only what `saved` keeps.
  void forward(Context& context, PassShape pass, const PositionViews& at, ConstView x, Saved& saved, Scratch& scratch, View y,
               KeyValueCache* cache = nullptr) const;
  /// dy becomes dx in place: the residual stream's gradient, to which each branch adds.
  void backward(Context& context, PassShape pass, const PositionViews& at, ConstView x, Saved& saved, Scratch& scratch, View dy) const;
  /// x becomes y in place; x [B,H].
  void decode(Context& context, const PositionViews& at, ConstView lengths, View x, DecodeScratch& scratch, KeyValueCache& cache) const;

 private:
  Norm norm1_;
  Attention attention_;
  Norm norm2_;
  Mlp mlp_;
};

}  // namespace strata
