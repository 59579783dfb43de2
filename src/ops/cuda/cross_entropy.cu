// The head with its loss: chunks of rows through product, softmax and the two gradient products. A block takes a row of logits: one pass
// for its largest and its sum of exponentials, one that rewrites it as its gradient.
#include "ops/cuda/cross_entropy.hpp"

#include "device/cuda/launch.cuh"
#include "ops/cuda/limits.cuh"
#include "ops/cuda/queue.cuh"
#include "ops/cuda/softmax.cuh"

namespace strata::cuda {
namespace {

/// One chunk of rows with the logits of the whole vocabulary.
template <class T>
struct Chunk {
  T* logits;
  std::int64_t stride;
  int V;
  const int* labels;
  double* loss;
  double scale;
  const double* scale_at;  // or null: the scale, when the kernel runs
  int kept;                // packs of a row that wait in shared memory between the passes
};

template <class T>
__device__ __forceinline__ void widen_pack(const Pack<T>& pack, SumOf<T> (&z)[pack_size<T>]) {
#pragma unroll
  for (int e = 0; e < pack_size<T>; ++e) z[e] = widen(pack.of[e]);
}

/// Calls use(i, pack) for the packs i of a row that are this thread's, four of them under way at once.
template <class T, int threads, class Read, class Use>
__device__ __forceinline__ void for_packs(int packs, Read&& read, Use&& use) {
  constexpr int ahead = 4;
  for (int first = static_cast<int>(threadIdx.x); first < packs; first += ahead * threads) {
    Pack<T> pack[ahead];
#pragma unroll
    for (int k = 0; k < ahead; ++k)
      if (first + k * threads < packs) pack[k] = read(first + k * threads);
#pragma unroll
    for (int k = 0; k < ahead; ++k)
      if (first + k * threads < packs) use(first + k * threads, pack[k]);
  }
}

/// The mass of the row; its first packs stay in shared memory, each for the thread that reads it again.
template <class T, int threads>
__device__ __forceinline__ BlockMass<T> mass_of(const Chunk<T>& a, const T* row, Pack<T>* kept) {
  constexpr int W = pack_size<T>;
  Mass<T> own;
  const auto read = [&](int i) { return load_pack(row + std::int64_t{i} * W); };
  for_packs<T, threads>(a.V / W, read, [&](int i, const Pack<T>& pack) {
    if (i < a.kept) kept[i] = pack;
    SumOf<T> z[W];
    widen_pack(pack, z);
    own.add(z);
  });
  const int rest = a.V / W * W + static_cast<int>(threadIdx.x);
  if (rest < a.V) {
    const SumOf<T> z[1] = {widen(row[rest])};
    own.add(z);
  }
  return join<T, threads>(own);
}

/// loss = top + log(sum) - z_label, 0 where the label does not count, NaN where there is no such logit; with `gradient` the logits become
/// scale (softmax - [v = label]).
template <class T, int threads, bool gradient>
__global__ void __launch_bounds__(threads) row_kernel(const Chunk<T> a) {
  using Sum = SumOf<T>;
  constexpr int W = pack_size<T>;
  Pack<T>* const kept = gradient ? dynamic_shared<Pack<T>>() : nullptr;
  T* const row = a.logits + blockIdx.x * a.stride;
  const int label = a.labels[blockIdx.x];
  if (label < 0) {
    if (threadIdx.x == 0) a.loss[blockIdx.x] = 0;
    // Whole packs: a row has room for them (cross_entropy_stride).
    if (gradient)
      for (int v = static_cast<int>(threadIdx.x) * W; v < a.V; v += threads * W)
        *reinterpret_cast<uint4*>(row + v) = make_uint4(0, 0, 0, 0);
    return;
  }
  const double at_label = label < a.V ? static_cast<double>(widen(row[label])) : NAN;
  const BlockMass<T> mass = mass_of<T, threads>(a, row, kept);  // its barriers: everyone has read the label's logit
  if (threadIdx.x == 0) a.loss[blockIdx.x] = (static_cast<double>(mass.top) + log(mass.sum)) - at_label;
  if constexpr (gradient) {
    const double given = a.scale_at ? *a.scale_at : a.scale;
    const Sum factor = static_cast<Sum>(given / mass.sum), scale = static_cast<Sum>(given);
    const auto slope = [&](Sum z, int v) { return exponential<T>(z - mass.top) * factor - (v == label ? scale : Sum{0}); };
    const auto read = [&](int i) { return i < a.kept ? kept[i] : load_pack(row + std::int64_t{i} * W); };
    for_packs<T, threads>(a.V / W, read, [&](int i, Pack<T>& pack) {
#pragma unroll
      for (int e = 0; e < W; ++e) pack.of[e] = narrow<T>(slope(widen(pack.of[e]), i * W + e));
      store_pack(row + std::int64_t{i} * W, pack);
    });
    const int rest = a.V / W * W + static_cast<int>(threadIdx.x);
    if (rest < a.V) row[rest] = narrow<T>(slope(widen(row[rest]), rest));
  }
}

/// Packs of a row that wait in shared memory: what a block of this GPU may have, less what the kernel has of its own. The rest of a row is
/// read again from the second-level cache: of 151,936 logits in bf16 then a third, which the rows of all multiprocessors leave room for.
int kept_packs() {
  return static_cast<int>((shared_limit() - 4096) / 16);
}

/// Few threads where a row is short: the order of its sum depends on V alone.
constexpr int few = 128, many = 1024, short_row = 8192;

template <class T, bool gradient>
void run_rows(cudaStream_t queue, Chunk<T> chunk, std::int64_t rows) {
  std::size_t shared = 0;
  if (gradient) {
    const int packs = std::min(chunk.V / pack_size<T>, kept_packs());
    chunk.kept = packs, shared = static_cast<std::size_t>(std::max(packs, 1)) * 16;
  }
  if (chunk.V <= short_row)
    launch(row_kernel<T, few, gradient>, {static_cast<unsigned>(rows), few, shared}, queue, chunk);
  else
    launch(row_kernel<T, many, gradient>, {static_cast<unsigned>(rows), many, shared}, queue, chunk);
}

/// Where kernels read the number; null: nowhere.
const double* scale_place(const Factor& scale) {
  return scale.place.given() ? data_of<double>(scale.place) : nullptr;
}

void multiply(Stream& stream, std::int64_t m, std::int64_t n, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b, DType out,
              void* c, std::int64_t ldc, Write write) {
  stream.gpu()->gemm(m, n, k, in, a, b, out, c, ldc, write, nullptr, nullptr, 0, stream.product_scratch(),
                     Stream::gpu_product_scratch_bytes);
}

/// Calls f(chunk, first row, rows) for each chunk in order, its logits formed: z = x W^T.
template <class T, class F>
void for_each_chunk(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels, const View& row_loss,
                    void* workspace, const Factor& scale, F&& f) {
  const std::int64_t R = x.size(0), V = weight.size(0), step = cross_entropy_chunk(V, x.type()), stride = cross_entropy_stride(V);
  for (std::int64_t first = 0; first < R; first += step) {
    const std::int64_t rows = std::min(step, R - first);
    multiply(stream, rows, V, x.size(1), x.type(), {x.rows(first, rows).data(), x.stride(0), false},
             {weight.data(), weight.stride(0), true}, x.type(), workspace, stride, Write::set);
    f(Chunk<T>{static_cast<T*>(workspace), stride, static_cast<int>(V), data_of<int>(labels) + first, data_of<double>(row_loss) + first,
               scale.value, scale_place(scale), 0},
      first, rows);
  }
}

}  // namespace

void linear_cross_entropy_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels,
                                  const View& row_loss, void* workspace) {
  with_float_type("linear_cross_entropy_forward", x.type(), [&](auto element) {
    using T = decltype(element);
    for_each_chunk<T>(stream, x, weight, labels, row_loss, workspace, 0.0,
                      [&](const Chunk<T>& chunk, std::int64_t, std::int64_t rows) { run_rows<T, false>(queue_of(stream), chunk, rows); });
  });
}

