// Decoding of messages.
#include "io/h5_message.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace strata::h5 {
namespace {

enum TypeClass : unsigned { fixed_point = 0, floating_point = 1, text_class = 3 };

/// A datatype message up to what its class adds.
struct TypeHead {
  unsigned type_class = 0;
  std::uint64_t bits = 0;   // of the class
  std::uint64_t bytes = 0;  // of an element
  std::string_view rest;
};

TypeHead type_head(std::string_view content, const std::string& what) {
  Cursor at(content, what + ": its type");
  TypeHead head;
  const unsigned first = at.byte();
  if (first >> 4 < 1 || first >> 4 > 3) at.fail("is of an unknown version");
  head.type_class = first & 15;
  head.bits = at.number(3);
  head.bytes = at.number(4);
  head.rest = at.take(at.left());
  return head;
}

/// Little-endian, two's complement, every bit used.
bool is_plain_integer(const TypeHead& head, const std::string& what) {
  if (head.type_class != fixed_point || (head.bits & ~std::uint64_t{8}) != 0) return false;
  Cursor at(head.rest, what + ": its type");
  const std::uint64_t offset = at.number(2), precision = at.number(2);
  return offset == 0 && precision == 8 * head.bytes && (head.bytes == 1 || head.bytes == 2 || head.bytes == 4 || head.bytes == 8);
}

/// IEEE 754, little-endian, of 4 or 8 bytes: 0 for anything else.
std::uint64_t ieee_bytes(const TypeHead& head, const std::string& what) {
  if (head.type_class != floating_point || (head.bytes != 4 && head.bytes != 8)) return 0;
  const bool single = head.bytes == 4;
  Cursor at(head.rest, what + ": its type");
  // Offset, precision; places and sizes of exponent and mantissa; exponent bias.
  const std::uint64_t found[] = {head.bits,    at.number(2), at.number(2), at.number(1),
                                 at.number(1), at.number(1), at.number(1), at.number(4)};
  const std::uint64_t f32[] = {0x1f20, 0, 32, 23, 8, 0, 23, 127}, f64[] = {0x3f20, 0, 64, 52, 11, 0, 52, 1023};
  return std::equal(std::begin(found), std::end(found), single ? f32 : f64) ? head.bytes : 0;
}

/// nullopt: no type of ours.
std::optional<DType> known_type(const TypeHead& head, const std::string& what) {
  if (const std::uint64_t bytes = ieee_bytes(head, what)) return bytes == 4 ? DType::f32 : DType::f64;
  if (!is_plain_integer(head, what)) return std::nullopt;
  const bool is_signed = (head.bits & 8) != 0;
  switch (head.bytes) {
    case 1:
      return is_signed ? std::nullopt : std::optional(DType::u8);
    case 2:
      return is_signed ? DType::i16 : DType::u16;
    case 4:
      return is_signed ? DType::i32 : DType::u32;
    default:
      return is_signed ? std::optional(DType::i64) : std::nullopt;
  }
}

/// Sizes of a dataspace message; nullopt where there is none (a null space).
std::optional<std::vector<std::uint64_t>> sizes_of(std::string_view content, const std::string& what) {
  Cursor at(content, what + ": its shape");
  if (at.byte() != 2) at.fail("is of an unknown version");
  const unsigned rank = at.byte(), flags = at.byte(), kind = at.byte();
  if (rank > 32 || flags > 1 || kind > 2 || (kind != 1 && rank != 0)) at.fail("is unsound");
  if (kind == 2) return std::nullopt;
  std::vector<std::uint64_t> sizes;
  for (unsigned i = 0; i < rank; ++i) sizes.push_back(at.number(8));
  return sizes;
}

const std::string& content_of(const Object& dataset, unsigned type, const char* name, const std::string& what) {
  const Message* message = dataset.find(type);
  if (!message) throw DataError(text(what, " has no ", name));
  if (message->shared) throw DataError(text(what, " has a ", name, " that is kept elsewhere (a named type); such datasets are not read"));
  return message->content;
}

template <class T>
T value_as(const std::string& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::int64_t integer_value(const TypeHead& head, const std::string& bytes, const std::string& what) {
  std::uint64_t value = Cursor(bytes, what).number(head.bytes);
  const bool is_signed = (head.bits & 8) != 0, negative = (value >> (8 * head.bytes - 1)) != 0;
  if (is_signed && negative && head.bytes < 8) value |= ~std::uint64_t{0} << (8 * head.bytes);
  if (!is_signed && negative && head.bytes == 8) throw DataError(text(what, " = ", value, " is too large a number"));
  return static_cast<std::int64_t>(value);
}

}  // namespace

Extent contiguous_extent(const Object& dataset, const std::string& what) {
  Cursor at(content_of(dataset, layout_message, "layout", what), what + ": its layout");
  const unsigned version = at.byte();
  if (version != 3 && version != 4) at.fail("is of an unknown version");
  enum LayoutClass : unsigned { contiguous = 1, virtual_dataset = 3 };
  const unsigned layout = at.byte();
  if (layout == virtual_dataset) throw DataError(text(what, " is a virtual dataset, made of other files"));
  if (layout != contiguous) throw DataError(text(what, " is stored in chunks or in the header; only contiguous datasets are read"));
  if (dataset.find(external_message)) throw DataError(text(what, " keeps its data in an external file"));
  if (dataset.find(filter_message)) throw DataError(text(what, " is filtered (compressed)"));
  Extent extent;
  extent.address = at.address(), extent.bytes = at.number(8);
  if (extent.address == no_address) extent.bytes = 0;  // announced, never given a place
  return extent;
}

DType element_type(const Object& dataset, const std::string& what) {
  const TypeHead head = type_head(content_of(dataset, datatype_message, "type", what), what);
  if (head.type_class != fixed_point && head.type_class != floating_point)
    throw DataError(text(what, " holds elements that are neither integers nor floating-point numbers"));
  if (const auto known = known_type(head, what)) return *known;
  throw DataError(text(what, " holds a number type this program does not read (", head.bytes, " bytes per element)"));
}

std::vector<std::int64_t> shape_of(const Object& dataset, const std::string& what) {
  const auto sizes = sizes_of(content_of(dataset, dataspace_message, "shape", what), what);
  if (!sizes) throw DataError(text(what, " has no shape"));
  if (sizes->size() > 4) throw DataError(text(what, " has ", sizes->size(), " dimensions, at most 4 are read"));
  for (const std::uint64_t size : *sizes)
    if (size > std::uint64_t{1} << 62) throw DataError(text(what, " claims a dimension of ", size));
  return {sizes->begin(), sizes->end()};
}

AttributeValue attribute_value(const RawAttribute& attribute, const std::string& what) {
  const auto sizes = sizes_of(attribute.space, what);
  bool single = sizes.has_value();
  for (std::size_t i = 0; single && i < sizes->size(); ++i) single = (*sizes)[i] == 1;
  if (!single) throw DataError(text(what, " is not a single value"));
  const TypeHead head = type_head(attribute.type, what);
  const bool is_text = head.type_class == text_class && head.bits <= 0x1f && head.bytes > 0;
  if (!is_text && !is_plain_integer(head, what) && ieee_bytes(head, what) == 0)
    throw DataError(text(what, " is neither a number nor a text of fixed length"));
  if (attribute.value.size() != head.bytes)
    throw DataError(text(what, " claims ", head.bytes, " bytes, but ", attribute.value.size(), " are stored"));
  if (is_text) return attribute.value.substr(0, attribute.value.find('\0'));
  if (head.type_class == fixed_point) return integer_value(head, attribute.value, what);
  return head.bytes == 4 ? static_cast<double>(value_as<float>(attribute.value)) : value_as<double>(attribute.value);
}

}  // namespace strata::h5
