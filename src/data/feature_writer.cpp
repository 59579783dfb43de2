// Feature writer: one rank writes the whole file under a temporary name, with checksums, and renames it.
#include <system_error>

#include "data/feature_layout.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata::data {
namespace fs = std::filesystem;
namespace {

/// Removes a file that did not get its name.
class Unfinished {
 public:
  explicit Unfinished(fs::path path) : path_(std::move(path)) {}
  ~Unfinished() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove(path_, ignored);
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  void keep() { path_.clear(); }

 private:
  fs::path path_;
};

/// The part's bytes as they are stored.
std::vector<char> stored(const FeaturePart& part) {
  const auto count = static_cast<std::size_t>(part.elements);
  if (part.ids && part.type == DType::u16) {
    const auto* ids = static_cast<const std::uint32_t*>(part.data);
    const std::vector<std::uint16_t> narrow(ids, ids + count);
    const auto* bytes = reinterpret_cast<const char*>(narrow.data());
    return {bytes, bytes + count * sizeof(std::uint16_t)};
  }
  const auto* bytes = static_cast<const char*>(part.data);
  return {bytes, bytes + part.layout().bytes()};
}

std::vector<h5::DatasetSpec> dataset_specs(const std::vector<FeaturePart>& parts) {
  std::vector<h5::DatasetSpec> specs;
  for (const FeaturePart& part : parts) {
    std::vector<std::int64_t> shape{part.elements};
    if (part.name == "features") shape = {part.elements / feature_columns, feature_columns};
    if (part.name == "context_ranges") shape = {part.elements / 2, 2};
    specs.push_back({part.layout().path(), part.type, std::move(shape)});
  }
  for (const FeaturePart& part : parts) specs.push_back({part.layout().checksums(), DType::u8, {part.layout().pieces(), 16}});
  for (const char* path : {attributes_checksum, dataset_checksum}) specs.push_back({path, DType::u8, {1, 16}});
  return specs;
}

std::vector<Digest> digests_of_pieces(const std::vector<char>& bytes) {
  std::vector<Digest> digests;
  for (std::size_t at = 0; at < bytes.size(); at += static_cast<std::size_t>(piece_bytes))
    digests.push_back(digest_of(bytes.data() + at, std::min(bytes.size() - at, static_cast<std::size_t>(piece_bytes))));
  return digests;
}

}  // namespace

std::pair<std::int64_t, std::string> write_feature_file(const fs::path& path, const FeatureFileInfo& info, const FeatureParts& parts) {
  const std::vector<FeaturePart> all = feature_parts(info, parts);
  const std::vector<h5::AttributeSpec> specs = feature_attributes(info);
  const fs::path temporary = temporary_name(path);
  Unfinished unfinished(temporary);
  const auto offsets = h5::create_file(temporary, dataset_specs(all), specs);
  const FileHandle file(temporary, FileHandle::Mode::write_existing);
  std::vector<Digest> in_hash;
  for (const FeaturePart& part : all) {
    if (part.elements == 0) continue;
    const std::vector<char> bytes = stored(part);
    file.write_at(bytes.data(), bytes.size(), offsets.at(part.layout().path()));
    const std::vector<Digest> digests = digests_of_pieces(bytes);
    file.write_at(digests.data(), digests.size() * sizeof(Digest), offsets.at(part.layout().checksums()));
    if (part.in_hash) in_hash.insert(in_hash.end(), digests.begin(), digests.end());
  }
  std::vector<std::pair<std::string, h5::AttributeValue>> attributes;
  for (const h5::AttributeSpec& attribute : specs) attributes.emplace_back(attribute.name, attribute.value);
  const Digest of_attributes = attributes_digest(attributes), of_all = feature_digest(info, in_hash);
  file.write_at(of_attributes.data(), 16, offsets.at(attributes_checksum));
  file.write_at(of_all.data(), 16, offsets.at(dataset_checksum));
  file.sync();
  const std::int64_t bytes = file.size();
  replace_file(temporary, path);
  unfinished.keep();
  return {bytes, hexadecimal(of_all)};
}

}  // namespace strata::data
