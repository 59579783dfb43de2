#pragma once
// Self-attention with grouped key/value heads, rotary positions and, for Qwen3, a norm on each query and key head.
#include <optional>
#include <string>

#include "strata/layers/projection.hpp"
#include "strata/layers/qk_norm_rope.hpp"

namespace strata {

struct AttentionConfig {
  std::int64_t H = 0, nh = 0, nkv = 0, hd = 0;
  bool qkv_bias = false, o_bias = false;
  bool head_norm = false;  // Qwen3: q_norm and k_norm
  double eps = 1e-6;
  std::int64_t q_width() const { return nh * hd; }
  std::int64_t kv_width() const { return nkv * hd; }
  std::int64_t qkv_width() const { return q_width() + 2 * kv_width(); }
};

/// What a pass shares between layers: rotary tables [P, hd/2], the position of each row i32 [R], and the first key each row may see (or not
/// given).
struct PositionViews {
  ConstView cos, sin, positions, first_key;
  Rotary rotary() const { return {cos, sin, positions}; }
};

/// Keys and values of earlier tokens, one cache per layer: [B, C, nkv, hd].
struct KeyValueCache {
  View keys, values;
};

/// y = residual + W_o attention(rope(norm(W_q x)), rope(norm(W_k x)), W_v x).   x, y, residual [R,H]. Local.
class Attention {
 public:
  /// Kept from forward to backward.
  struct Saved {
    View qkv;             // [R, q + 2 kv]: before the head norm with head_norm, otherwise after rotation
    View rstd_q, rstd_k;  // [R,nh], [R,nkv], with head_norm
    View o;               // [R, nh hd]
    View lse;             // [B,nh,S]
    View qk;              // [R, q + kv] rotated queries and keys, with head_norm; not given: made again in scratch
  };
  /// Scratch that all layers share.
  struct Scratch {
    View qk;    // [R, q + kv] rotated queries and keys, with head_norm where they are not kept
    View dqkv;  // [R, q + 2 kv], backward only
    View d_o;   // [R, nh hd], backward only
  };
  static Saved take_saved(Arena& arena, const std::string& scope, const AttentionConfig& config, PassShape pass, DType type, Keep keep);
  static Scratch take_scratch(Arena& arena, const AttentionConfig& config, PassShape pass, DType type, Keep keep, bool backward);

  Attention(ParameterSet& set, const AttentionConfig& config, const std::string& scope);

  /// With a cache (B = 1), rotated keys and values of the pass are also copied to its rows 0 .. S-1.
  void forward(Context& context, PassShape pass, const PositionViews& at, ConstView x, ConstView residual, Saved& saved, Scratch& scratch,
               View y, KeyValueCache* cache) const;
  /// dx = gradient with respect to x (the residual's is dy itself).
  void backward(Context& context, PassShape pass, const PositionViews& at, ConstView dy, ConstView x, const Saved& saved, Scratch& scratch,
                View dx) const;
  /// One new token per sequence: x, y [B,H]; its keys and values go to row positions[b] of the cache, which it then reads up to there.
  /// `lengths` = positions + 1.
  void decode(Context& context, const PositionViews& at, ConstView lengths, ConstView x, ConstView residual, View qkv, View o, View y,
              KeyValueCache& cache) const;

 private:
  struct Heads {
    View q, k, v;  // [R,nh,hd], [R,nkv,hd], strided
    QueryKey qk() const { return {q, k}; }
  };
  Heads heads_of(View qkv) const;
  void rotate(Context& context, const PositionViews& at, const Heads& x, const QueryKey& y, const QueryKey& rstd) const;
  Heads rotated(Context& context, const PositionViews& at, const Saved& saved, Scratch& scratch, bool first_time) const;

  AttentionConfig config_;
  Projection qkv_, o_;
  std::optional<QkNormRope> norm_;  // with head_norm
};

}  // namespace strata
