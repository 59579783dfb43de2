// Benchmark, not a test: gemm() on the shapes of Qwen3-0.6B training against one multi-threaded oneDNN call of the whole product, in one
// run. Usage: bench_gemm [threads] [rows] [f32|bf16]. Both sides take turns; the best of their turns counts. Also prints processor seconds,
// which other load on the machine disturbs less.
#include <omp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "dnnl.hpp"
#include "strata/device/blas.hpp"

namespace {

using namespace strata;
using Index = std::int64_t;

struct Case {
  const char* name;
  Index m, n, k;
  bool a_transposed, b_transposed;
  DType out;
};

struct Times {
  double wall = 1e30, cpu = 1e30;
};

double cpu_seconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

template <class F>
void measure(Times& best, F&& f) {
  const double cpu = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  f();
  best.wall = std::min(best.wall, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  best.cpu = std::min(best.cpu, cpu_seconds() - cpu);
}

/// The whole product as one oneDNN call with all threads.
class Whole {
 public:
  Whole(const Case& c, DType in) {
    const auto type = [](DType t) { return t == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32; };
    const auto strides = [](Index columns, bool transposed, Index rows) {
      return transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{columns, 1};
    };
    const dnnl::memory::desc a({c.m, c.k}, type(in), strides(c.k, c.a_transposed, c.m)),
        b({c.k, c.n}, type(in), strides(c.n, c.b_transposed, c.k)), d({c.m, c.n}, type(c.out), strides(c.n, false, c.m));
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, d), engine_);
    primitive_ = dnnl::matmul(description);
    a_ = dnnl::memory(a, engine_, DNNL_MEMORY_NONE), b_ = dnnl::memory(b, engine_, DNNL_MEMORY_NONE),
    d_ = dnnl::memory(d, engine_, DNNL_MEMORY_NONE);
  }
  void run(void* a, void* b, void* d) {
    a_.set_data_handle(a), b_.set_data_handle(b), d_.set_data_handle(d);
    primitive_.execute(stream_, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, d_}});
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive primitive_;
  dnnl::memory a_, b_, d_;
};

void fill(void* data, Index elements, DType type) {
  std::uint32_t state = 12345;
  for (Index i = 0; i < elements; ++i) {
    state = state * 1664525U + 1013904223U;
    const float value = static_cast<float>(state >> 8) / 8388608.0F - 1.0F;
    if (type == DType::bf16)
      static_cast<BFloat16*>(data)[i] = BFloat16(value);
    else
      static_cast<float*>(data)[i] = value;
  }
}

}  // namespace

int main(int argc, char** argv) {
  // libgomp's threads would spin beside ours after oneDNN's turn; it reads this before main() begins.
  if (!std::getenv("OMP_WAIT_POLICY")) {
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);
  }
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const Index T = argc > 2 ? std::atoll(argv[2]) : 512;
  const DType in = argc > 3 && std::string(argv[3]) == "f32" ? DType::f32 : DType::bf16;
  const std::vector<Case> cases = {{"forward qkv", T, 4096, 1024, false, true, in},
                                   {"forward o", T, 1024, 2048, false, true, in},
                                   {"forward gate,up", T, 6144, 1024, false, true, in},
                                   {"forward down", T, 1024, 3072, false, true, in},
                                   {"input qkv", T, 1024, 4096, false, false, in},
                                   {"input o", T, 2048, 1024, false, false, in},
                                   {"input gate,up", T, 1024, 6144, false, false, in},
                                   {"input down", T, 3072, 1024, false, false, in},
                                   {"weight qkv", 4096, 1024, T, true, false, DType::f32},
                                   {"weight o", 1024, 2048, T, true, false, DType::f32},
                                   {"weight gate,up", 6144, 1024, T, true, false, DType::f32},
                                   {"weight down", 1024, 3072, T, true, false, DType::f32},
                                   {"head forward", 192, 151936, 1024, false, true, DType::f32},
                                   {"head input", 192, 1024, 151936, false, false, in},
                                   {"head weight", 151936, 1024, 192, true, false, DType::f32},
                                   {"one row, qkv", 1, 4096, 1024, false, true, in},
                                   {"one row, head", 1, 151936, 1024, false, true, DType::f32},
                                   {"four rows, gate,up", 4, 6144, 1024, false, true, in},
                                   {"16 rows, gate,up", 16, 6144, 1024, false, true, in}};
  Index a_most = 0, b_most = 0, c_most = 0;
  for (const Case& c : cases)
    a_most = std::max(a_most, c.m * c.k), b_most = std::max(b_most, c.k * c.n), c_most = std::max(c_most, c.m * c.n);
  Arena arena((a_most + b_most) * 4 + c_most * 4 + 4096);
  void *a = arena.take("a", a_most * 4), *b = arena.take("b", b_most * 4), *d = arena.take("c", c_most * 4);
  fill(a, a_most, in), fill(b, b_most, in), std::memset(d, 1, static_cast<std::size_t>(c_most) * 4);

  ThreadPool pool(threads);
  Stream stream = Stream::cpu(pool);
  std::printf("%-20s %8s %8s %8s   %10s %10s %6s   %14s %14s %6s\n", name_of(in), "m", "n", "k", "tiles GF/s", "whole GF/s", "ratio",
              "tiles GF/cpu-s", "whole GF/cpu-s", "ratio");
  for (const Case& c : cases) {
    const double flops = 2e-9 * static_cast<double>(c.m) * static_cast<double>(c.n) * static_cast<double>(c.k);
    Times tiles, whole_times;
    omp_set_num_threads(threads);
    Whole whole(c, in);
    const int inner = flops < 1 ? 20 : 1;  // small products several times in one turn
    for (int turn = 0; turn < 8; ++turn) {
      omp_set_num_threads(1);
      measure(tiles, [&] {
        for (int i = 0; i < inner; ++i)
          gemm(stream, c.m, c.n, c.k, in, {a, c.a_transposed ? c.m : c.k, c.a_transposed}, {b, c.b_transposed ? c.k : c.n, c.b_transposed},
               c.out, d, c.n);
      });
      omp_set_num_threads(threads);
      measure(whole_times, [&] {
        for (int i = 0; i < inner; ++i) whole.run(a, b, d);
      });
    }
    const double work = flops * inner;
    std::printf("%-20s %8ld %8ld %8ld   %10.1f %10.1f %6.2f   %14.1f %14.1f %6.2f\n", c.name, static_cast<long>(c.m),
                static_cast<long>(c.n), static_cast<long>(c.k), work / tiles.wall, work / whole_times.wall, whole_times.wall / tiles.wall,
                work / tiles.cpu, work / whole_times.cpu, whole_times.cpu / tiles.cpu);
    std::fflush(stdout);
  }
  return 0;
}
