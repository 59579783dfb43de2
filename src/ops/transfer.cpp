// Copies between device and host memory: checks, cost and dispatch.
#include "strata/ops/transfer.hpp"

#include "ops/check.hpp"
#include "ops/cpu/transfer.hpp"
#include "strata/device/gpu.hpp"

namespace strata {
namespace {

void copy(const char* op, Stream& stream, const ConstView& from, const View& to) {
  expect_type(op, "to", to, from.type()), expect_shape(op, "to", to, from.shape());
  expect_contiguous(op, "from", from), expect_contiguous(op, "to", to);
  const auto timed = stream.record(op, 0, count_of(from.bytes() + to.bytes()), {to.type(), {to.elements()}});
  if (stream.planning()) return;
  if (Gpu* const gpu = stream.gpu())
    gpu->copy(to.data(), from.data(), from.bytes());
  else
    cpu::copy_bytes(stream, from.data(), to.data(), from.bytes());
}

}  // namespace

void copy_to_host(Stream& stream, ConstView x, View host) {
  copy("copy_to_host", stream, x, host);
}

void copy_to_device(Stream& stream, ConstView host, View x) {
  copy("copy_to_device", stream, host, x);
}

}  // namespace strata
