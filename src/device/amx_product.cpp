// The cutting of products for AMX units.
#include "device/amx_product.hpp"

#include <algorithm>

#include "device/amx_kernel.hpp"
#include "device/onednn_matmul.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {

using Index = std::int64_t;
constexpr Index width = amx::panel_width;
constexpr Index most_panels = 8;  // of a group
constexpr Index stretch = 256;    // of depth: a panel of it takes 16 KiB
constexpr Index vast = 8 << 20;   // [bytes] of output that no cache keeps until it is read
constexpr Index deepest = 1024;                                        // depth of one pass: a group of panels then stays in the L2 cache
constexpr Index shared_bytes = Stream::product_scratch_bytes * 2 / 3;  // the rest holds sums of products with several passes
constexpr Index sums_bytes = Stream::product_scratch_bytes - shared_bytes;

Index panels_in(Index outers) {
  return (outers + width - 1) / width;
}

/// A, whose outers are rows of C, or B, whose outers are columns.
struct Side {
  const MatrixRef* matrix;
  bool left;
  Index outers;

  amx::Operand at(Index outer, Index depth) const {
    const MatrixRef from = left ? part(*matrix, DType::bf16, outer, depth) : part(*matrix, DType::bf16, depth, outer);
    return {static_cast<const std::uint16_t*>(from.data), from.stride, left ? !from.transposed : from.transposed};
  }
  void pack(Index outer, Index end, Index depth, Index depths, std::uint16_t* panel) const {
    (left ? amx::pack_left : amx::pack_right)(at(outer, depth), std::min(width, end - outer), depths, panel);
  }
};

struct Range {
  Index first, last;
  Index size() const { return last - first; }
};

class AmxProduct {
 public:
  AmxProduct(Stream& stream, Index m, Index n, const Product& p)
      : stream_(stream), p_(p), shared_packed_(static_cast<std::uint16_t*>(stream.product_scratch())) {
    const Side a{&p.a, true, m}, b{&p.b, false, n};
    // A weight's gradient (A transposed) is written by whole rows; otherwise the larger operand is the one that is read once.
    const bool stream_a = p.a.transposed || m > n;
    streamed_ = stream_a ? a : b;
    shared_ = stream_a ? b : a;
    streamed_output_ = m * n * 4 >= vast;
    group_ = streamed_.outers >= 4096 ? 8 : streamed_.outers >= 1024 ? 4 : 1;
  }

  void run() {
    const Index depth = std::min(p_.k, deepest);
    const bool several = p_.k > deepest;
    const Index shared_most = shared_bytes / 2 / amx::panel_elements(depth) * width;
    for (Index s = 0; s < shared_.outers; s += shared_most) {
      const Range shared{s, std::min(shared_.outers, s + shared_most)};
      const Index most = several ? sums_bytes / 4 / (panels_in(shared.size()) * width) / (group_ * width) * group_ * width : streamed_.outers;
      STRATA_ASSERT(most > 0, "product scratch for ", shared.size(), " outers");
      for (Index t = 0; t < streamed_.outers; t += most) block(shared, {t, std::min(streamed_.outers, t + most)});
    }
  }

 private:
  /// All of the depth for a block of C: passes of at most `deepest`.
  void block(Range shared, Range streamed) {
    for (Index d = 0; d < p_.k; d += deepest) {
      const Range depth{d, std::min(p_.k, d + deepest)};
      const Index panel = amx::panel_elements(depth.size());
      stream_.pool().run(panels_in(shared.size()), [&](Index task, int) {
        shared_.pack(shared.first + task * width, shared.last, depth.first, depth.size(), shared_packed_ + task * panel);
      });
      const Index outers = group_ * width;
      stream_.pool().run((streamed.size() + outers - 1) / outers, [&](Index task, int worker) {
        const Index first = streamed.first + task * outers;
        group(shared, streamed, {first, std::min(streamed.last, first + outers)}, depth, worker);
      });
    }
  }

