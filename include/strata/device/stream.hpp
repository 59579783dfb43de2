#pragma once
// Stream: where ops run. It carries the device, the threads, the cost record, the profile and the scratch memory that ops share.
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "strata/base/dtype.hpp"
#include "strata/device/arena.hpp"
#include "strata/device/thread_pool.hpp"

namespace strata {

class Gpu;

/// What an op costs: exact floating-point operations and the bytes it must at least move.
struct OpCost {
  std::int64_t calls = 0;
  double flops = 0, bytes = 0;
  double seconds = 0;  // measured, in a profile only
};

/// What an op's speed depends on: the type it computes in and up to three sizes, whose meaning is the op's own (ops/op_sizes in
/// doc/plan.md).
struct OpSizes {
  DType type = DType::f32;
  std::array<std::int64_t, 3> sizes{};  // 0: none
  auto operator<=>(const OpSizes&) const = default;
};
/// What was to be done, by op and sizes.
using PlannedOps = std::map<std::pair<std::string, OpSizes>, OpCost>;

/// Time and cost by name: ops, and the phases of a step that are none.
using ProfileRows = std::map<std::string, OpCost>;

/// Which kernels compute attention on a GPU: this program's own, or cuDNN's where they take the call (ops/attention.hpp).
enum class AttentionKernels { own, cudnn };

class Stream {
 public:
  /// Scratch of each worker thread: room for a few tiles of a product. [bytes]
  static constexpr std::int64_t worker_scratch_bytes = std::int64_t{6} << 20;
  /// Scratch that all threads share while one product is computed: a packed operand, and sums of deep products. [bytes]
  static constexpr std::int64_t product_scratch_bytes = std::int64_t{24} << 20;
  /// The same on a GPU: what cuBLASLt may use, as its authors recommend for sm_90. [bytes]
  static constexpr std::int64_t gpu_product_scratch_bytes = std::int64_t{32} << 20;
  /// Where it has to begin: cublasLtMatmul refuses another workspace. [bytes]
  static constexpr std::int64_t gpu_product_scratch_alignment = 256;

  /// Runs nothing; records costs and the largest workspace that was asked for, as ops on a device of kind `target` would.
  static Stream plan(DeviceKind target = DeviceKind::cpu);
  /// Host processor with `pool`; the workspace grows as asked (tests, tools).
  static Stream cpu(ThreadPool& pool);
  /// Host processor with fixed scratch and workspace from an arena: a step then allocates nothing.
  static Stream cpu(ThreadPool& pool, Arena& arena, std::int64_t workspace_bytes);
  /// A GPU, and `pool` for what the host does; the workspace grows as asked (tests, tools).
  static Stream cuda(Gpu& gpu, ThreadPool& pool);
  /// The same with fixed scratch and workspace from an arena of that GPU.
  static Stream cuda(Gpu& gpu, ThreadPool& pool, Arena& arena, std::int64_t workspace_bytes);
  /// Takes from a planning arena what cpu() or cuda() takes, on the host for so many threads.
  static void plan_memory(Arena& arena, DeviceKind target, int threads, std::int64_t workspace_bytes);

  Stream(Stream&&) noexcept;
  ~Stream();

  DeviceKind kind() const { return kind_; }
  bool planning() const { return kind_ == DeviceKind::plan; }
  /// The kind of device that ops run on, or on plan would run on.
  DeviceKind target() const { return planning() ? target_ : kind_; }
  bool on_gpu() const { return kind_ == DeviceKind::cuda; }
  /// The GPU; null elsewhere.
  Gpu* gpu() const { return gpu_; }
  /// The choice decides bits, and the workspace that attention asks for.
  AttentionKernels attention() const { return attention_; }
  void use_attention(AttentionKernels kernels) { attention_ = kernels; }
  /// Returns when all that was given to the stream is done, copies beside it too. On the host it is done already.
  void wait();
  ThreadPool& pool() const { return *pool_; }
  /// Memory valid until the op that asked returns, 64-byte aligned; one at a time. On plan: null, and the size is remembered.
  void* workspace(std::int64_t bytes);
  std::int64_t largest_workspace() const { return largest_workspace_; }
  /// worker_scratch_bytes bytes that belong to one worker of the pool.
  void* worker_scratch(int worker);
  /// product_scratch_bytes bytes (on a GPU gpu_product_scratch_bytes) for the product that runs; used by gemm() only.
  void* product_scratch() { return product_scratch_; }

  /// While it lives, time counts for one row of the profile. Does nothing where there is no profile.
  class [[nodiscard]] Timed {
   public:
    Timed(Timed&& other) noexcept : stream_(other.stream_), before_(other.before_), whole_(other.whole_) { other.stream_ = nullptr; }
    Timed& operator=(Timed&&) = delete;
    ~Timed() {
      if (stream_) stream_->leave(before_, whole_);
    }

   private:
    friend class Stream;
    Timed(Stream* stream, OpCost* before, bool whole) : stream_(stream), before_(before), whole_(whole) {}
    Stream* stream_;
    OpCost* before_;  // the row that time counts for again afterwards
    bool whole_;      // what the row's phase found
  };

  /// Called once by each op's front with its own name; the op's time is that until what is returned goes out of scope.
  Timed record(const char* op, double flops, double bytes, const OpSizes& sizes = {});
  /// The op that was recorded last; null: none was. For messages.
  const char* last_op() const { return last_op_; }
  /// `work` runs at the front of every op from now on: what is to move on beside the computation. Empty: nothing.
  void set_meanwhile(std::function<void()> work) { meanwhile_ = std::move(work); }
  /// What phases that are no op do: time goes to `phase`, that of ops inside to the ops; with `whole` their time and cost go to the phase
  /// too.
  Timed time(const char* phase, bool whole = false);
  /// Forgets the profile and begins it anew. Every instant belongs to one row only, the innermost: the sum of all is the time of the
  /// outermost.
  void start_profile();
  bool profiling() const { return profiling_; }
  const ProfileRows& profile() const { return profile_; }
  const std::map<std::string, OpCost>& costs() const { return costs_; }
  /// On plan: the same, told apart by sizes.
  const PlannedOps& planned() const { return planned_; }
  void reset_costs() { costs_.clear(), planned_.clear(); }

 private:
  Stream(DeviceKind kind, ThreadPool* pool);
  void take_scratch(Arena& arena, int threads);
  Timed enter(OpCost& row, bool whole);
  void leave(OpCost* before, bool whole);
  void count_time();
  struct Grown;
  DeviceKind kind_, target_ = DeviceKind::cpu;
  AttentionKernels attention_ = AttentionKernels::own;
  ThreadPool* pool_ = nullptr;
  Gpu* gpu_ = nullptr;
  unsigned char* scratch_ = nullptr;
  unsigned char* product_scratch_ = nullptr;
  unsigned char* workspace_ = nullptr;
  std::int64_t workspace_bytes_ = 0, largest_workspace_ = 0;
  std::unique_ptr<Grown> grown_;
  std::map<std::string, OpCost> costs_;
  PlannedOps planned_;
  std::function<void()> meanwhile_;
  const char* last_op_ = nullptr;
  bool profiling_ = false, whole_ = false;  // whole_: inside a phase that takes its ops' time
  ProfileRows profile_;
  OpCost* current_ = nullptr;  // the row that time counts for
  std::chrono::steady_clock::time_point since_;
};

}  // namespace strata
