// The head with its loss on the host: chunks of rows through product, softmax and the two gradient products.
#include "ops/cpu/cross_entropy.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "ops/cpu/element.hpp"
#include "ops/cpu/softmax_row.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

/// Elements between the rows of logits: whole cache lines.
Index logits_stride(Index V) {
  return (V + 15) / 16 * 16;
}

/// One chunk of rows with the logits of the whole vocabulary.
template <class T>
struct Chunk {
  using Sum = SumOf<T>;
  Index rows, V, stride;
  const std::int32_t* labels;
  Sum* logits;
  double* loss;

  // z[rows,V] = x[rows,H] W[V,H]^T
  void product(Stream& stream, const ConstView& x, const ConstView& weight) const {
    gemm(stream, rows, V, x.size(1), x.type(), {x.data(), x.stride(0), false}, {weight.data(), weight.stride(0), true},
         dtype_of<Sum>::value, logits, stride);
  }
  Index label(Index row) const {
    STRATA_ASSERT(labels[row] < V, "linear_cross_entropy: label ", labels[row], " of a vocabulary of ", V);
    return labels[row];
  }
};

/// loss = max + log(sum exp(z - max)) - z_label; with `keep`, z becomes exp(z - max). Gives the sum.
template <bool keep, class T>
double row_loss_of(const Chunk<T>& chunk, Index row) {
  SumOf<T>* z = chunk.logits + row * chunk.stride;
  const auto at_label = static_cast<double>(z[chunk.label(row)]);
  const SumOf<T> max = row_max(z, chunk.V);
  const double sum = sum_exp<keep, SumOf<T>>(z, chunk.V, max);
  chunk.loss[row] = (static_cast<double>(max) + std::log(sum)) - at_label;
  return sum;
}

/// e[j] -> T(e[j] * factor), in place: row elements of T are written from the row's start, behind what is still to be read.
template <class T>
void scale_row(SumOf<T>* e, Index n, SumOf<T> factor) {
  constexpr Index block = 512;
  std::array<T, block> scaled;
  for (Index first = 0; first < n; first += block) {
    const Index count = std::min(block, n - first);
    for (Index j = 0; j < count; ++j) scaled[static_cast<std::size_t>(j)] = T(e[first + j] * factor);
    std::memcpy(reinterpret_cast<unsigned char*>(e) + first * static_cast<Index>(sizeof(T)), scaled.data(),
                static_cast<std::size_t>(count) * sizeof(T));
  }
}

/// Loss of one row, and its logits replaced by dz = scale (softmax(z) - [v = label]), elements of T from the row's start.
template <class T>
void row_gradient(const Chunk<T>& chunk, Index row, double scale) {
  SumOf<T>* z = chunk.logits + row * chunk.stride;
  auto* dz = reinterpret_cast<unsigned char*>(z);
  if (chunk.labels[row] < 0) {
    chunk.loss[row] = 0;
    std::memset(dz, 0, static_cast<std::size_t>(chunk.V) * sizeof(T));
    return;
  }
  const double sum = row_loss_of<true>(chunk, row);
  const auto factor = static_cast<SumOf<T>>(scale / sum);
  const Index label = chunk.label(row);
  const T at_label(z[label] * factor - static_cast<SumOf<T>>(scale));
  scale_row<T>(z, chunk.V, factor);
  std::memcpy(dz + label * static_cast<Index>(sizeof(T)), &at_label, sizeof(T));
}

/// Calls f(chunk, first row) for each chunk in order.
template <class T, class F>
void for_each_chunk(Index R, Index V, const ConstView& labels, const View& row_loss, void* workspace, F&& f) {
  const Index step = cross_entropy_chunk(V);
  for (Index first = 0; first < R; first += step)
    f(Chunk<T>{std::min(step, R - first), V, logits_stride(V), labels.as<const std::int32_t>() + first, static_cast<SumOf<T>*>(workspace),
               row_loss.as<double>() + first},
      first);
}

}  // namespace

std::int64_t cross_entropy_chunk(std::int64_t V) {
  return std::clamp<Index>((Index{1} << 27) / V / 64 * 64, 64, 1024);
}

std::int64_t cross_entropy_workspace(std::int64_t R, std::int64_t V, DType type) {
  return std::min(R, cross_entropy_chunk(V)) * logits_stride(V) * static_cast<Index>(size_of(sum_type(type)));
}

void linear_cross_entropy_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels,
                                  const View& row_loss, void* workspace) {
  with_float_type("linear_cross_entropy_forward", x.type(), [&](auto element) {
    using T = decltype(element);
    for_each_chunk<T>(x.size(0), weight.size(0), labels, row_loss, workspace, [&](const Chunk<T>& chunk, Index first) {
      chunk.product(stream, x.rows(first, chunk.rows), weight);
      stream.pool().run(chunk.rows, [&](Index row, int) {
        if (chunk.labels[row] < 0)
          chunk.loss[row] = 0;
        else
          row_loss_of<false>(chunk, row);
      });
    });
  });
}

void linear_cross_entropy_backward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels,
                                   const Factor& scale, const View& row_loss, const View& dx, const View& dweight, Write write,
                                   void* workspace) {
  const Index R = x.size(0), H = x.size(1), V = weight.size(0);
  // Nothing to sum: a product of depth 0 sets zeros, or leaves what is there.
  if (R == 0 && write == Write::set) gemm(stream, V, H, 0, x.type(), {}, {}, dweight.type(), dweight.data(), dweight.stride(0));
  with_float_type("linear_cross_entropy_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    for_each_chunk<T>(R, V, labels, row_loss, workspace, [&](const Chunk<T>& chunk, Index first) {
      const ConstView x_chunk = x.rows(first, chunk.rows);
      chunk.product(stream, x_chunk, weight);
      stream.pool().run(chunk.rows, [&](Index row, int) { row_gradient(chunk, row, scale.value); });
      const MatrixRef dz{chunk.logits, chunk.stride * static_cast<Index>(sizeof(SumOf<T>) / sizeof(T)), false};
      const MatrixRef dz_transposed{dz.data, dz.stride, true};
      // dW[V,H] = dz[rows,V]^T x[rows,H]; before dx, which may lie where x does.
      gemm(stream, V, H, chunk.rows, x.type(), dz_transposed, {x_chunk.data(), x_chunk.stride(0), false}, dweight.type(), dweight.data(),
           dweight.stride(0), first > 0 ? Write::add : write);
      // dx[rows,H] = dz[rows,V] W[V,H]
      const View dx_chunk = dx.rows(first, chunk.rows);
      gemm(stream, chunk.rows, H, V, x.type(), dz, {weight.data(), weight.stride(0), false}, dx.type(), dx_chunk.data(),
           dx_chunk.stride(0));
    });
  });
}

}  // namespace strata::cpu
