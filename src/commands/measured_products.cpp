#include "commands/measured_products.hpp"

namespace strata {

std::vector<ProductShape> measured_products(const Gpu* gpu) {
  if (gpu && gpu->facts().emulated)
    return {
        {DType::f32, "nt", 32, 32, 64}, {DType::bf16, "nt", 32, 32, 64}, {DType::f64, "nt", 16, 16, 32}, {DType::bf16, "tn", 64, 32, 16}};
  std::vector<ProductShape> all;
  if (gpu)
    all = {{DType::f32, "nt", 8192, 4096, 1024}, {DType::bf16, "nt", 8192, 8192, 8192}, {DType::f64, "nt", 4096, 4096, 2048}};
  else
    all = {{DType::f32, "nt", 1024, 1024, 2048}, {DType::bf16, "nt", 1024, 1024, 2048}, {DType::f64, "nt", 512, 512, 1024}};
  const std::int64_t tokens = gpu ? 4096 : 512;
  for (const DType type : {DType::f32, DType::bf16}) {
    all.push_back({type, "nt", tokens, 4096, 1024});   // q, k, v
    all.push_back({type, "nt", tokens, 6144, 1024});   // gate, up
    all.push_back({type, "nt", tokens, 1024, 3072});   // down
    all.push_back({type, "nn", tokens, 1024, 4096});   // gradient of the input
    all.push_back({type, "tn", 6144, 1024, tokens});   // gradient of a weight
    all.push_back({type, "nt", tokens, 16384, 1024});  // a part of the head
    all.push_back({type, "nt", 1, 4096, 1024});        // a token of generation
  }
  return all;
}

}  // namespace strata
