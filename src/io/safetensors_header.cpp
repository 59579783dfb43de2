// The header of safetensors files: JSON from a stranger, so every number in it is checked before it is used.
#include "io/safetensors_header.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "strata/base/error.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {
using nlohmann::json;

constexpr std::int64_t longest_header = 100'000'000;  // [bytes] the format's own limit
constexpr std::int64_t longest_index = 100'000'000;   // [bytes]
constexpr int deepest = 6;                            // levels of nesting any sound header or index has, and a little more

struct TypeName {
  DType type;
  const char* name;
};
// In the order of the reference implementation's list: a writer lays out the later ones first.
constexpr TypeName type_names[] = {{DType::u8, "U8"},     {DType::i16, "I16"}, {DType::u16, "U16"}, {DType::f16, "F16"},
                                   {DType::bf16, "BF16"}, {DType::i32, "I32"}, {DType::u32, "U32"}, {DType::f32, "F32"},
                                   {DType::f64, "F64"},   {DType::i64, "I64"}};

/// Parses strictly: no duplicate keys, no deep nesting, one value only.
json parse_strict(const std::string& content, const std::string& file, const std::string& what) {
  std::vector<std::set<std::string>> keys;
  std::string problem;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > deepest && problem.empty()) problem = "is nested too deeply";
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get_ref<const std::string&>()).second && problem.empty())
      problem = text("has the key '", parsed.get_ref<const std::string&>(), "' twice");
    return problem.empty();
  };
  try {
    json result = json::parse(content, watch);
    if (!problem.empty()) throw DataError(text(file, ": ", what, " ", problem));
    if (!result.is_object()) throw DataError(text(file, ": ", what, " is not a JSON object"));
    return result;
  } catch (const json::exception& error) {
    throw DataError(text(file, ": ", what, problem.empty() ? text(" is not sound JSON: ", error.what()) : " " + problem));
  }
}

void check_tensor_name(const std::string& name, const std::string& file) {
  if (name.empty() || name.size() > 1024) throw DataError(text(file, ": a tensor has a name of ", name.size(), " bytes"));
  if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    throw DataError(text(file, ": a tensor has control characters in its name"));
}

/// A non-negative JSON integer that fits 63 bits.
std::int64_t whole_number(const json& value, const std::string& file, const std::string& what) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    throw DataError(text(file, ": ", what, " is expected to hold whole numbers, found ", value.dump().substr(0, 40)));
  return value.get<std::int64_t>();
}

const json& member(const json& object, const char* key, bool array, const std::string& file, const std::string& name) {
  const auto at = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || at == object.end() || (array ? !at->is_array() : !at->is_string()))
    throw DataError(text(file, ": tensor ", name, " has no ", key, array ? " list" : " text", " in the header"));
  return *at;
}

SafetensorsEntry parse_entry(const json& object, const std::string& name, const fs::path& path, std::int64_t& end) {
  const std::string file = path.string();
  SafetensorsEntry entry;
  entry.file = path;
  const std::string type = member(object, "dtype", false, file, name);
  const auto* known = std::find_if(std::begin(type_names), std::end(type_names), [&](const TypeName& t) { return type == t.name; });
  if (known == std::end(type_names))
    throw DataError(text(file, ": tensor ", name, " has the type ", type.substr(0, 40), ", which Strata does not read"));
  entry.type = known->type;
  auto bytes = static_cast<std::int64_t>(size_of(entry.type));
  for (const json& size : member(object, "shape", true, file, name)) {
    entry.shape.push_back(whole_number(size, file, text("the shape of tensor ", name)));
    if (__builtin_mul_overflow(bytes, entry.shape.back(), &bytes))
      throw DataError(text(file, ": tensor ", name, " has an impossible shape"));
  }
  const json& offsets = member(object, "data_offsets", true, file, name);
  if (offsets.size() != 2) throw DataError(text(file, ": tensor ", name, " is expected to have two data_offsets, found ", offsets.size()));
  entry.offset = whole_number(offsets[0], file, text("data_offsets of tensor ", name));
  end = whole_number(offsets[1], file, text("data_offsets of tensor ", name));
  if (end < entry.offset || end - entry.offset != bytes)
    throw DataError(text(file, ": tensor ", name, " needs ", bytes, " bytes for its shape and type, but data_offsets are ", entry.offset,
                         " and ", end));
  return entry;
}

