// Rates of this processor, taken with the program's own products and threads.
#include "strata/device/peaks.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/device/gpu.hpp"

namespace strata {
namespace {

/// Calls `work` until `seconds` are over, three times at least; the time of each call.
std::vector<double> times_of(double seconds, const std::function<void()>& work) {
  std::vector<double> times;
  const Stopwatch all;
  do {
    const Stopwatch one;
    work();
    times.push_back(std::max(one.seconds(), 1e-9));
  } while (times.size() < 3 || all.seconds() < seconds);
  return times;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

template <class T>
void fill_matrix(void* to, std::int64_t elements, float (*convert)(T&, float)) {
  auto* values = static_cast<T*>(to);
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < elements; ++i) {
    state = state * 1664525u + 1013904223u;
    (void)convert(values[i], static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5F);
  }
}

// Numbers as they occur: zeros cost a processor less power, and so run at another clock.
void fill_matrix(DType type, void* to, std::int64_t elements) {
  std::vector<unsigned char> values(static_cast<std::size_t>(elements) * size_of(type));
  if (type == DType::f64)
    fill_matrix<double>(values.data(), elements, [](double& v, float x) { return v = static_cast<double>(x), x; });
  else if (type == DType::f32)
    fill_matrix<float>(values.data(), elements, [](float& v, float x) { return v = x; });
  else
    fill_matrix<BFloat16>(values.data(), elements, [](BFloat16& v, float x) { return v = BFloat16(x), x; });
  copy_memory(to, values.data(), static_cast<std::int64_t>(values.size()));
}

// Memory of the device that `stream` runs on.
Arena arena_for(const Stream& stream, std::int64_t bytes) {
  return stream.gpu() ? Arena(*stream.gpu(), bytes) : Arena(bytes);
}

DType output_type(const ProductShape& shape) {
  return shape.layout == "tn" && shape.type == DType::bf16 ? DType::f32 : shape.type;
}

const char* precision_name(DType type) {
  return type == DType::f64 ? "fp64" : type == DType::bf16 ? "bf16" : "fp32";
}

}  // namespace

std::string ProductShape::name() const {
  return text(precision_name(type), '_', layout, '_', m, 'x', n, 'x', k);
}

bool parse_product_shape(const std::string& name, ProductShape& shape) {
  char type[8], layout[4], rest;
  long long m = 0, n = 0, k = 0;
  if (std::sscanf(name.c_str(), "%4[a-z0-9]_%2[nt]_%lldx%lldx%lld%c", type, layout, &m, &n, &k, &rest) != 5) return false;
  const std::string t = type, l = layout;
  if ((t != "fp32" && t != "bf16" && t != "fp64") || (l != "nn" && l != "nt" && l != "tn") || m <= 0 || n <= 0 || k <= 0) return false;
  shape = {dtype_from_name(t), l, m, n, k};
  return shape.name() == name;
}

ProductRate product_rate(Stream& stream, const ProductShape& shape, double seconds) {
  const auto [type, layout, m, n, k] = shape;
  const DType out = output_type(shape);
  const auto bytes = [](std::int64_t elements, DType t) { return elements * static_cast<std::int64_t>(size_of(t)); };
  Arena arena = arena_for(stream, bytes(m * k, type) + bytes(k * n, type) + bytes(m * n, out) + 3 * Arena::alignment);
  void* a = arena.take("a", bytes(m * k, type));
  void* b = arena.take("b", bytes(k * n, type));
  void* c = arena.take("c", bytes(m * n, out));
  fill_matrix(type, a, m * k), fill_matrix(type, b, k * n);
  const MatrixRef left{a, layout[0] == 't' ? m : k, layout[0] == 't'}, right{b, layout[1] == 't' ? k : n, layout[1] == 't'};
  const auto product = [&] {
    gemm(stream, shape.m, shape.n, shape.k, shape.type, left, right, out, c, shape.n);
    stream.wait();
  };
  product();  // creates primitives, touches memory
  const std::vector<double> times = times_of(seconds, product);
  const std::size_t quarter = std::max<std::size_t>(1, times.size() / 4);
  const double flops = shape.flops();
  const auto end = times.end();
  return {flops / *std::min_element(times.begin(), end), flops / median(times),
          flops / median({times.begin(), times.begin() + static_cast<std::ptrdiff_t>(quarter)}),
          flops / median({end - static_cast<std::ptrdiff_t>(quarter), end})};
}

double MemoryRate::best() const {
  return std::max({read, copy, triad});
}

namespace {

float sum_of(const float* a, std::int64_t count) {
  float sums[64] = {};
  for (std::int64_t i = 0; i + 64 <= count; i += 64)
    for (int j = 0; j < 64; ++j) sums[j] += a[i + j];
  float sum = 0;
  for (const float s : sums) sum += s;
  return sum;
}

}  // namespace

MemoryRate memory_rate(ThreadPool& pool, std::int64_t bytes, double seconds) {
  const std::int64_t page = 1 << 16, size = std::max(page, std::min(bytes, available_memory_bytes() / 8) / page * page), count = size / 4;
  Arena arena(3 * size);
  auto* a = static_cast<float*>(arena.take("a", size));
  auto* b = static_cast<float*>(arena.take("b", size));
  auto* c = static_cast<float*>(arena.take("c", size));
  const int parts = pool.threads();
  std::vector<float> sums(static_cast<std::size_t>(parts) * 16);
  const auto rate = [&](double named, const std::function<void(std::int64_t, std::int64_t, std::int64_t)>& part) {
    const auto all = [&] {
      pool.run(parts, [&](std::int64_t task, int) {
        const std::int64_t first = count / 16 * task / parts * 16, last = count / 16 * (task + 1) / parts * 16;
        part(task, first, last - first);
      });
    };
    const std::vector<double> times = times_of(seconds / 3, all);
    return named / *std::min_element(times.begin(), times.end());
  };
  const auto whole = static_cast<double>(size);
  // The first rounds touch the pages, each by the thread that uses it; the best round counts.
  MemoryRate result;
  result.triad = rate(3 * whole, [&](std::int64_t, std::int64_t first, std::int64_t n) {
    for (std::int64_t i = first; i < first + n; ++i) c[i] = a[i] + 1.5F * b[i];
  });
  result.copy = rate(2 * whole, [&](std::int64_t, std::int64_t first, std::int64_t n) { std::copy_n(a + first, n, b + first); });
  result.read = rate(whole, [&](std::int64_t task, std::int64_t first, std::int64_t n) {
    sums[static_cast<std::size_t>(task) * 16] += sum_of(c + first, n);
  });
  return result;
}

std::int64_t beyond_caches() {
  return std::max<std::int64_t>(std::int64_t{64} << 20, sysconf(_SC_LEVEL3_CACHE_SIZE));
}

double pool_latency(ThreadPool& pool, double seconds) {
  return median(times_of(seconds,
                         [&] {
                           for (int i = 0; i < 100; ++i) pool.run(pool.threads(), [](std::int64_t, int) {});
                         })) /
         100;
}

double clock_rate(ThreadPool& pool) {
  constexpr int rounds = 20000, chain = 16;
  std::vector<double> rates(static_cast<std::size_t>(pool.threads()), 0.0);
  pool.run(pool.threads(), [&](std::int64_t task, int) {
    std::uint64_t x = 1;
    const std::uint64_t y = 3;
    for (int burst = 0; burst < 20; ++burst) {
      const Stopwatch watch;
      // Each exclusive or needs the one before, and none can be left out or folded: one cycle each.
      for (int i = 0; i < rounds; ++i)
        __asm__ volatile(
            "xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n"
            "xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n xor %1,%0\n"
            : "+r"(x)
            : "r"(y));
      auto& best = rates[static_cast<std::size_t>(task)];
      best = std::max(best, static_cast<double>(rounds) * chain / watch.seconds());
    }
  });
  return *std::min_element(rates.begin(), rates.end());
}

namespace {

// What a GPU copies within its memory, read and written. [bytes/s]
double gpu_copy_rate(Stream& stream, double seconds) {
  const std::int64_t bytes = std::int64_t{256} << 20;
  Arena arena = arena_for(stream, 2 * bytes);
  void *from = arena.take("from", bytes), *to = arena.take("to", bytes);
  const std::vector<double> times = times_of(seconds, [&] { copy_memory(to, from, bytes); });
  return 2 * static_cast<double>(bytes) / *std::min_element(times.begin(), times.end());
}

}  // namespace

Peaks quick_peaks(Stream& stream, DType type) {
  if (type == DType::f16) type = DType::bf16;  // as fast, and taken for it in machine files
  if (stream.on_gpu())
    return {product_rate(stream, {type, "nt", 8192, 4096, type == DType::bf16 ? 4096 : 512}, 0.25).best, gpu_copy_rate(stream, 0.1),
            "measured at the run's start"};
  const std::int64_t k = type == DType::f64 ? 512 : 1024;
  const double flops = product_rate(stream, {type, "nt", 1024, 1024, k}, 0.25).best;
  return {flops, memory_rate(stream.pool(), beyond_caches() / 3, 0.2).best(), "measured at the run's start"};
}

}  // namespace strata
