// The gradient of a bias: rows summed in blocks, then the blocks' sums in order.
#include "ops/cuda/linear.hpp"

#include "ops/cuda/row_sums.cuh"

namespace strata::cuda {
namespace {

template <class T>
struct Read {
  static constexpr int rows_at_once = 4;
  using Loaded = Pack<T>;
  const T* x;
  std::int64_t stride;

  template <bool whole>
  __device__ __forceinline__ Loaded load(std::int64_t row, int p, int columns) const {
    return load_of_row<whole>(x + row * stride, p, columns);
  }
  template <bool whole>
  __device__ __forceinline__ Pack<T> finish(std::int64_t, int, int, const Loaded& pack) const {
    return pack;
  }
};

}  // namespace

void linear_backward_bias(Stream& stream, const ConstView& dy, const View& dbias, Write write, void* workspace) {
  with_float_type("linear_backward_weight", dy.type(), [&](auto element) {
    using T = decltype(element);
    const Read<T> work{data_of<T>(dy), dy.stride(0)};
    run_row_sums<T>(stream, work, dy.type(), dy.size(0), dy.size(1), packs(work.x, work.stride, dy.size(1)), data_of<SumOf<T>>(dbias),
                    write, workspace);
  });
}

}  // namespace strata::cuda
