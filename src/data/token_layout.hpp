#pragma once
// Token layout: names, attributes and checksums of a token file, shared by writer and reader.
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "strata/data/token_file.hpp"
#include "strata/io/h5.hpp"

namespace strata::data {

inline constexpr const char* format_name = "strata tokens";
inline constexpr std::int64_t format_version = 1;
inline constexpr std::int64_t piece_bytes = std::int64_t{4} << 20;  // under one checksum
using Digest = std::array<std::uint8_t, 16>;

/// A dataset with checksums at /checksums/<name>, one per piece.
struct LayoutPart {
  std::string name;  // "tokens"
  DType type = DType::u16;
  std::int64_t elements = 0;
  bool in_hash = true;  // whether TokenFileReader::hash() covers it
  std::string path() const { return "/" + name; }
  std::string checksums() const { return "/checksums/" + name; }
  std::int64_t bytes() const { return elements * static_cast<std::int64_t>(size_of(type)); }
  std::int64_t pieces() const { return (bytes() + piece_bytes - 1) / piece_bytes; }
};
inline constexpr const char* attributes_checksum = "/checksums/attributes";
inline constexpr const char* dataset_checksum = "/checksums/dataset";

/// The type that /tokens has for a vocabulary: u16 up to 65,536 ids, else u32.
DType token_type(std::int64_t vocabulary);
/// All datasets but the checksums, in the order they are written. source_bytes: of /sources.
std::vector<LayoutPart> layout_parts(const TokenFileInfo& info, std::int64_t source_bytes);
/// Root attributes and back.
std::vector<h5::AttributeSpec> attributes_of(const TokenFileInfo& info);
TokenFileInfo info_from(const h5::File& file);
/// /sources: one JSON object per line.
std::string sources_text(const std::vector<SourceFile>& sources);
std::vector<SourceFile> sources_from(const std::string& text);

/// XXH3-128 in canonical (big-endian) byte order.
Digest digest_of(const void* data, std::size_t bytes);
std::string hexadecimal(const Digest& digest);
/// Over attributes as "name=value" lines sorted by name.
Digest attributes_digest(std::vector<std::pair<std::string, h5::AttributeValue>> attributes);
/// Over the meaning of the ids and the digests of the parts in the hash, in order.
Digest dataset_digest(const TokenFileInfo& info, const std::vector<Digest>& digests);

}  // namespace strata::data
