// The cutting of products for the kernels of this room.
#include "device/panel_product.hpp"

#include <algorithm>

#include "device/onednn_matmul.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {

using Index = std::int64_t;
constexpr Index most_panels = 8;         // of a group
constexpr Index stretch = 256;           // of depth: panels of it stay in the L1 cache
constexpr Index chunk_bytes = 64 << 10;  // of a right panel that a group packs at once: it stays in the L2 cache
constexpr Index vast = 8 << 20;          // [bytes] of output that no cache keeps until it is read
constexpr Index shared_bytes = Stream::product_scratch_bytes * 2 / 3;  // the rest holds sums of products with several passes
constexpr Index kept_bytes = Stream::product_scratch_bytes - shared_bytes;

struct Range {
  Index first, last;
  Index size() const { return last - first; }
  Range from(Index at, Index most) const { return {at, std::min(last, at + most)}; }
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
        block_sums_(kernel.left_width * sums_stride),
        chunk_(chunk_bytes / kernel.right_bytes * kernel.depth_unit),
        deepest_(deepest()),
        past_caches_(m * n * 4 >= vast) {}

  void run() {
    const Index depth = std::min(p_.k, deepest_);
    Index shared_most = (passes() ? shared_bytes : Stream::product_scratch_bytes) / shared_.panel_bytes(depth);
    if (!passes() && p_.k > chunk_) shared_most = std::min(shared_most, waiting_bytes() / (group_ / streamed_.width * block_sums_ * 4));
    STRATA_ASSERT(shared_most > 0, "product scratch for a depth of ", depth);
    shared_most *= shared_.width;
    for (Index s = 0; s < shared_.outers; s += shared_most) {
      const Range shared{s, std::min(shared_.outers, s + shared_most)};
      // Sums that wait for the next pass must fit into their part of the scratch.
      const Index fitting = kept_bytes / (block_sums_ * 4) / shared_.panels(shared.size()) * streamed_.width / group_ * group_;
      const Index most = passes() ? fitting : streamed_.outers;
      STRATA_ASSERT(most > 0, "product scratch for ", shared.size(), " outers");
      for (Index t = 0; t < streamed_.outers; t += most) block(shared, {t, std::min(streamed_.outers, t + most)});
    }
  }

 private:
  /// Depth of a pass: all of it where the shared operand fits into the scratch, else what fits beside the sums that wait.
  Index deepest() const {
    const Index panels = shared_.panels(shared_.outers);
    if (panels * shared_.panel_bytes(p_.k) <= Stream::product_scratch_bytes || p_.k <= 2 * chunk_) return p_.k;
    return std::max<Index>(2, shared_bytes / (panels * shared_.panel_bytes(chunk_))) * chunk_;
  }
  /// Whether sums wait in the product's scratch between passes.
  bool passes() const { return p_.k > deepest_; }
  /// Of a worker's scratch, for sums that wait between the chunks of a pass.
  Index waiting_bytes() const { return Stream::worker_scratch_bytes - group_ / streamed_.width * streamed_.panel_bytes(chunk_); }

  unsigned char* packed_shared(Index panel, Range depth) const {
    return static_cast<unsigned char*>(stream_.product_scratch()) + panel * shared_.panel_bytes(depth.size());
  }

  /// All of the depth for a block of C.
  void block(Range shared, Range streamed) {
    for (Index d = 0; d < p_.k; d += deepest_) {
      const Range depth{d, std::min(p_.k, d + deepest_)};
      stream_.pool().run(shared_.panels(shared.size()),
                         [&](Index task, int) { shared_.pack(shared_.panel(shared, task), depth, packed_shared(task, depth)); });
      stream_.pool().run((streamed.size() + group_ - 1) / group_, [&](Index task, int worker) {
        const Index first = streamed.first + task * group_;
        group(shared, streamed, {first, std::min(streamed.last, first + group_)}, depth, worker);
      });
    }
  }

