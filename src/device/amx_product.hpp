#pragma once
// Whole bf16 products and single tiles on AMX units: which operand is packed once and shared, and which is packed as it is used.
#include <cstdint>

#include "device/product.hpp"

namespace strata {

/// Whether products of this type and shape go to AMX tiles on this processor. DNNL_MAX_CPU_ISA, which limits oneDNN's instruction sets,
/// limits this as well.
bool amx_takes(DType in, std::int64_t m, std::int64_t n, std::int64_t k);

/// The product of amx_takes(), by the stream's threads. The operand with fewer panels is packed once, into the stream's product scratch;
/// threads take groups of the other's panels, pack them into their own scratch and multiply them with every shared panel, so that the
/// larger operand (the weights) is read from memory once. All cuts are made by shape alone, and no cut changes a bit: every element is one
/// sum in the order of depth, cut at multiples of 4,096 where the depth is larger.
void amx_product(Stream& stream, std::int64_t m, std::int64_t n, const Product& product);

/// C[m,n] (f32, row stride ldc) = alpha A B of bf16 operands on the calling thread; needs amx_tile_scratch() bytes.
void amx_tile(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const MatrixRef& a, const MatrixRef& b, float* c,
              std::int64_t ldc, unsigned char* scratch);
std::int64_t amx_tile_scratch(std::int64_t m, std::int64_t n, std::int64_t k);

}  // namespace strata
