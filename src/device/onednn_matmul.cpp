// The cache of oneDNN primitives: an open hash per thread, so that a hit takes no lock and allocates nothing.
#include "device/onednn_matmul.hpp"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include "dnnl.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {

using Dims = dnnl::memory::dims;
using DataType = dnnl::memory::data_type;

const dnnl::engine& host_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

DataType data_type(DType type) {
  return type == DType::bf16 ? DataType::bf16 : DataType::f32;
}

Dims strides_of(std::int64_t stride, bool transposed) {
  return transposed ? Dims{1, stride} : Dims{stride, 1};
}

std::uint64_t hash_of(const MatmulKey& key) {
  std::uint64_t hash = 0;
  const auto mix = [&](std::uint64_t value) { hash = (std::rotl(hash, 23) ^ value) * 0x9E3779B97F4A7C15U; };
  mix(static_cast<std::uint64_t>(key.m)), mix(static_cast<std::uint64_t>(key.n)), mix(static_cast<std::uint64_t>(key.k));
  mix(static_cast<std::uint64_t>(key.lda)), mix(static_cast<std::uint64_t>(key.ldb)), mix(static_cast<std::uint64_t>(key.ldc));
  mix(std::bit_cast<std::uint32_t>(key.alpha));
  mix(static_cast<std::uint64_t>(key.in) << 16 | static_cast<std::uint64_t>(key.out) << 8 | (key.accumulate ? 4U : 0U) |
      (key.a_transposed ? 2U : 0U) | (key.b_transposed ? 1U : 0U));
  return hash ^ hash >> 32;
}

dnnl::matmul::primitive_desc describe(const MatmulKey& key) {
  const dnnl::memory::desc a({key.m, key.k}, data_type(key.in), strides_of(key.lda, key.a_transposed));
  const dnnl::memory::desc b({key.k, key.n}, data_type(key.in), strides_of(key.ldb, key.b_transposed));
  const dnnl::memory::desc c({key.m, key.n}, data_type(key.out), strides_of(key.ldc, false));
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops after;
  // oneDNN 3 has neither output scales nor operation descriptors.
#if DNNL_VERSION_MAJOR >= 3
  if (key.alpha != 1.0F) after.append_eltwise(dnnl::algorithm::eltwise_linear, key.alpha, 0.0F);
#else
  if (key.alpha != 1.0F) attributes.set_output_scales(0, {key.alpha});
#endif
  if (key.accumulate) after.append_sum(1.0F);
  attributes.set_post_ops(after);
#if DNNL_VERSION_MAJOR >= 3
  return {host_engine(), a, b, c, attributes};
#else
  return {dnnl::matmul::desc(a, b, c), attributes, host_engine()};
#endif
}

/// A primitive with the memory objects that stand for its operands; their addresses are set at each call.
struct Matmul {
  MatmulKey key;
  dnnl::primitive primitive;
  dnnl::memory a, b, c, scratchpad;
  std::int64_t scratchpad_bytes = 0;

  explicit Matmul(const MatmulKey& for_key) : key(for_key) {
    const dnnl::matmul::primitive_desc description = describe(key);
    const auto operand = [](const dnnl::memory::desc& desc) { return dnnl::memory(desc, host_engine(), DNNL_MEMORY_NONE); };
    primitive = dnnl::matmul(description);
    a = operand(description.src_desc()), b = operand(description.weights_desc()), c = operand(description.dst_desc());
    scratchpad = operand(description.scratchpad_desc());
    scratchpad_bytes = static_cast<std::int64_t>(description.scratchpad_desc().get_size());
  }
};

class MatmulCache {
 public:
  Matmul& find(const MatmulKey& key) {
    for (std::size_t slot = hash_of(key) & mask();; slot = (slot + 1) & mask()) {
      if (!slots_[slot]) return insert(key);
      if (slots_[slot]->key == key) return *slots_[slot];
    }
  }
  void execute(Matmul& matmul, const void* a, const void* b, void* c, void* scratch, std::int64_t scratch_bytes) {
    if (scratch_bytes < matmul.scratchpad_bytes) scratch = own_scratch(matmul.scratchpad_bytes);
    matmul.a.set_data_handle(const_cast<void*>(a)), matmul.b.set_data_handle(const_cast<void*>(b));
    matmul.c.set_data_handle(c), matmul.scratchpad.set_data_handle(scratch);
    // The C interface: the C++ one builds a hash map of the arguments at every call.
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, matmul.a.get()},
                                         {DNNL_ARG_WEIGHTS, matmul.b.get()},
                                         {DNNL_ARG_DST, matmul.c.get()},
                                         {DNNL_ARG_SCRATCHPAD, matmul.scratchpad.get()}};
    const dnnl_status_t status = dnnl_primitive_execute(matmul.primitive.get(), stream_.get(), 4, arguments);
    STRATA_ASSERT(status == dnnl_success, "oneDNN product ", matmul.key.m, "x", matmul.key.n, "x", matmul.key.k, " failed with status ",
                  static_cast<int>(status));
  }

 private:
  std::size_t mask() const { return slots_.size() - 1; }

  Matmul& insert(const MatmulKey& key) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    auto made = std::make_unique<Matmul>(key);
    Matmul& matmul = *made;
    place(std::move(made));
    ++count_;
    return matmul;
  }
  void place(std::unique_ptr<Matmul> matmul) {
    std::size_t slot = hash_of(matmul->key) & mask();
    while (slots_[slot]) slot = (slot + 1) & mask();
    slots_[slot] = std::move(matmul);
  }
  void grow() {
    std::vector<std::unique_ptr<Matmul>> old(2 * slots_.size());
    old.swap(slots_);
    for (auto& matmul : old)
      if (matmul) place(std::move(matmul));
  }
  void* own_scratch(std::int64_t bytes) {
    if (bytes > own_bytes_) {
      own_.reset(static_cast<unsigned char*>(::operator new (static_cast<std::size_t>(bytes), std::align_val_t{64})));
      own_bytes_ = bytes;
    }
    return own_.get();
  }

  struct Release {
    void operator()(unsigned char* memory) const { ::operator delete (memory, std::align_val_t{64}); }
  };
  std::vector<std::unique_ptr<Matmul>> slots_{256};
  std::size_t count_ = 0;
  std::unique_ptr<unsigned char, Release> own_;
  std::int64_t own_bytes_ = 0;
  dnnl::stream stream_{host_engine()};
};

MatmulCache& cache_of_this_thread() {
  thread_local MatmulCache cache;
  return cache;
}

/// One OpenMP thread while it lives: a call stays on the calling thread, whoever set what before.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace

void onednn_matmul(const MatmulKey& key, const void* a, const void* b, void* c, void* scratch, std::int64_t scratch_bytes) {
  const OneThread guard;  // also while a primitive is made: oneDNN plans its blocks for the threads it sees then
  MatmulCache& cache = cache_of_this_thread();
  cache.execute(cache.find(key), a, b, c, scratch, scratch_bytes);
}

bool onednn_has(Isa isa) {
  static const auto effective = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto needed = static_cast<unsigned>(isa == Isa::amx           ? dnnl::cpu_isa::avx512_core_amx
                                            : isa == Isa::avx512_bf16 ? dnnl::cpu_isa::avx512_core_bf16
                                                                      : dnnl::cpu_isa::avx512_core);
  return (effective & needed) == needed;
}

const char* onednn_implementation(const MatmulKey& key) {
  const OneThread guard;
  thread_local dnnl::matmul::primitive_desc description;
  description = describe(key);
  return description.impl_info_str();
}

}  // namespace strata