  /// A group of streamed panels against all shared ones, by stretches of depth in which a shared panel stays in the L1 cache.
  void group(Range shared, Range block, Range now, Range depth, int worker) {
    const amx::Session session;
    auto* sums = static_cast<float*>(stream_.worker_scratch(worker));
    auto* packed = reinterpret_cast<std::uint16_t*>(sums + most_panels * width * width);
    const Index panel = amx::panel_elements(depth.size());
    for (Index t = now.first, i = 0; t < now.last; t += width, ++i)
      streamed_.pack(t, now.last, depth.first, depth.size(), packed + i * panel);
    const Index count = panels_in(shared.size());
    for (Index j = 0; j < count; ++j) {
      const Range s{shared.first + j * width, std::min(shared.last, shared.first + (j + 1) * width)};
      for (Index d = 0; d < depth.size(); d += stretch)
        for (Index t = now.first, i = 0; t < now.last; t += width, ++i)
          multiply(packed + i * panel + d * width, shared_packed_ + j * panel + d * width, std::min(stretch, depth.size() - d),
                   sums_of(shared, block, s.first, t, sums + i * width * width), depth.first + d > 0);
      if (depth.last < p_.k) continue;
      for (Index t = now.first, i = 0; t < now.last; t += width, ++i)
        finish(sums_of(shared, block, s.first, t, sums + i * width * width), s, {t, std::min(now.last, t + width)});
    }
  }

  /// Where the sums of one pair of panels are kept: with several passes, from pass to pass.
  float* sums_of(Range shared, Range block, Index s, Index t, float* sums) const {
    if (p_.k <= deepest) return sums;
    auto* kept = reinterpret_cast<float*>(static_cast<unsigned char*>(stream_.product_scratch()) + shared_bytes);
    return kept + ((t - block.first) / width * panels_in(shared.size()) + (s - shared.first) / width) * width * width;
  }

  void multiply(const std::uint16_t* streamed, const std::uint16_t* shared, Index depth, float* sums, bool accumulate) const {
    amx::multiply(streamed_.left ? streamed : shared, streamed_.left ? shared : streamed, depth, sums, accumulate);
  }
  void finish(const float* sums, Range shared, Range streamed) const {
    const Range rows = streamed_.left ? streamed : shared, columns = streamed_.left ? shared : streamed;
    const Index at = rows.first * p_.ldc + columns.first;
    if (p_.bias || (p_.out == DType::f32 && p_.old))
      finish_block(p_, rows.first, columns.first, rows.size(), columns.size(), sums, width);
    else if (p_.out == DType::f32)
      amx::store(sums, rows.size(), columns.size(), static_cast<float*>(p_.c) + at, p_.ldc, streamed_output_);
    else
      amx::store_rounded(sums, rows.size(), columns.size(), old_at(rows.first, columns.first), p_.ld_old,
                         static_cast<std::uint16_t*>(p_.c) + at, p_.ldc);
  }
  const std::uint16_t* old_at(Index row, Index column) const {
    return p_.old ? static_cast<const std::uint16_t*>(p_.old) + row * p_.ld_old + column : nullptr;
  }

  Stream& stream_;
  const Product& p_;
  std::uint16_t* shared_packed_;
  Side streamed_, shared_;
  Index group_ = 1;
  bool streamed_output_;
};

}  // namespace

bool amx_takes(DType in, Index m, Index n, Index k) {
  static const bool has = onednn_has_amx() && amx::available();
  return has && in == DType::bf16 && m > 0 && n > 0 && k > 0;
}

void amx_product(Stream& stream, Index m, Index n, const Product& product) {
  AmxProduct(stream, m, n, product).run();
}

Index amx_tile_scratch(Index m, Index n, Index k) {
  return (panels_in(m) + panels_in(n)) * amx::panel_elements(k) * 2 + width * width * 4 + 64;
}

void amx_tile(Index m, Index n, Index k, float alpha, const MatrixRef& a, const MatrixRef& b, float* c, Index ldc, unsigned char* scratch) {
  const amx::Session session;
  const Side left{&a, true, m}, right{&b, false, n};
  const Index panel = amx::panel_elements(k);
  auto* sums = reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(scratch) + 63) / 64 * 64);
  auto* left_packed = reinterpret_cast<std::uint16_t*>(sums + width * width);
  std::uint16_t* right_packed = left_packed + panels_in(m) * panel;
  for (Index i = 0; i < panels_in(m); ++i) left.pack(i * width, m, 0, k, left_packed + i * panel);
  for (Index j = 0; j < panels_in(n); ++j) right.pack(j * width, n, 0, k, right_packed + j * panel);
  for (Index j = 0; j < panels_in(n); ++j)
    for (Index i = 0; i < panels_in(m); ++i) {
      amx::multiply(left_packed + i * panel, right_packed + j * panel, k, sums, false);
      const Index rows = std::min(width, m - i * width), columns = std::min(width, n - j * width);
      for (Index row = 0; row < rows; ++row)
        for (Index column = 0; column < columns; ++column)
          c[(i * width + row) * ldc + j * width + column] = alpha * sums[row * width + column];
    }
}

}  // namespace strata
