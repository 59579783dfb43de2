// Rates between the sizes that were measured: a local fit in logarithms.
#include "strata/device/op_times.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "strata/base/error.hpp"
#include "strata/device/peaks.hpp"

namespace strata {
namespace {

constexpr const char* types[] = {"fp32", "bf16", "fp64"};

// fp16 takes the time of bf16: the same kernels, the same bytes.
const char* precision_of(DType type) {
  return type == DType::f64 ? "fp64" : size_of(type) == 2 ? "bf16" : "fp32";
}

std::array<double, 3> logarithms(const OpSizes& sizes) {
  std::array<double, 3> at{};
  for (std::size_t d = 0; d < 3; ++d) at[d] = std::log2(static_cast<double>(std::max<std::int64_t>(sizes.sizes[d], 1)));
  return at;
}

// What a linear map's product is called among the machine's products.
bool as_linear(const ProductShape& shape, std::string& op) {
  op = shape.layout == "nt" ? "linear_forward" : shape.layout == "nn" ? "linear_backward_input" : "linear_backward_weight";
  return true;
}

// Solves the symmetric 4 x 4 system A x = b, which the ridge keeps regular, and returns x[0].
double first_unknown(std::array<std::array<double, 5>, 4> a) {
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t row = i + 1; row < 4; ++row) {
      const double factor = a[row][i] / a[i][i];
      for (std::size_t column = i; column < 5; ++column) a[row][column] -= factor * a[i][column];
    }
  std::array<double, 4> x{};
  for (std::size_t i = 4; i-- > 0;) {
    x[i] = a[i][4];
    for (std::size_t column = i + 1; column < 4; ++column) x[i] -= a[i][column] * x[column];
    x[i] /= a[i][i];
  }
  return x[0];
}

}  // namespace

std::string op_name(const std::string& op, const OpSizes& sizes) {
  std::string name = op + "_" + precision_of(sizes.type);
  for (std::size_t d = 0; d < 3 && sizes.sizes[d] > 0; ++d) name += (d == 0 ? "_" : "x") + std::to_string(sizes.sizes[d]);
  return name;
}

bool parse_op_name(const std::string& name, std::string& op, OpSizes& sizes) {
  const auto end = name.rfind('_');
  const auto before = end == std::string::npos || end == 0 ? std::string::npos : name.rfind('_', end - 1);
  if (before == std::string::npos || before == 0) return false;
  const std::string type = name.substr(before + 1, end - before - 1);
  if (std::find(std::begin(types), std::end(types), type) == std::end(types)) return false;
  op = name.substr(0, before), sizes = {dtype_from_name(type), {}};
  const char* at = name.c_str() + end + 1;
  for (std::size_t d = 0; d < 3; ++d) {
    char* next = nullptr;
    if (*at < '0' || *at > '9') return false;
    sizes.sizes[d] = std::strtoll(at, &next, 10);
    at = next + 1;
    if (*next == 0) break;
    if (*next != 'x') return false;
  }
  return op_name(op, sizes) == name;
}

bool counts_flops(const std::string& op) {
  return op.rfind("linear_", 0) == 0 || op.rfind("attention_", 0) == 0 || op.rfind("bidirectional_attention_", 0) == 0;
}

OpTimes::OpTimes(const Machine& machine) : machine_(machine) {
  const auto add = [&](const std::string& op, const OpSizes& sizes, double giga) {
    points_[{op, sizes.type}].push_back({logarithms(sizes), std::log(giga * 1e9)});
  };
  for (const auto& [name, rate] : machine.ops) {
    std::string op;
    OpSizes sizes;
    if (parse_op_name(name, op, sizes)) add(op, sizes, rate);
  }
  // Products alone say nearly as much of linear maps, where those were not measured.
  const Points own = points_;
  for (const auto& [name, rate] : machine.products) {
    ProductShape shape;
    std::string op;
    if (parse_product_shape(name, shape) && as_linear(shape, op) && !own.count({op, shape.type}))
      add(op, {shape.type, {shape.m, shape.n, shape.k}}, rate);
  }
}

// Weighted least squares of a plane around `at`; weights fall with the square of the distance squared, so that a size that was measured
// gives its own rate.
double OpTimes::rate_at(const std::vector<Point>& points, const std::array<double, 3>& at) {
  std::array<std::array<double, 5>, 4> a{};
  double low = points.front().rate, high = low;
  for (const Point& p : points) {
    std::array<double, 4> x{1, p.at[0] - at[0], p.at[1] - at[1], p.at[2] - at[2]};
    const double distance = x[1] * x[1] + x[2] * x[2] + x[3] * x[3] + 1e-4, weight = 1 / (distance * distance);
    for (std::size_t i = 0; i < 4; ++i) {
      for (std::size_t j = 0; j < 4; ++j) a[i][j] += weight * x[i] * x[j];
      a[i][4] += weight * x[i] * p.rate;
    }
    low = std::min(low, p.rate), high = std::max(high, p.rate);
  }
  // A ridge on the slopes alone: where nothing tells a slope, there is none.
  for (std::size_t i = 1; i < 4; ++i) a[i][i] += 1e-3 * a[0][0];
  return std::exp(std::clamp(first_unknown(a), low, high));
}

double OpTimes::seconds(const std::string& op, const OpSizes& sizes, double flops, double bytes) const {
  // Machine files from before this op know its two parts, which took the same memory one after the other.
  if (const bool forward = op == "qk_norm_rope_forward"; (forward || op == "qk_norm_rope_backward") && !measured(op, sizes.type)) {
    const std::string norm = forward ? "rms_norm_forward" : "rms_norm_backward", rope = forward ? "rope_forward" : "rope_backward";
    if (measured(norm, sizes.type) && measured(rope, sizes.type))
      return seconds(norm, sizes, flops, bytes) + seconds(rope, sizes, flops, bytes);
  }
  const double amount = counts_flops(op) ? flops : bytes;
  if (amount <= 0) return 0;
  const DType type = sizes.type == DType::f16 ? DType::bf16 : sizes.type;
  if (const auto found = points_.find({op, type}); found != points_.end()) return amount / rate_at(found->second, logarithms(sizes));
  const double peak = machine_.gflops(precision_of(sizes.type)) * 1e9, memory = machine_.memory_gbs() * 1e9;
  return std::max(counts_flops(op) ? flops / peak : 0.0, bytes / memory);
}

}  // namespace strata