void linear_cross_entropy_backward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels,
                                   const Factor& scale, const View& row_loss, const View& dx, const View& dweight, Write write,
                                   void* workspace) {
  const std::int64_t H = x.size(1), V = weight.size(0);
  // Nothing to sum: a product of depth 0 sets zeros, or leaves what is there.
  if (x.size(0) == 0 && write == Write::set)
    multiply(stream, V, H, 0, x.type(), {}, {}, dweight.type(), dweight.data(), dweight.stride(0), Write::set);
  with_float_type("linear_cross_entropy_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    for_each_chunk<T>(
        stream, x, weight, labels, row_loss, workspace, scale, [&](const Chunk<T>& chunk, std::int64_t first, std::int64_t rows) {
          run_rows<T, true>(queue_of(stream), chunk, rows);
          // dW[V,H] = dz[rows,V]^T x[rows,H]; before dx, which may lie where x does.
          multiply(stream, V, H, rows, x.type(), {chunk.logits, chunk.stride, true}, {x.rows(first, rows).data(), x.stride(0), false},
                   dweight.type(), dweight.data(), dweight.stride(0), first > 0 ? Write::add : write);
          // dx[rows,H] = dz[rows,V] W[V,H]
          multiply(stream, rows, H, V, x.type(), {chunk.logits, chunk.stride, false}, {weight.data(), weight.stride(0), false}, dx.type(),
                   dx.rows(first, rows).data(), dx.stride(0), Write::set);
        });
  });
}

}  // namespace strata::cuda
