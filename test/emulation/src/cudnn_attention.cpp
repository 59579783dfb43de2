// Attention as the emulated cuDNN computes it: plain loops in f32, each sum in rising order.
#include <algorithm>
#include <cmath>

#include "cudnn.hpp"
#include "emulation/narrow.hpp"

namespace emulation {
namespace {

using cudnn_frontend::DataType_t;
using cudnn_frontend::graph::Attention;
using cudnn_frontend::graph::Tensor;
using Index = std::int64_t;
using Rows = std::vector<float>;

/// A tensor [B,heads,S,hd] in memory.
class Place {
 public:
  Place(const Tensor& tensor, const std::unordered_map<Index, void*>& given)
      : memory_(given.at(tensor->get_uid())), type_(tensor->get_data_type()), strides_(tensor->get_stride()), hd_(tensor->get_dim()[3]) {}

  /// All rows of a head.
  Rows read(Index b, Index h, Index S) const {
    Rows rows(static_cast<std::size_t>(S * hd_));
    for (Index i = 0; i < S; ++i)
      for (Index d = 0; d < hd_; ++d) rows[static_cast<std::size_t>(i * hd_ + d)] = get(at(b, h, i) + d);
    return rows;
  }
  void write(Index b, Index h, const Rows& rows) const {
    const Index S = static_cast<Index>(rows.size()) / hd_;
    for (Index i = 0; i < S; ++i)
      for (Index d = 0; d < hd_; ++d) set(at(b, h, i) + d, rows[static_cast<std::size_t>(i * hd_ + d)]);
  }
  std::int32_t whole(Index b) const { return static_cast<const std::int32_t*>(memory_)[b * strides_[0]]; }

 private:
  Index at(Index b, Index h, Index i) const { return b * strides_[0] + h * strides_[1] + i * strides_[2]; }
  float get(Index i) const {
    if (type_ == DataType_t::FLOAT) return static_cast<const float*>(memory_)[i];
    const std::uint16_t bits = static_cast<const std::uint16_t*>(memory_)[i];
    return type_ == DataType_t::HALF ? half_to_float(bits) : bf16_to_float(bits);
  }
  void set(Index i, float value) const {
    if (type_ == DataType_t::FLOAT)
      static_cast<float*>(memory_)[i] = value;
    else
      static_cast<std::uint16_t*>(memory_)[i] = type_ == DataType_t::HALF ? float_to_half(value) : float_to_bf16(value);
  }

  void* memory_;
  DataType_t type_;
  std::vector<Index> strides_;
  Index hd_;
};

/// One query head of one sequence.
struct Head {
  const Attention& what;
  Index S, hd, queries, keys;  // queries and keys that are no padding
  const Rows &q, &k, &v;

  float dot(const Rows& a, Index i, const Rows& b, Index j) const {
    float sum = 0;
    for (Index d = 0; d < hd; ++d) sum += a[static_cast<std::size_t>(i * hd + d)] * b[static_cast<std::size_t>(j * hd + d)];
    return sum;
  }
  void add(Rows& to, Index i, float factor, const Rows& from, Index j) const {
    for (Index d = 0; d < hd; ++d) to[static_cast<std::size_t>(i * hd + d)] += factor * from[static_cast<std::size_t>(j * hd + d)];
  }
  Index end(Index i) const { return i >= queries ? 0 : what.causal ? std::min(i + 1, keys) : keys; }

  void forward(Rows& o, Rows& lse) const {
    Rows p(static_cast<std::size_t>(S));
    for (Index i = 0; i < S; ++i) {
      float top = -INFINITY, mass = 0;
      for (Index j = 0; j < end(i); ++j) top = std::max(top, p[static_cast<std::size_t>(j)] = what.scale * dot(q, i, k, j));
      for (Index j = 0; j < end(i); ++j) mass += p[static_cast<std::size_t>(j)] = std::exp(p[static_cast<std::size_t>(j)] - top);
      for (Index j = 0; j < end(i); ++j) add(o, i, p[static_cast<std::size_t>(j)] / mass, v, j);
      lse[static_cast<std::size_t>(i)] = end(i) > 0 ? top + std::log(mass) : -INFINITY;
    }
  }

  /// dk and dv are added to, query by query from `first` on.
  void backward(const Rows& o, const Rows& lse, const Rows& dout, Index first, Rows& dq, Rows& dk, Rows& dv) const {
    for (Index n = 0; n < S; ++n) {
      const Index i = (first + n) % S;
      const float D = dot(dout, i, o, i);
      for (Index j = 0; j < end(i); ++j) {
        const float p = std::exp(what.scale * dot(q, i, k, j) - lse[static_cast<std::size_t>(i)]);
        const float ds = what.scale * p * (dot(dout, i, v, j) - D);
        add(dq, i, ds, k, j), add(dk, j, ds, q, i), add(dv, j, p, dout, i);
      }
    }
  }
};

}  // namespace

void compute(const Attention& what, const std::unordered_map<Index, void*>& given, int call) {
  const auto size = what.q->get_dim();
  const Index B = size[0], nh = size[1], S = size[2], hd = size[3], nkv = what.k->get_dim()[1], group = nh / nkv;
  const auto place = [&](const Tensor& tensor) { return Place(tensor, given); };
  const Place q = place(what.q), k = place(what.k), v = place(what.v), o = place(what.o);
  const Rows zeros(static_cast<std::size_t>(S * hd), 0.0f);
  for (Index b = 0; b < B; ++b) {
    const Index queries = what.padding ? std::min<Index>(S, place(what.query_lengths).whole(b)) : S,
                keys = what.padding ? std::min<Index>(S, place(what.key_lengths).whole(b)) : S;
    for (Index pair = 0; pair < nkv; ++pair) {
      const Rows key = k.read(b, pair, S), value = v.read(b, pair, S);
      Rows dk = zeros, dv = zeros;
      for (Index h = pair * group; h < (pair + 1) * group; ++h) {
        const Rows query = q.read(b, h, S);
        const Head head{what, S, hd, queries, keys, query, key, value};
        Rows result = zeros, lse(static_cast<std::size_t>(S));
        if (what.backward) {
          head.backward(o.read(b, h, S), place(what.lse).read(b, h, S), place(what.dout).read(b, h, S), what.deterministic ? 0 : call % S,
                        result, dk, dv);
          place(what.dq).write(b, h, result);
        } else {
          head.forward(result, lse);
          o.write(b, h, result);
          if (what.lse) place(what.lse).write(b, h, lse);
        }
      }
      if (what.backward) place(what.dk).write(b, pair, dk), place(what.dv).write(b, pair, dv);
    }
  }
}

}  // namespace emulation
