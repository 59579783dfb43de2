// The question-answering head on the host: dot products of tokens, a softmax of each sequence, sums over blocks of tokens.
#include "ops/cpu/span_head.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/cpu/element.hpp"
#include "ops/cpu/lanes.hpp"
#include "ops/cpu/row_sum.hpp"
#include "ops/cpu/softmax_row.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index row_block = 64;

/// Where the logit of token r and end c lies in [B,2,S].
Index place(Index r, Index c, Index S) {
  return (r / S * 2 + c) * S + r % S;
}

/// dx = dz_0 w_0 + dz_1 w_1, after sum += dz x for both ends: dx may be x.
template <class T>
void backward_row(const T* x, const T* weight, std::array<SumOf<T>, 2> dz, Index H, T* dx, SumOf<T>* sum) {
  using Sum = SumOf<T>;
#pragma GCC ivdep
  for (Index j = 0; j < H; ++j) {
    const auto value = static_cast<Sum>(x[j]);
    sum[j] = std::fma(dz[0], value, sum[j]);
    sum[H + j] = std::fma(dz[1], value, sum[H + j]);
    dx[j] = static_cast<T>(std::fma(dz[0], static_cast<Sum>(weight[j]), dz[1] * static_cast<Sum>(weight[H + j])));
  }
}

/// The factor of each end's losses.
std::array<double, 2> weights_of(const std::int32_t* labels, Index B, Index S) {
  std::array<double, 2> counted{};
  for (Index i = 0; i < 2 * B; ++i) counted[static_cast<std::size_t>(i % 2)] += labels[i] >= 0 && labels[i] < S;
  const double all = counted[0] + counted[1];
  return {counted[0] > 0 ? all / (2 * counted[0]) : 0.0, counted[1] > 0 ? all / (2 * counted[1]) : 0.0};
}

template <class Sum>
void one_end(const Sum* z, Index label, Index S, double weight, double scale, double* loss, Sum* dz) {
  const bool counts = label >= 0 && label < S;
  *loss = 0;
  if (!counts) {
    if (dz != nullptr) std::fill_n(dz, S, Sum{0});
    return;
  }
  const Sum max = row_max(z, S);
  const double sum = sum_exp<false, Sum>(z, S, max), at_label = static_cast<double>(z[label]);
  *loss = weight * ((static_cast<double>(max) + std::log(sum)) - at_label);
  if (dz == nullptr) return;
  const auto factor = static_cast<Sum>(scale * weight / sum);
#pragma GCC ivdep
  for (Index s = 0; s < S; ++s) dz[s] = exp_of(z[s] - max) * factor;
  dz[label] -= static_cast<Sum>(scale * weight);
}

}  // namespace

void span_logits_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& bias, const View& logits) {
  const Index R = x.size(0), H = x.size(1), S = logits.size(2);
  with_float_type("span_logits_forward", x.type(), [&](auto element) {
    using T = decltype(element);
    using Sum = SumOf<T>;
    stream.pool().run((R + row_block - 1) / row_block, [&](Index task, int) {
      for (Index r = task * row_block; r < std::min(R, (task + 1) * row_block); ++r)
        for (Index c = 0; c < 2; ++c) {
          const T *row = x.as<const T>() + r * H, *w = weight.as<const T>() + c * H;
          const Sum sum = lane_sum<Sum>(H, [&](Index j) { return static_cast<Sum>(row[j]) * static_cast<Sum>(w[j]); });
          logits.as<Sum>()[place(r, c, S)] = sum + static_cast<Sum>(bias.as<const T>()[c]);
        }
    });
  });
}

std::int64_t span_logits_workspace(std::int64_t rows, std::int64_t H, DType type) {
  return (rows + row_block - 1) / row_block * 2 * H * static_cast<Index>(size_of(sum_type(type)));
}

void span_logits_backward(Stream& stream, const ConstView& dlogits, const ConstView& x, const ConstView& weight, const View& dx,
                          const View& dweight, const View& dbias, void* workspace) {
  const Index R = x.size(0), H = x.size(1), S = dlogits.size(2), blocks = (R + row_block - 1) / row_block;
  with_float_type("span_logits_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    using Sum = SumOf<T>;
    const Sum* dz = dlogits.as<const Sum>();
    auto* partial = static_cast<Sum*>(workspace);
    stream.pool().run(blocks, [&](Index task, int) {
      Sum* sum = partial + task * 2 * H;
      std::fill_n(sum, 2 * H, Sum{0});
      for (Index r = task * row_block; r < std::min(R, (task + 1) * row_block); ++r)
        backward_row(x.as<const T>() + r * H, weight.as<const T>(), {dz[place(r, 0, S)], dz[place(r, 1, S)]}, H, dx.as<T>() + r * H, sum);
    });
    sum_rows(stream, partial, 2 * H, blocks, 2 * H, dweight.as<Sum>(), Write::set);
    for (Index c = 0; c < 2; ++c) {
      double sum = 0;
      for (Index r = 0; r < R; ++r) sum += static_cast<double>(dz[place(r, c, S)]);
      dbias.as<Sum>()[c] = static_cast<Sum>(sum);
    }
  });
}

void span_cross_entropy(Stream& stream, const ConstView& logits, const ConstView& labels, const Factor& scale, const View& row_loss,
                        const View& dlogits) {
  const Index B = logits.size(0), S = logits.size(2);
  const auto* label = labels.as<const std::int32_t>();
  const std::array<double, 2> weight = weights_of(label, B, S);
  with_float_type("span_cross_entropy", logits.type(), [&](auto element) {
    using Sum = SumOf<decltype(element)>;
    stream.pool().run(2 * B, [&](Index i, int) {
      one_end(logits.as<const Sum>() + i * S, Index{label[i]}, S, weight[static_cast<std::size_t>(i % 2)], scale.value,
              row_loss.as<double>() + i, dlogits.given() ? dlogits.as<Sum>() + i * S : nullptr);
    });
  });
}

}  // namespace strata::cpu
