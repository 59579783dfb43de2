// The cutting of products for the kernels of this room.
#include "device/panel_product.hpp"

#include <algorithm>

#include "device/onednn_matmul.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {

using Index = std::int64_t;
constexpr Index most_panels = 8;                                       // of a group
constexpr Index stretch = 256;                                         // of depth: panels of it stay in the L1 cache
constexpr Index deepest = 1024;                                        // of one pass: a group then stays in the L2 cache
constexpr Index vast = 8 << 20;                                        // [bytes] of output that no cache keeps until it is read
constexpr Index shared_bytes = Stream::product_scratch_bytes * 2 / 3;  // the rest holds sums of products with several passes
constexpr Index kept_bytes = Stream::product_scratch_bytes - shared_bytes;
constexpr Index block_sums = most_panel_rows * sums_stride;  // elements
constexpr Index group_sums_bytes = most_panels * block_sums * 4;

struct Range {
  Index first, last;
  Index size() const { return last - first; }
};

/// A, whose outers are rows of C, or B, whose outers are columns.
class Side {
 public:
  Side(const PanelKernel& kernel, DType type, const MatrixRef& matrix, bool is_left, Index all)
      : outers(all), left(is_left), width(left ? kernel.left_width : kernel.right_width), kernel_(&kernel), type_(type), matrix_(&matrix) {}

  Index panels(Index count) const { return (count + width - 1) / width; }
  Index panel_bytes(Index depth) const { return kernel_->units(depth) * (left ? kernel_->left_bytes : kernel_->right_bytes); }
  /// Where a depth inside a panel begins.
  Index offset(Index depth) const { return panel_bytes(depth); }
  void pack(Range range, Range depth, void* panel) const {
    const MatrixRef from = left ? part(*matrix_, type_, range.first, depth.first) : part(*matrix_, type_, depth.first, range.first);
    const PanelOperand operand{from.data, from.stride, left ? !from.transposed : from.transposed};
    (left ? kernel_->pack_left : kernel_->pack_right)(operand, range.size(), depth.size(), panel);
  }
  /// Panel i of a range.
  Range panel(Range range, Index i) const { return {range.first + i * width, std::min(range.last, range.first + (i + 1) * width)}; }

  Index outers;
  bool left;
  Index width;

 private:
  const PanelKernel* kernel_;
  DType type_;
  const MatrixRef* matrix_;
};

class PanelProduct {
 public:
  PanelProduct(Stream& stream, const PanelKernel& kernel, Index m, Index n, const Product& p)
      : stream_(stream),
        kernel_(kernel),
        p_(p),
        // A weight's gradient (A transposed) is written by whole rows; otherwise the larger operand is the one that is read once.
        streams_a_(p.a.transposed || m > n),
        streamed_(kernel, p.in, streams_a_ ? p.a : p.b, streams_a_, streams_a_ ? m : n),
        shared_(kernel, p.in, streams_a_ ? p.b : p.a, !streams_a_, streams_a_ ? n : m),
        group_((streamed_.outers >= 4096   ? most_panels
                : streamed_.outers >= 1024 ? most_panels / 2
                                           : 1) *
               streamed_.width),
        past_caches_(m * n * 4 >= vast) {}

  void run() {
    const Index depth = std::min(p_.k, deepest);
    const Index shared_most = shared_bytes / shared_.panel_bytes(depth) * shared_.width;
    for (Index s = 0; s < shared_.outers; s += shared_most) {
      const Range shared{s, std::min(shared_.outers, s + shared_most)};
      // Sums that wait for the next pass must fit into their part of the scratch.
      const Index fitting = kept_bytes / (block_sums * 4) / shared_.panels(shared.size()) * streamed_.width / group_ * group_;
      const Index most = p_.k > deepest ? fitting : streamed_.outers;
      STRATA_ASSERT(most > 0, "product scratch for ", shared.size(), " outers");
      for (Index t = 0; t < streamed_.outers; t += most) block(shared, {t, std::min(streamed_.outers, t + most)});
    }
  }

 private:
  unsigned char* packed_shared(Index panel, Range depth) const {
    return static_cast<unsigned char*>(stream_.product_scratch()) + panel * shared_.panel_bytes(depth.size());
  }

  /// All of the depth for a block of C.
  void block(Range shared, Range streamed) {
    for (Index d = 0; d < p_.k; d += deepest) {
      const Range depth{d, std::min(p_.k, d + deepest)};
      stream_.pool().run(shared_.panels(shared.size()),
                         [&](Index task, int) { shared_.pack(shared_.panel(shared, task), depth, packed_shared(task, depth)); });
      stream_.pool().run((streamed.size() + group_ - 1) / group_, [&](Index task, int worker) {
        const Index first = streamed.first + task * group_;
        group(shared, streamed, {first, std::min(streamed.last, first + group_)}, depth, worker);
      });
    }
  }

