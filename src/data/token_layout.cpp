// Token layout: attributes both ways, and what the checksums cover.
#include "data/token_layout.hpp"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"

namespace strata::data {
namespace {

std::string value_text(const h5::AttributeValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* string = std::get_if<std::string>(&value)) return *string;
  std::array<char, 64> digits{};  // not printf: its decimal point follows the locale
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), std::get<double>(value)).ptr;
  return std::string(digits.data(), end);
}

/// Enough for `h5dump -A` to show where the tokens come from; the whole list is in /sources.
std::string sources_summary(const std::vector<SourceFile>& sources) {
  std::string result;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (result.size() + sources[i].name.size() > 4096) return result + text("and ", sources.size() - i, " more, see /sources");
    result += text(sources[i].name, " (", sources[i].bytes, " bytes, ", sources[i].hash, ")\n");
  }
  return result;
}

}  // namespace

DType token_type(std::int64_t vocabulary) {
  return vocabulary <= 65536 ? DType::u16 : DType::u32;
}

std::vector<LayoutPart> layout_parts(const TokenFileInfo& info, std::int64_t source_bytes) {
  std::vector<LayoutPart> parts{{"tokens", token_type(info.vocabulary), info.tokens}, {"documents", DType::i64, info.documents + 1}};
  if (info.pack == "documents") parts.push_back({"lengths", DType::i32, info.tokens / info.sequence});
  parts.push_back({"counts", DType::i64, 2});
  parts.push_back({"sources", DType::u8, source_bytes, false});
  return parts;
}

std::vector<h5::AttributeSpec> attributes_of(const TokenFileInfo& info) {
  return {{"/", "format", std::string(format_name)},
          {"/", "version", info.version},
          {"/", "tokenizer_kind", info.tokenizer_kind},
          {"/", "tokenizer_name", info.tokenizer_name},
          {"/", "tokenizer_hash", info.tokenizer_hash},
          {"/", "vocabulary", info.vocabulary},
          {"/", "separator", info.separator},
          {"/", "separator_id", info.separator_id},
          {"/", "separator_place", info.separator_place},
          {"/", "pack", info.pack},
          {"/", "wrap", std::int64_t{info.wrap}},
          {"/", "sequence", info.sequence},
          {"/", "padding_id", info.padding_id},
          {"/", "truncate", info.truncate},
          {"/", "part", info.part},
          {"/", "split", info.split},
          {"/", "split_seed", static_cast<std::int64_t>(info.split_seed)},
          {"/", "source_format", info.format},
          {"/", "documents_by", info.documents_by},
          {"/", "normalise", info.normalise},
          {"/", "tokens", info.tokens},
          {"/", "documents", info.documents},
          {"/", "sources", sources_summary(info.sources)}};
}

TokenFileInfo info_from(const h5::File& file) {
  const auto integer = [&](const char* name) { return file.integer("/", name); };
  const auto string = [&](const char* name) { return file.string("/", name); };
  TokenFileInfo info;
  info.version = integer("version");
  info.tokenizer_kind = string("tokenizer_kind"), info.tokenizer_name = string("tokenizer_name"),
  info.tokenizer_hash = string("tokenizer_hash");
  info.vocabulary = integer("vocabulary");
  info.separator = string("separator"), info.separator_id = integer("separator_id"), info.separator_place = string("separator_place");
  info.pack = string("pack"), info.wrap = integer("wrap") != 0, info.sequence = integer("sequence");
  info.padding_id = integer("padding_id"), info.truncate = integer("truncate");
  info.part = string("part"), info.split = file.real("/", "split"), info.split_seed = static_cast<std::uint64_t>(integer("split_seed"));
  info.format = string("source_format"), info.documents_by = string("documents_by"), info.normalise = string("normalise");
  info.tokens = integer("tokens"), info.documents = integer("documents");
  return info;
}

std::string sources_text(const std::vector<SourceFile>& sources) {
  std::string result;
  for (const SourceFile& source : sources) {
    const nlohmann::ordered_json line{{"name", source.name}, {"bytes", source.bytes}, {"hash", source.hash}};
    result += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";  // a file name need not be UTF-8
  }
  return result;
}

std::vector<SourceFile> sources_from(const std::string& lines) {
  std::vector<SourceFile> sources;
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size());
    try {
      const auto line = nlohmann::json::parse(lines.substr(at, end - at));
      sources.push_back({line.at("name").get<std::string>(), line.at("bytes").get<std::int64_t>(), line.at("hash").get<std::string>()});
    } catch (const nlohmann::json::exception& error) {
      throw DataError(text("entry ", sources.size(), " is not what Strata writes: ", error.what()));
    }
    at = end + 1;
  }
  return sources;
}

Digest digest_of(const void* data, std::size_t bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, bytes));
  Digest digest;
  static_assert(sizeof canonical.digest == sizeof digest);
  std::memcpy(digest.data(), canonical.digest, sizeof digest);
  return digest;
}

std::string hexadecimal(const Digest& digest) {
  std::string result;
  for (const std::uint8_t byte : digest) {
    result += "0123456789abcdef"[byte >> 4];
    result += "0123456789abcdef"[byte & 15];
  }
  return result;
}

Digest attributes_digest(std::vector<std::pair<std::string, h5::AttributeValue>> attributes) {
  std::sort(attributes.begin(), attributes.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string all;
  for (const auto& [name, value] : attributes) all += name + "=" + value_text(value) + "\n";
  return digest_of(all.data(), all.size());
}

Digest dataset_digest(const TokenFileInfo& info, const std::vector<Digest>& digests) {
  std::string all = text(format_name, " ", info.version, "\n", info.tokenizer_hash, "\n", std::to_string(info.vocabulary), "\n",
                         std::to_string(info.separator_id), "\n", info.pack, "\n", std::to_string(info.sequence), "\n");
  for (const Digest& digest : digests) all.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return digest_of(all.data(), all.size());
}

}  // namespace strata::data
