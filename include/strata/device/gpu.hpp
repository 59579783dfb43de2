#pragma once
// Gpu: one graphics processor, as the CUDA half of the program drives it. That half is a shared object of its own, loaded when a deck asks
// for cuda, so that the same binary runs where no CUDA library exists (doc/cuda.md).
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "strata/base/dtype.hpp"

namespace strata {

class Stream;
struct MatrixRef;
struct Tuning;
enum class Write : int;

struct GpuFacts {
  std::string name;               // "NVIDIA H200"
  int device = 0;                 // its number on this host
  int devices = 1;                // GPUs this process sees
  int major = 0, minor = 0;       // compute capability
  int processors = 0;             // streaming multiprocessors
  std::int64_t memory_bytes = 0;  // in all
  int driver = 0, runtime = 0;    // CUDA versions: 13020 is 13.2
  std::int64_t cublaslt = 0;      // cublasLtGetVersion()
  bool emulated = false;          // the host emulation that tests use (doc/cuda-emulation.md)
};

/// Work of the queue that was written down while it was given (GpuCapture): it can be given again and again, as one, with the same
/// addresses and numbers. What changes from time to time must lie in memory that the kernels read. It takes memory of the GPU beside the
/// arena. On CUDA: a graph.
class GpuGraph {
 public:
  virtual ~GpuGraph() = default;
  /// Gives the work to the queue.
  virtual void launch() = 0;
  /// Kernels, copies and the like in it.
  virtual std::int64_t pieces() const = 0;
};

/// The queues of a GPU. Ops run on `work`; `in` and `out` are for copies from and to page-locked memory of the host, which go on beside it.
enum class GpuQueue { work, in, out };

/// A place in a queue: behind all that was given to it before. The default stands for what is done.
struct GpuMark {
  GpuQueue queue = GpuQueue::work;
  std::uint64_t number = 0;
};

/// One GPU and its queue of work: ops and copies run there one after another, in the order in which they were given. All members may be
/// called from several threads.
class Gpu {
 public:
  virtual ~Gpu() = default;
  virtual const GpuFacts& facts() const = 0;
  /// Memory that could be taken now. [bytes]
  virtual std::int64_t free_bytes() const = 0;
  /// Zeroed memory of the GPU, 256-byte aligned. Throws CapacityError saying what is free.
  virtual void* allocate(std::int64_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Page-locked memory of the host, zeroed: copies from and to it are asynchronous. Throws CapacityError.
  virtual void* allocate_host(std::int64_t bytes) = 0;
  virtual void release_host(void* memory) noexcept = 0;
  /// Begins a copy between any memories, in the queue's order. Ordinary memory of the host may be used again when this returns if it is
  /// `from`; before wait() if it is `to`, it holds nothing yet.
  virtual void copy(void* to, const void* from, std::int64_t bytes) = 0;
  /// The same on a queue beside that of work, whose order it keeps by marks alone.
  virtual void copy_beside(GpuQueue queue, void* to, const void* from, std::int64_t bytes) = 0;
  /// Where a queue is now.
  virtual GpuMark mark(GpuQueue queue) = 0;
  /// What is given to `queue` from now on begins when all before the mark is done. Does not wait.
  virtual void follow(GpuQueue queue, const GpuMark& mark) = 0;
  /// Returns when all before the mark is done. Throws as wait() does.
  virtual void wait_for(const GpuMark& mark) = 0;
  /// Returns when all that was given to the queue of work is done. Throws Error (exit code 1) if something of it failed, naming CUDA's
  /// reason.
  virtual void wait() = 0;
  /// For GpuCapture alone. From begin_capture() on what this thread gives to the queue is written down rather than done; end_capture()
  /// returns it (null: there was nothing), or throws Error, after which as after drop_capture() it is forgotten.
  virtual void begin_capture() = 0;
  virtual std::unique_ptr<GpuGraph> end_capture() = 0;
  virtual void drop_capture() noexcept = 0;
  /// The queue, for the CUDA half's own code: a cudaStream_t.
  virtual void* queue() const = 0;
  /// C[m,n] (=|+=) A B (+ bias) (+ residual), as gemm() in device/blas.hpp says, by cuBLASLt: one algorithm per shape, the same on every
  /// call. `scratch` belongs to the product until the queue has passed it.
  virtual void gemm(std::int64_t m, std::int64_t n, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b, DType out, void* c,
                    std::int64_t ldc, Write write, const void* bias, const void* residual, std::int64_t ld_residual, void* scratch,
                    std::int64_t scratch_bytes) = 0;
  /// Products that the tuning lists take its algorithms from now on; all others the heuristic's first, as without one. Throws DeckError
  /// where it is of another GPU or version of cuBLASLt, or names an algorithm that cuBLASLt refuses, with the line.
  virtual void use_tuning(const Tuning& tuning) = 0;
  /// Notes from now on which products are asked for, until tune_products().
  virtual void note_products() = 0;
  /// Times up to `candidates` algorithms of every product noted, on memory of its own and in about `seconds` in all, and names the fastest
  /// of each that always adds in the same order. Products of which no algorithm can be named are left out.
  virtual Tuning tune_products(int candidates, double seconds) = 0;
};

/// While it lives, what this thread gives to the GPU's queue (ops, copies between memory of GPU and page-locked memory) is written down
/// rather than done. Waiting, taking memory and copies of ordinary memory throw Error, and spoil it. One at a time.
class [[nodiscard]] GpuCapture {
 public:
  explicit GpuCapture(Gpu& gpu) : gpu_(&gpu) { gpu.begin_capture(); }
  /// Forgets what was written down, unless it was taken.
  ~GpuCapture() {
    if (gpu_) gpu_->drop_capture();
  }
  GpuCapture(const GpuCapture&) = delete;
  GpuCapture& operator=(const GpuCapture&) = delete;
  /// Ends it: nothing has been done yet, launch() does it. Null: nothing was given. Throws Error where it was spoiled, or where the GPU has
  /// no memory for it.
  std::unique_ptr<GpuGraph> take() { return std::exchange(gpu_, nullptr)->end_capture(); }

 private:
  Gpu* gpu_;
};

/// What the shared object offers; rooms below take the tables that are theirs.
struct CudaHalf {
  const char* build;         // must be build_text() of this program
  int (*devices)();          // GPUs that this process sees. Throws CapacityError where there is no driver.
  Gpu* (*open)(int device);  // Throws CapacityError where the GPU is too old.
  const void* ops;           // cuda::OpTable (ops/cuda/table.hpp)
  const void* collectives;   // cuda::CollectiveTable (comm/cuda/table.hpp)
};

/// The CUDA half, loaded on first use: the file that STRATA_CUDA_LIBRARY names, or libstrata_cuda.so beside the program or in
/// ../lib/strata. Throws NotCompiled where there is none, or where it is of another build.
const CudaHalf& cuda_half();
/// The GPU for rank `local_rank` of the `local_size` ranks of this host: its own, or one that it shares with others where there are fewer
/// GPUs than ranks. Throws CapacityError where there is none.
std::unique_ptr<Gpu> open_gpu(int local_rank, int local_size);

/// The GPU whose memory this is; null: memory of the host. Arenas register theirs.
Gpu* gpu_of(const void* memory);
/// Copies between any memories, after everything that the GPU's queue holds, and returns when done. Between host memories: std::memcpy.
void copy_memory(void* to, const void* from, std::int64_t bytes);
/// The same without waiting, where one of them is a GPU's: ops given to its queue later find it done, and `from`, if the host's, may be
/// used again.
void begin_copy_memory(void* to, const void* from, std::int64_t bytes);

}  // namespace strata
