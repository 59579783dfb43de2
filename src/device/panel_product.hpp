#pragma once
// Whole products and single tiles by this room's own kernels: which operand is packed once and shared, and which as it is used.
#include <cstdint>

#include "device/panels.hpp"
#include "device/product.hpp"

namespace strata {

/// The kernel for products of a type on this processor; null: they go through oneDNN (f32, bf16) or Eigen (f64). DNNL_MAX_CPU_ISA, which
/// limits oneDNN's instruction sets, limits this as well.
const PanelKernel* panel_kernel(DType in);

/// A product of m, n, k >= 1 by the stream's threads. The operand with fewer panels is packed once, into the stream's product scratch;
/// threads take groups of the other's panels, pack them into their own scratch and multiply them with every shared panel, so that the
/// larger operand (the weights) is read from memory once. All cuts are made by shape alone, and no cut changes a bit: every element is one
/// sum in the order of depth. (The layers of Goto and van de Geijn, ACM TOMS 34(3), 2008, with the roles of the caches chosen by size.)
void panel_product(Stream& stream, const PanelKernel& kernel, std::int64_t m, std::int64_t n, const Product& product);

/// C[m,n] (f32, row stride ldc) = alpha A B on the calling thread; `scratch` holds panel_tile_scratch() bytes.
void panel_tile(const PanelKernel& kernel, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const MatrixRef& a,
                const MatrixRef& b, float* c, std::int64_t ldc, unsigned char* scratch);
std::int64_t panel_tile_scratch(const PanelKernel& kernel, std::int64_t m, std::int64_t n, std::int64_t k);

}  // namespace strata
