// Token writer: creation on rank 0, checksums dealt over ranks, one rename at the end.
#include "data/token_writer.hpp"

#include <algorithm>
#include <system_error>

#include "strata/base/error.hpp"

namespace strata::data {
namespace fs = std::filesystem;
namespace {

std::vector<h5::DatasetSpec> dataset_specs(const std::vector<LayoutPart>& parts) {
  std::vector<h5::DatasetSpec> specs;
  for (const LayoutPart& part : parts) specs.push_back({part.path(), part.type, {part.elements}});
  for (const LayoutPart& part : parts) specs.push_back({part.checksums(), DType::u8, {part.pieces(), 16}});
  for (const char* path : {attributes_checksum, dataset_checksum}) specs.push_back({path, DType::u8, {1, 16}});
  return specs;
}

template <class T>
std::int64_t occurrences(const std::vector<char>& memory, std::size_t bytes, std::int64_t id) {
  const auto* values = reinterpret_cast<const T*>(memory.data());
  return std::count(values, values + bytes / sizeof(T), static_cast<T>(id));
}

}  // namespace

TokenWriter::TokenWriter(Communicator& comm, const fs::path& path, const TokenFileInfo& info)
    : comm_(comm),
      path_(path),
      info_(info),
      sources_(sources_text(info.sources)),
      parts_(layout_parts(info, static_cast<std::int64_t>(sources_.size()))) {
  guarded(comm_, [&] {
    if (comm_.rank() == 0) create();
  });
  temporary_ = broadcast_text(comm_, temporary_.string());
  std::vector<std::int64_t> offsets;
  const std::vector<h5::DatasetSpec> specs = dataset_specs(parts_);
  for (const auto& spec : specs) offsets.push_back(comm_.rank() == 0 ? offsets_.at(spec.path) : 0);
  comm_.broadcast(offsets.data(), offsets.size() * sizeof offsets[0], 0);
  for (std::size_t i = 0; i < specs.size(); ++i) offsets_[specs[i].path] = offsets[i];
  try {
    guarded(comm_, [&] { file_ = std::make_unique<FileHandle>(temporary_, FileHandle::Mode::write_existing); });
  } catch (...) {
    std::error_code ignored;
    if (comm_.rank() == 0) fs::remove(temporary_, ignored);  // the destructor of an object that never was does not run
    throw;
  }
}

TokenWriter::~TokenWriter() {
  std::error_code ignored;
  if (created_ && !committed_) fs::remove(temporary_, ignored);
}

void TokenWriter::create() {
  std::error_code error;
  if (path_.has_parent_path()) fs::create_directories(path_.parent_path(), error);
  if (error) throw DataError(text(path_.parent_path().string(), ": cannot make the folder: ", error.message()));
  temporary_ = temporary_name(path_);
  offsets_ = h5::create_file(temporary_, dataset_specs(parts_), attributes_of(info_));
  created_ = true;
}

const LayoutPart& TokenWriter::part(const std::string& name) const {
  const auto found = std::find_if(parts_.begin(), parts_.end(), [&](const LayoutPart& p) { return p.name == name; });
  STRATA_ASSERT(found != parts_.end(), name);
  return *found;
}

void TokenWriter::write(const std::string& name, std::int64_t first, std::int64_t count, const void* from) const {
  const LayoutPart& to = part(name);
  STRATA_ASSERT(first >= 0 && count >= 0 && first + count <= to.elements, name, " ", first, " + ", count, " of ", to.elements);
  const auto width = static_cast<std::int64_t>(size_of(to.type));
  file_->write_at(from, static_cast<std::size_t>(count * width), offsets_.at(to.path()) + first * width);
}

void TokenWriter::checksum_piece(const FileHandle& file, const LayoutPart& of, std::int64_t piece, std::vector<char>& memory,
                                 std::int64_t& separators) const {
  const std::int64_t begin = piece * piece_bytes;
  const auto bytes = static_cast<std::size_t>(std::min(piece_bytes, of.bytes() - begin));
  file.read_at(memory.data(), bytes, offsets_.at(of.path()) + begin);
  const Digest digest = digest_of(memory.data(), bytes);
  file_->write_at(digest.data(), digest.size(), offsets_.at(of.checksums()) + piece * 16);
  if (of.name != "tokens" || info_.separator_id < 0) return;
  separators += of.type == DType::u16 ? occurrences<std::uint16_t>(memory, bytes, info_.separator_id)
                                      : occurrences<std::uint32_t>(memory, bytes, info_.separator_id);
}

std::int64_t TokenWriter::checksum_own_pieces(const LayoutPart& of) const {
  std::int64_t separators = 0;
  std::vector<char> memory(static_cast<std::size_t>(std::min(piece_bytes, of.bytes())));
  const FileHandle file(temporary_, FileHandle::Mode::read);  // opened after all ranks synced: network file systems then show their bytes
  for (std::int64_t piece = comm_.rank(); piece < of.pieces(); piece += comm_.size()) checksum_piece(file, of, piece, memory, separators);
  return separators;
}

void TokenWriter::complete(std::int64_t padding_tokens) {
  const std::int64_t counts[2] = {separators_, padding_tokens};
  std::vector<char> memory(piece_bytes);
  std::int64_t none = 0;
  write("counts", 0, 2, counts);
  checksum_piece(*file_, part("counts"), 0, memory, none);
  std::vector<std::pair<std::string, h5::AttributeValue>> attributes;
  for (const h5::AttributeSpec& attribute : attributes_of(info_)) attributes.emplace_back(attribute.name, attribute.value);
  const Digest of_attributes = attributes_digest(attributes);
  file_->write_at(of_attributes.data(), 16, offsets_.at(attributes_checksum));
  const FileHandle file(temporary_, FileHandle::Mode::read);
  std::vector<Digest> digests;
  for (const LayoutPart& of : parts_) {
    if (!of.in_hash) continue;
    const std::size_t before = digests.size();
    digests.resize(before + static_cast<std::size_t>(of.pieces()));
    file.read_at(digests.data() + before, static_cast<std::size_t>(of.pieces()) * 16, offsets_.at(of.checksums()));
  }
  const Digest all = dataset_digest(info_, digests);
  file_->write_at(all.data(), 16, offsets_.at(dataset_checksum));
  file_->sync();
  hash_ = hexadecimal(all), file_bytes_ = file_->size();
}

void TokenWriter::finish(std::int64_t padding_tokens) {
  guarded(comm_, [&] {
    if (comm_.rank() == 0) write("sources", 0, static_cast<std::int64_t>(sources_.size()), sources_.data());
    file_->sync();
  });
  std::int64_t separators = 0;
  guarded(comm_, [&] {
    for (const LayoutPart& of : parts_)
      if (of.name != "counts") separators += checksum_own_pieces(of);
    file_->sync();
  });
  // A padding token may have the separator's id; it stands for no document's end.
  separators_ = comm_.all_sum(separators) - (info_.padding_id == info_.separator_id && info_.separator_id >= 0 ? padding_tokens : 0);
  guarded(comm_, [&] {
    if (comm_.rank() == 0) complete(padding_tokens);
  });
  hash_ = broadcast_text(comm_, hash_);
  comm_.broadcast(&file_bytes_, sizeof file_bytes_, 0);
}

void TokenWriter::commit() {
  guarded(comm_, [&] {
    if (comm_.rank() == 0) replace_file(temporary_, path_);
    committed_ = true;
  });
}

}  // namespace strata::data
