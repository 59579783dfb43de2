// Dropout: a warp takes a row, 32 packs at once, so that its lanes share what they draw; rows that do not divide into packs go element by
// element.
#include "ops/cuda/dropout.hpp"

#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "ops/cuda/dropout_factors.cuh"
#include "ops/cuda/exact.cuh"
#include "ops/cuda/queue.cuh"

namespace strata::cuda {
namespace {

constexpr int threads = 256;

template <class T>
struct Work {
  const T* x;
  T* y;
  std::int64_t rows, H, S;  // S rows of each sample
  DropoutFactors<SumOf<T>> factors;
};

template <class T>
__global__ void __launch_bounds__(threads) packs_kernel(Work<T> a) {
  constexpr int W = pack_size<T>;
  const unsigned per_row = static_cast<unsigned>(a.H / W), lane = threadIdx.x % 32, S = static_cast<unsigned>(a.S);
  const unsigned rows = static_cast<unsigned>(a.rows), warps = gridDim.x * (threads / 32);
  for (unsigned r = (blockIdx.x * threads + threadIdx.x) / 32; r < rows; r += warps) {
    const auto sample = static_cast<std::uint32_t>(a.factors.samples[r / S]);
    for (unsigned p = lane; p - lane < per_row; p += 32) {
      const std::int64_t at = r * a.H + p * W;
      Pack<T> pack;
      if (p < per_row) pack = load_pack(a.x + at);
      const std::uint32_t bits = a.factors.template kept_bits<W>(sample, r % S, p);
      if (p >= per_row) continue;
#pragma unroll
      for (int e = 0; e < W; ++e) pack.of[e] = narrow<T>(product(widen(pack.of[e]), (bits >> e & 1) != 0 ? a.factors.kept : SumOf<T>{0}));
      store_pack(a.y + at, pack);
    }
  }
}

template <class T>
__global__ void __launch_bounds__(threads) elements_kernel(Work<T> a) {
  const std::int64_t n = a.rows * a.H;
  for (std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x; at < n; at += std::int64_t{gridDim.x} * threads) {
    const std::int64_t r = at / a.H;
    const SumOf<T> factor = a.factors.one(static_cast<std::uint32_t>(a.factors.samples[r / a.S]), static_cast<std::uint32_t>(r % a.S),
                                          static_cast<std::uint32_t>(at % a.H));
    a.y[at] = narrow<T>(product(widen(a.x[at]), factor));
  }
}

}  // namespace

void dropout(Stream& stream, const ConstView& x, const Dropout& what, const View& y) {
  if (x.elements() == 0) return;
  if (!what.drops()) {
    if (x.data() != y.data()) stream.gpu()->copy(y.data(), x.data(), x.bytes());
    return;
  }
  with_float_type("dropout", x.type(), [&](auto element) {
    using T = decltype(element);
    const std::int64_t rows = x.size(0), H = x.size(1);
    const Work<T> work{data_of<T>(x), data_of<T>(y), rows, H, rows / what.samples.elements(), DropoutFactors<SumOf<T>>::of(what, 0)};
    if constexpr (!std::is_same_v<T, double>) {
      if (packs(work.x, H, H) && packs(work.y, H, H) && rows < std::int64_t{1} << 31)
        return launch(packs_kernel<T>, {blocks_for(rows, threads / 32), threads}, queue_of(stream), work);
    }
    launch(elements_kernel<T>, {blocks_for(rows * H, threads), threads}, queue_of(stream), work);
  });
}

}  // namespace strata::cuda
