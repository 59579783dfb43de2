#include "strata/device/stream.hpp"

#include <algorithm>

#include "strata/base/error.hpp"
#include "strata/device/gpu.hpp"

namespace strata {

/// Memory of streams without an arena; on plan, the rows of the op that was recorded last, which often comes again millions of times.
struct Stream::Grown {
  std::unique_ptr<Arena> scratch, workspace;
  const char* op = nullptr;
  OpSizes sizes;
  OpCost *cost = nullptr, *planned = nullptr;
};

namespace {

// The scratch for products on a GPU, with room to move it to where it has to begin.
constexpr std::int64_t gpu_scratch_room = Stream::gpu_product_scratch_bytes + Stream::gpu_product_scratch_alignment - Arena::alignment;

unsigned char* moved_up(void* memory, std::uintptr_t alignment) {
  return reinterpret_cast<unsigned char*>((reinterpret_cast<std::uintptr_t>(memory) + alignment - 1) / alignment * alignment);
}

}  // namespace

Stream::Stream(DeviceKind kind, ThreadPool* pool) : kind_(kind), pool_(pool) {}
Stream::Stream(Stream&&) noexcept = default;
Stream::~Stream() = default;

Stream Stream::plan(DeviceKind target) {
  Stream stream(DeviceKind::plan, nullptr);
  stream.target_ = target;
  stream.grown_ = std::make_unique<Grown>();
  return stream;
}

Stream Stream::cpu(ThreadPool& pool) {
  Stream stream(DeviceKind::cpu, &pool);
  stream.grown_ = std::make_unique<Grown>();
  stream.grown_->scratch = std::make_unique<Arena>(worker_scratch_bytes * pool.threads() + product_scratch_bytes);
  stream.take_scratch(*stream.grown_->scratch, pool.threads());
  return stream;
}

Stream Stream::cpu(ThreadPool& pool, Arena& arena, std::int64_t workspace_bytes) {
  Stream stream(DeviceKind::cpu, &pool);
  stream.take_scratch(arena, pool.threads());
  stream.workspace_ = static_cast<unsigned char*>(arena.take("workspace.ops", workspace_bytes));
  stream.workspace_bytes_ = workspace_bytes;
  return stream;
}

Stream Stream::cuda(Gpu& gpu, ThreadPool& pool) {
  Stream stream(DeviceKind::cuda, &pool);
  stream.gpu_ = &gpu;
  stream.grown_ = std::make_unique<Grown>();
  stream.grown_->scratch = std::make_unique<Arena>(gpu, gpu_scratch_room);
  stream.take_scratch(*stream.grown_->scratch, 0);
  return stream;
}

Stream Stream::cuda(Gpu& gpu, ThreadPool& pool, Arena& arena, std::int64_t workspace_bytes) {
  Stream stream(DeviceKind::cuda, &pool);
  stream.gpu_ = &gpu;
  stream.take_scratch(arena, 0);
  stream.workspace_ = static_cast<unsigned char*>(arena.take("workspace.ops", workspace_bytes));
  stream.workspace_bytes_ = workspace_bytes;
  return stream;
}

void Stream::take_scratch(Arena& arena, int threads) {
  const bool host = target() == DeviceKind::cpu;
  if (host) scratch_ = static_cast<unsigned char*>(arena.take("workspace.threads", worker_scratch_bytes * threads));
  void* const products = arena.take("workspace.products", host ? product_scratch_bytes : gpu_scratch_room);
  product_scratch_ = host ? static_cast<unsigned char*>(products) : moved_up(products, gpu_product_scratch_alignment);
}

void Stream::plan_memory(Arena& arena, DeviceKind target, int threads, std::int64_t workspace_bytes) {
  plan(target).take_scratch(arena, threads);
  arena.take("workspace.ops", workspace_bytes);
}

void Stream::wait() {
  if (!gpu_) return;
  gpu_->wait();
  for (const GpuQueue beside : {GpuQueue::in, GpuQueue::out}) gpu_->wait_for(gpu_->mark(beside));
}

void* Stream::workspace(std::int64_t bytes) {
  largest_workspace_ = std::max(largest_workspace_, bytes);
  if (planning()) return nullptr;
  if (bytes > workspace_bytes_) {
    STRATA_ASSERT(grown_ != nullptr, "an op asks for ", bytes, " bytes of workspace, ", workspace_bytes_, " were planned");
    wait();  // what ops of before still use
    grown_->workspace = gpu_ ? std::make_unique<Arena>(*gpu_, bytes) : std::make_unique<Arena>(bytes);
    workspace_ = static_cast<unsigned char*>(grown_->workspace->take("workspace", bytes));
    workspace_bytes_ = bytes;
  }
  return workspace_;
}

void* Stream::worker_scratch(int worker) {
  return scratch_ + worker * worker_scratch_bytes;
}

Stream::Timed Stream::record(const char* op, double flops, double bytes, const OpSizes& sizes) {
  if (meanwhile_) meanwhile_();
  last_op_ = op;
  const auto add = [&](OpCost& cost) { cost.calls += 1, cost.flops += flops, cost.bytes += bytes; };
  if (planning()) {
    Grown& last = *grown_;
    if (costs_.empty() || last.op != op || last.sizes != sizes)
      last.op = op, last.sizes = sizes, last.cost = &costs_[op], last.planned = &planned_[{op, sizes}];
    add(*last.cost), add(*last.planned);
  } else {
    add(costs_[op]);
  }
  if (!profiling_) return {nullptr, nullptr, false};
  OpCost& row = whole_ ? *current_ : profile_[op];
  row.flops += flops, row.bytes += bytes;
  if (whole_) return {nullptr, nullptr, false};
  row.calls += 1;
  return enter(row, false);
}

Stream::Timed Stream::time(const char* phase, bool whole) {
  if (!profiling_ || whole_) return {nullptr, nullptr, false};
  OpCost& row = profile_[phase];
  row.calls += 1;
  return enter(row, whole);
}

void Stream::start_profile() {
  STRATA_ASSERT(!current_, "a profile begins inside one of its phases");
  profile_.clear();
  profiling_ = true;
}

// Time up to now belongs to the row that has been current.
void Stream::count_time() {
  wait();
  const auto now = std::chrono::steady_clock::now();
  if (current_) current_->seconds += std::chrono::duration<double>(now - since_).count();
  since_ = now;
}

Stream::Timed Stream::enter(OpCost& row, bool whole) {
  count_time();
  Timed timed{this, current_, whole_};
  current_ = &row, whole_ = whole;
  return timed;
}

void Stream::leave(OpCost* before, bool whole) {
  count_time();
  current_ = before, whole_ = whole;
}

}  // namespace strata
