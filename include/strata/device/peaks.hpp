#pragma once
// Peaks: how fast this processor multiplies, streams memory, wakes its threads and runs its clock, measured with the code that trains.
#include <cstdint>
#include <string>
#include <vector>

#include "strata/device/blas.hpp"

namespace strata {

/// C[m,n] = A[m,k] B[k,n] as layers use it: forward "nt" (B stored transposed: a weight), gradient of the input "nn", of the weight "tn".
struct ProductShape {
  DType type = DType::f32;  // of A and B; C as training stores it: bf16 forward, f32 for the gradient of a weight
  std::string layout;       // "nn" | "nt" | "tn": whether A and B are stored transposed
  std::int64_t m = 0, n = 0, k = 0;
  double flops() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k); }
  /// "bf16_nt_512x3072x1024"
  std::string name() const;
};
/// The inverse of ProductShape::name(). False: it is no such name.
bool parse_product_shape(const std::string& name, ProductShape& shape);

struct ProductRate {
  double best = 0, median = 0;  // [FLOP/s] of one call
  double early = 0, late = 0;   // medians of the first and the last quarter of the time: late is less where the processor throttles
};
/// Repeats the product for about `seconds` (three times at least) with all threads of the stream. Local; allocates its matrices.
ProductRate product_rate(Stream& stream, const ProductShape& shape, double seconds);

/// Bytes that the loop names, per second, over arrays larger than the caches; what the caches fetch before they are written is not counted.
struct MemoryRate {
  double read = 0, copy = 0, triad = 0;  // sum += a[i]; b[i] = a[i]; c[i] = a[i] + s b[i]. [bytes/s]
  double best() const;
};
/// About `seconds` in all, on three arrays of `bytes` each, less where memory is short. Local.
MemoryRate memory_rate(ThreadPool& pool, std::int64_t bytes, double seconds);
/// Bytes of an array that the caches do not hold: the last level's size, 64 MiB at least.
std::int64_t beyond_caches();

/// Time of a pool run whose tasks do nothing, threads awake. [s]
double pool_latency(ThreadPool& pool, double seconds);

/// Cycles per second of the slowest thread, from a chain of operations that take one cycle each. Call after load to see the clock under it.
/// [Hz]
double clock_rate(ThreadPool& pool);

/// What floors are computed with.
struct Peaks {
  double flops = 0;  // [FLOP/s] of this rank's threads in the run's type
  double bytes = 0;  // [bytes/s] of this rank's threads
  std::string source;
};
/// Half a second: a large product of `type`, and memory. Local; ranks of a host call it at the same time and get their shares.
Peaks quick_peaks(Stream& stream, DType type);

}  // namespace strata