/// Laid end to end from the first byte of the data part to the file's last: no holes, no overlap, nothing left over.
void check_coverage(const std::map<std::string, SafetensorsEntry>& tensors, std::int64_t data_bytes, const std::string& file) {
  std::vector<std::pair<std::pair<std::int64_t, std::int64_t>, std::string>> spans;
  for (const auto& [name, entry] : tensors) spans.push_back({{entry.offset, entry.bytes()}, name});
  std::sort(spans.begin(), spans.end());
  std::int64_t at = 0;
  for (const auto& [span, name] : spans) {
    if (span.first != at)
      throw DataError(text(file, ": tensor ", name, " starts at byte ", span.first, " of the data, where byte ", at,
                           " is expected: tensors ", span.first < at ? "overlap" : "leave a hole"));
    at += span.second;
    if (at > data_bytes)
      throw DataError(text(file, ": tensor ", name, " ends ", at - data_bytes, " bytes after the file's end: the file was cut short"));
  }
  if (at != data_bytes) throw DataError(text(file, ": ", data_bytes - at, " bytes at the end belong to no tensor"));
}

}  // namespace

const char* safetensors_name(DType type) {
  return std::find_if(std::begin(type_names), std::end(type_names), [&](const TypeName& t) { return t.type == type; })->name;
}

int safetensors_order(DType type) {
  return static_cast<int>(std::find_if(std::begin(type_names), std::end(type_names), [&](const TypeName& t) { return t.type == type; }) -
                          type_names);
}

SafetensorsHeader read_safetensors_header(const FileHandle& handle) {
  const std::string file = handle.path().string();
  const std::int64_t file_bytes = handle.size();
  if (file_bytes < 8) throw DataError(text(file, ": a safetensors file has at least 8 bytes, this one ", file_bytes));
  unsigned char length_bytes[8];
  handle.read_at(length_bytes, 8, 0);
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | length_bytes[i];
  if (length > static_cast<std::uint64_t>(longest_header))
    throw DataError(
        text(file, ": the header claims ", length, " bytes, the format allows ", longest_header, ": is it a safetensors file?"));
  const auto header_bytes = static_cast<std::int64_t>(length);
  if (header_bytes > file_bytes - 8)
    throw DataError(
        text(file, ": the header claims ", header_bytes, " bytes, but only ", file_bytes - 8, " follow: the file was cut short"));
  std::string content(static_cast<std::size_t>(header_bytes), '\0');
  handle.read_at(content.data(), content.size(), 8);
  if (content.empty() || content.front() != '{') throw DataError(text(file, ": the header is expected to start with '{'"));

  SafetensorsHeader header;
  const json parsed = parse_strict(content, file, "the header");
  for (const auto& [name, value] : parsed.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) throw DataError(text(file, ": __metadata__ is expected to be an object of texts"));
      for (const auto& [key, entry] : value.items()) {
        if (!entry.is_string()) throw DataError(text(file, ": __metadata__ is expected to hold texts only, '", key, "' is none"));
        header.metadata[key] = entry.get<std::string>();
      }
      continue;
    }
    check_tensor_name(name, file);
    std::int64_t end = 0;
    header.tensors[name] = parse_entry(value, name, handle.path(), end);
  }
  check_coverage(header.tensors, file_bytes - 8 - header_bytes, file);
  for (auto& [name, entry] : header.tensors) entry.offset += 8 + header_bytes;
  return header;
}

std::string make_safetensors_header(std::vector<std::pair<std::string, SafetensorsEntry>>& ordered,
                                    const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::int64_t at = 0;
  for (auto& [name, entry] : ordered) {
    entry.offset = at;
    at += entry.bytes();
    header[name] = {{"dtype", safetensors_name(entry.type)}, {"shape", entry.shape}, {"data_offsets", {entry.offset, at}}};
  }
  std::string content = header.dump();
  content.append((8 - content.size() % 8) % 8, ' ');
  std::string result(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) result[i] = static_cast<char>(content.size() >> (8 * i) & 0xff);
  result += content;
  for (auto& [name, entry] : ordered) entry.offset += static_cast<std::int64_t>(result.size());
  return result;
}

std::map<std::string, std::string> read_safetensors_index(const fs::path& path) {
  const std::string file = path.string();
  const json index = parse_strict(read_text(path, longest_index), file, "the index");
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) throw DataError(text(file, ": there is no weight_map in the index"));
  std::map<std::string, std::string> result;
  for (const auto& [name, part] : map->items()) {
    check_tensor_name(name, file);
    if (!part.is_string()) throw DataError(text(file, ": the part of tensor ", name, " is not a text"));
    const std::string part_name = part.get<std::string>();
    if (part_name.empty() || part_name.front() == '.' || part_name.find_first_of(std::string("/\\\0", 3)) != std::string::npos)
      throw DataError(text(file, ": tensor ", name, " is said to lie in '", part_name, "', which is not a plain file name"));
    result[name] = part_name;
  }
  return result;
}

std::string safetensors_index(const std::map<std::string, std::string>& file_of_tensor, std::int64_t total_bytes) {
  nlohmann::ordered_json index;
  index["metadata"] = {{"total_size", total_bytes}};
  index["weight_map"] = file_of_tensor;
  return index.dump(2) + "\n";
}

}  // namespace strata
