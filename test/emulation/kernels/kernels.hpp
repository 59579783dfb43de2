// Kernels for the emulation's own tests, behind plain functions: sources that nvcc compiles as well.
#pragma once
#include <cuda_runtime.h>

namespace kernels {

void block_sum(const float* x, float* sums, int n, int blocks, int threads, cudaStream_t stream);
void scale(float* x, float factor, int n, cudaStream_t stream);
void write_at(float* x, long index, cudaStream_t stream);
void last_block_wins(int* x, int blocks, cudaStream_t stream);   // a race between blocks
void neighbour(int* x, bool with_barrier, cudaStream_t stream);  // a race within a block unless asked for the barrier
void divergent_barrier(cudaStream_t stream);
void shuffle_without_all(cudaStream_t stream);
void uninitialised(float* x, bool dynamic, cudaStream_t stream);
void uninitialised_in_a_template(float* x, bool function, cudaStream_t stream);
std::size_t static_bytes_of_a_template();
void shuffles(int* x, cudaStream_t stream);  // 6 x 32 results
void votes(unsigned* x, cudaStream_t stream);
void named_barriers(int* x, cudaStream_t stream);
void sync_counts(int* x, cudaStream_t stream);
void recurse(int* x, int depth, cudaStream_t stream);

enum class Mma { bf16, f16, tf32 };
void mma(Mma type, const void* a, const void* b, float* d, cudaStream_t stream);    // one tile, A [16,K] by rows, B [K,8] by columns
void mma_from_shared(const void* a, const void* b, float* d, cudaStream_t stream);  // bf16 through ldmatrix; B [16,8] by rows
void load_matrices(const void* rows, unsigned* registers, int count, bool transposed, cudaStream_t stream);
void copy_async(const float* x, float* y, int n, bool wait, cudaStream_t stream);
void shared_bytes(int* x, std::size_t bytes, cudaStream_t stream);
const void* shared_kernel();

}  // namespace kernels