  /// A group of streamed panels against all shared ones.
  void group(Range shared, Range block, Range mine, Range depth, int worker) const {
    kernel_.begin();
    auto* scratch = static_cast<unsigned char*>(stream_.worker_scratch(worker));
    unsigned char* packed = scratch + group_sums_bytes;
    const Index panel_bytes = streamed_.panel_bytes(depth.size()), count = streamed_.panels(mine.size());
    for (Index i = 0; i < count; ++i) streamed_.pack(streamed_.panel(mine, i), depth, packed + i * panel_bytes);
    for (Index j = 0; j < shared_.panels(shared.size()); ++j) {
      const auto sums = [&](Index i) {
        return p_.k > deepest ? kept(shared, j, (mine.first - block.first) / streamed_.width + i)
                              : reinterpret_cast<float*>(scratch) + i * block_sums;
      };
      const auto rows = [&](Index i) { return (streams_a_ ? streamed_.panel(mine, i) : shared_.panel(shared, j)).size(); };
      for (Index d = 0; d < depth.size(); d += stretch)
        for (Index i = 0; i < count; ++i)
          multiply(packed + i * panel_bytes + streamed_.offset(d), packed_shared(j, depth) + shared_.offset(d),
                   std::min(stretch, depth.size() - d), sums(i), depth.first + d > 0, rows(i));
      if (depth.last < p_.k) continue;
      for (Index i = 0; i < count; ++i) finish(sums(i), shared_.panel(shared, j), streamed_.panel(mine, i));
    }
    kernel_.end();
  }

  /// Sums of a pair of panels that wait for the next pass.
  float* kept(Range shared, Index shared_panel, Index streamed_panel) const {
    auto* all = reinterpret_cast<float*>(static_cast<unsigned char*>(stream_.product_scratch()) + shared_bytes);
    return all + (streamed_panel * shared_.panels(shared.size()) + shared_panel) * block_sums;
  }

  void multiply(const void* streamed, const void* shared, Index depth, float* sums, bool accumulate, Index rows) const {
    kernel_.multiply(streams_a_ ? streamed : shared, streams_a_ ? shared : streamed, depth, sums, accumulate, rows);
  }

  void finish(const float* sums, Range shared, Range streamed) const {
    const Range rows = streams_a_ ? streamed : shared, columns = streams_a_ ? shared : streamed;
    const Index at = rows.first * p_.ldc + columns.first;
    if (p_.bias || (p_.out == DType::f32 && p_.old))
      finish_block(p_, rows.first, columns.first, rows.size(), columns.size(), sums, sums_stride);
    else if (p_.out == DType::f32)
      avx512_store(sums, rows.size(), columns.size(), static_cast<float*>(p_.c) + at, p_.ldc, past_caches_);
    else
      avx512_store_rounded(sums, rows.size(), columns.size(),
                           p_.old ? static_cast<const std::uint16_t*>(p_.old) + rows.first * p_.ld_old + columns.first : nullptr, p_.ld_old,
                           static_cast<std::uint16_t*>(p_.c) + at, p_.ldc);
  }

  Stream& stream_;
  const PanelKernel& kernel_;
  const Product& p_;
  bool streams_a_;
  Side streamed_, shared_;
  Index group_;  // streamed outers of a task
  bool past_caches_;
};

}  // namespace

const PanelKernel* panel_kernel(DType in) {
  static const PanelKernel* const f32 = onednn_has(Isa::avx512) ? avx512_f32_kernel() : nullptr;
  static const PanelKernel* const tiles = onednn_has(Isa::amx) ? amx_bf16_kernel() : nullptr;
  static const PanelKernel* const bf16 = tiles ? tiles : onednn_has(Isa::avx512_bf16) ? avx512_bf16_kernel() : nullptr;
  return in == DType::f32 ? f32 : in == DType::bf16 ? bf16 : nullptr;
}

void panel_product(Stream& stream, const PanelKernel& kernel, Index m, Index n, const Product& product) {
  PanelProduct(stream, kernel, m, n, product).run();
}

Index panel_tile_scratch(const PanelKernel& kernel, Index m, Index n, Index k) {
  const MatrixRef none;
  const Side left(kernel, DType::f32, none, true, m), right(kernel, DType::f32, none, false, n);
  return left.panels(m) * left.panel_bytes(k) + right.panels(n) * right.panel_bytes(k) + block_sums * 4 + 64;
}

void panel_tile(const PanelKernel& kernel, Index m, Index n, Index k, float alpha, const MatrixRef& a, const MatrixRef& b, float* c,
                Index ldc, unsigned char* scratch) {
  const DType type = kernel.element_bytes == 2 ? DType::bf16 : DType::f32;
  const Side left(kernel, type, a, true, m), right(kernel, type, b, false, n);
  const Range rows{0, m}, columns{0, n}, depth{0, k};
  auto* sums = reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(scratch) + 63) / 64 * 64);
  auto* left_packed = reinterpret_cast<unsigned char*>(sums + block_sums);
  unsigned char* right_packed = left_packed + left.panels(m) * left.panel_bytes(k);
  for (Index i = 0; i < left.panels(m); ++i) left.pack(left.panel(rows, i), depth, left_packed + i * left.panel_bytes(k));
  for (Index j = 0; j < right.panels(n); ++j) right.pack(right.panel(columns, j), depth, right_packed + j * right.panel_bytes(k));
  kernel.begin();
  for (Index j = 0; j < right.panels(n); ++j)
    for (Index i = 0; i < left.panels(m); ++i) {
      const Range r = left.panel(rows, i), s = right.panel(columns, j);
      kernel.multiply(left_packed + i * left.panel_bytes(k), right_packed + j * right.panel_bytes(k), k, sums, false, r.size());
      avx512_scale(sums, r.size(), s.size(), alpha, false, c + r.first * ldc + s.first, ldc);
    }
  kernel.end();
}

}  // namespace strata
