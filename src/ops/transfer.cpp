// Copies between device and host memory: checks, cost and dispatch.
#include "strata/ops/transfer.hpp"

#include "ops/check.hpp"
#include "ops/cpu/transfer.hpp"

namespace strata {
namespace {

void copy(const char* op, GpuQueue queue, Stream& stream, const View& from, const View& to) {
  expect_type(op, "to", to, from.type()), expect_shape(op, "to", to, from.shape());
  expect_contiguous(op, "from", from), expect_contiguous(op, "to", to);
  const auto timed = stream.record(op, 0, count_of(from.bytes() + to.bytes()), {to.type(), {to.elements()}});
  if (stream.planning()) return;
  if (Gpu* const gpu = stream.gpu())
    gpu->copy_beside(queue, to.data(), from.data(), from.bytes());
  else
    cpu::copy_bytes(stream, from.data(), to.data(), from.bytes());
}

GpuMark mark(Stream& stream, GpuQueue queue) {
  return stream.gpu() ? stream.gpu()->mark(queue) : GpuMark{};
}

}  // namespace

GpuMark begin_copy_to_host(Stream& stream, std::span<const HostCopy> copies) {
  if (Gpu* const gpu = stream.gpu()) gpu->follow(GpuQueue::out, gpu->mark(GpuQueue::work));
  for (const HostCopy& c : copies) copy("copy_to_host", GpuQueue::out, stream, c.here, c.host);
  return mark(stream, GpuQueue::out);
}

GpuMark begin_copy_to_device(Stream& stream, std::span<const HostCopy> copies, std::initializer_list<GpuMark> after) {
  for (const GpuMark& before : after)
    if (Gpu* const gpu = stream.gpu()) gpu->follow(GpuQueue::in, before);
  for (const HostCopy& c : copies) copy("copy_to_device", GpuQueue::in, stream, c.host, c.here);
  return mark(stream, GpuQueue::in);
}

GpuMark mark_of(Stream& stream) {
  return mark(stream, GpuQueue::work);
}

void follow(Stream& stream, const GpuMark& mark) {
  if (Gpu* const gpu = stream.gpu()) gpu->follow(GpuQueue::work, mark);
}

void wait_for(Stream& stream, const GpuMark& mark) {
  if (Gpu* const gpu = stream.gpu()) gpu->wait_for(mark);
}

}  // namespace strata