  /// A group of streamed panels against all shared ones: one chunk of the depth after the other, so that the group stays in the cache.
  void group(Range shared, Range block, Range mine, Range depth, int worker) const {
    kernel_.begin();
    auto* packed = static_cast<unsigned char*>(stream_.worker_scratch(worker));
    const Index count = streamed_.panels(mine.size()), shared_count = shared_.panels(shared.size());
    auto* waiting = reinterpret_cast<float*>(packed + group_ / streamed_.width * streamed_.panel_bytes(chunk_));
    for (Range chunk = depth.from(depth.first, chunk_); chunk.size() > 0; chunk = depth.from(chunk.last, chunk_)) {
      const Index panel_bytes = streamed_.panel_bytes(chunk.size()), begin = chunk.first - depth.first, end = chunk.last - depth.first;
      for (Index i = 0; i < count; ++i) streamed_.pack(streamed_.panel(mine, i), chunk, packed + i * panel_bytes);
      for (Index j = 0; j < shared_count; ++j) {
        const auto sums = [&](Index i) {
          if (passes()) return kept(shared, j, (mine.first - block.first) / streamed_.width + i);
          return waiting + ((p_.k > chunk_ ? j * count : 0) + i) * block_sums_;
        };
        const auto rows = [&](Index i) { return (streams_a_ ? streamed_.panel(mine, i) : shared_.panel(shared, j)).size(); };
        for (Index d = begin; d < end; d += stretch) {
          const unsigned char* ahead = d + stretch < end      ? packed_shared(j, depth) + shared_.offset(d + stretch)
                                       : j + 1 < shared_count ? packed_shared(j + 1, depth) + shared_.offset(begin)
                                       : end < depth.size()   ? packed_shared(0, depth) + shared_.offset(end)
                                                              : packed_shared(0, depth);
          const Index share = shared_.panel_bytes(stretch) / count / 64 * 64;
          for (Index i = 0; i < count; ++i)
            multiply(packed + i * panel_bytes + streamed_.offset(d - begin), packed_shared(j, depth) + shared_.offset(d),
                     std::min(stretch, end - d), sums(i), depth.first + d > 0, rows(i), {ahead + i * share, share});
        }
        if (chunk.last < p_.k) continue;
        for (Index i = 0; i < count; ++i) finish(sums(i), shared_.panel(shared, j), streamed_.panel(mine, i));
      }
    }
    kernel_.end();
  }

  /// Sums of a pair of panels that wait for the next pass.
  float* kept(Range shared, Index shared_panel, Index streamed_panel) const {
    auto* all = reinterpret_cast<float*>(static_cast<unsigned char*>(stream_.product_scratch()) + shared_bytes);
    return all + (streamed_panel * shared_.panels(shared.size()) + shared_panel) * block_sums_;
  }

  void multiply(const void* streamed, const void* shared, Index depth, float* sums, bool accumulate, Index rows,
                const PanelAhead& ahead) const {
    kernel_.multiply(streams_a_ ? streamed : shared, streams_a_ ? shared : streamed, depth, sums, accumulate, rows, ahead);
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
  Index group_;       // streamed outers of a task
  Index block_sums_;  // elements of a block of sums
  Index chunk_;       // of depth, which a group packs at once
  Index deepest_;     // of depth, which is packed of the shared operand at once
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
  return left.panels(m) * left.panel_bytes(k) + right.panels(n) * right.panel_bytes(k) + most_panel_rows * sums_stride * 4 + 64;
}

void panel_tile(const PanelKernel& kernel, Index m, Index n, Index k, float alpha, const MatrixRef& a, const MatrixRef& b, float* c,
                Index ldc, unsigned char* scratch) {
  const DType type = kernel.element_bytes == 2 ? DType::bf16 : DType::f32;
  const Side left(kernel, type, a, true, m), right(kernel, type, b, false, n);
  const Range rows{0, m}, columns{0, n}, depth{0, k};
  auto* sums = reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(scratch) + 63) / 64 * 64);
  auto* left_packed = reinterpret_cast<unsigned char*>(sums + most_panel_rows * sums_stride);
  unsigned char* right_packed = left_packed + left.panels(m) * left.panel_bytes(k);
  for (Index i = 0; i < left.panels(m); ++i) left.pack(left.panel(rows, i), depth, left_packed + i * left.panel_bytes(k));
  for (Index j = 0; j < right.panels(n); ++j) right.pack(right.panel(columns, j), depth, right_packed + j * right.panel_bytes(k));
  kernel.begin();
  for (Index j = 0; j < right.panels(n); ++j)
    for (Index i = 0; i < left.panels(m); ++i) {
      const Range r = left.panel(rows, i), s = right.panel(columns, j);
      kernel.multiply(left_packed + i * left.panel_bytes(k), right_packed + j * right.panel_bytes(k), k, sums, false, r.size(), {});
      avx512_scale(sums, r.size(), s.size(), alpha, false, c + r.first * ldc + s.first, ldc);
    }
  kernel.end();
}

}  // namespace strata
