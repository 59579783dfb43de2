#include "strata/base/dtype.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "strata/base/error.hpp"

namespace strata {
namespace {
struct Row {
  DType type;
  std::size_t size;
  const char* name;
  const char* spellings;
};
constexpr std::array<Row, 10> rows{{
    {DType::f64, 8, "f64", " fp64 float64 double "},
    {DType::f32, 4, "f32", " fp32 float32 float "},
    {DType::bf16, 2, "bf16", " bfloat16 "},
    {DType::f16, 2, "f16", " fp16 float16 half "},
    {DType::i64, 8, "i64", " int64 "},
    {DType::i32, 4, "i32", " int32 "},
    {DType::u32, 4, "u32", " uint32 "},
    {DType::i16, 2, "i16", " int16 "},
    {DType::u16, 2, "u16", " uint16 "},
    {DType::u8, 1, "u8", " uint8 "},
}};
const Row& row_of(DType type) {
  return rows[static_cast<std::size_t>(type)];
}
}  // namespace

std::size_t size_of(DType type) {
  return row_of(type).size;
}
const char* name_of(DType type) {
  return row_of(type).name;
}

DType dtype_from_name(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const Row& row : rows)
    if (lower == row.name || std::string_view(row.spellings).find(" " + lower + " ") != std::string_view::npos) return row.type;
  throw DataError(text("unknown element type \"", name, "\": expected one of f64, f32, bf16, f16, i64, i32, u32, i16, u16, u8"));
}

}  // namespace strata
