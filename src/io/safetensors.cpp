// Reading and writing safetensors files by positional reads and writes; the header's rules are in safetensors_header.cpp.
#include "strata/io/safetensors.hpp"

#include <algorithm>
#include <set>

#include "io/safetensors_header.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

std::int64_t checked_bytes(const SafetensorsItem& item, const fs::path& path) {
  auto bytes = static_cast<std::int64_t>(size_of(item.type));
  for (const std::int64_t size : item.shape)
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes))
      throw DataError(text(path.string(), ": tensor ", item.name, " has an impossible shape"));
  return bytes;
}

}  // namespace

std::int64_t SafetensorsEntry::elements() const {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return n;
}

SafetensorsReader::SafetensorsReader(const fs::path& path) {
  const fs::path single = path / "model.safetensors", index = path / "model.safetensors.index.json";
  std::error_code unknown;  // what cannot be looked at is opened, which says why it cannot be
  const auto refuse_pickle = [&](const fs::path& file) {
    throw DataError(text(file.string(),
                         ": pickled PyTorch weights are not read, for reading a pickle runs what it says; convert them once: ",
                         "python -c \"from transformers import AutoModelForPreTraining as M; M.from_pretrained('",
                         file.parent_path().string(), "').save_pretrained('", file.parent_path().string(), "')\""));
  };
  if (const fs::path end = path.extension(); !fs::is_directory(path, unknown) && (end == ".bin" || end == ".pt" || end == ".pth"))
    refuse_pickle(path);
  if (!fs::is_directory(path, unknown))
    add_file(path);
  else if (fs::exists(single, unknown))
    add_file(single);
  else if (fs::exists(index, unknown))
    add_folder(index);
  else if (fs::exists(path / "pytorch_model.bin", unknown) || fs::exists(path / "pytorch_model.bin.index.json", unknown))
    refuse_pickle(path / "pytorch_model.bin");
  else
    throw DataError(text(path.string(), ": expected a folder with model.safetensors or model.safetensors.index.json, found neither"));
}

void SafetensorsReader::add_file(const fs::path& path) {
  auto file = std::make_shared<FileHandle>(path, FileHandle::Mode::read);
  SafetensorsHeader header = read_safetensors_header(*file);
  for (auto& [name, entry] : header.tensors) {
    const auto [at, added] = tensors_.try_emplace(name, std::move(entry));
    if (!added) throw DataError(text(path.string(), ": tensor ", name, " is in ", at->second.file.string(), " as well"));
  }
  metadata_.merge(header.metadata);
  files_[path] = std::move(file);
}

void SafetensorsReader::add_folder(const fs::path& index) {
  const std::map<std::string, std::string> parts = read_safetensors_index(index);
  std::set<std::string> names;
  for (const auto& [tensor, part] : parts) names.insert(part);
  for (const std::string& part : names) {
    std::error_code unknown;
    if (fs::status(index.parent_path() / part, unknown).type() == fs::file_type::not_found)
      throw DataError(text(index.string(), ": the part ", part, " is missing"));
    add_file(index.parent_path() / part);
  }
  for (const auto& [tensor, part] : parts) {
    const auto at = tensors_.find(tensor);
    if (at == tensors_.end() || at->second.file.filename() != part)
      throw DataError(text(index.string(), ": tensor ", tensor, " is said to be in ", part, ", which does not hold it",
                           at == tensors_.end() ? "" : "; it is in " + at->second.file.filename().string()));
  }
}

void SafetensorsReader::read(const SafetensorsEntry& entry, std::int64_t first, std::int64_t count, void* to) const {
  const std::int64_t elements = entry.elements();
  if (first < 0 || count < 0 || count > elements || first > elements - count)
    throw DataError(text(entry.file.string(), ": ", count, " elements from ", first, " are asked of a tensor of ", elements));
  const auto size = static_cast<std::int64_t>(size_of(entry.type));
  files_.at(entry.file)->read_at(to, static_cast<std::size_t>(count * size), entry.offset + first * size);
}

struct SafetensorsWriter::State {
  State(const fs::path& target, const fs::path& temporary_path) : path(target), file(temporary_path, FileHandle::Mode::create) {}
  ~State() {
    std::error_code ignored;
    if (!committed) fs::remove(file.path(), ignored);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  fs::path path;
  FileHandle file;
  std::map<std::string, SafetensorsEntry> tensors;
  std::map<std::string, std::int64_t> filled;  // [elements]
  bool committed = false;
};

SafetensorsWriter::SafetensorsWriter(const fs::path& path, const std::vector<SafetensorsItem>& items,
                                     const std::map<std::string, std::string>& metadata) {
  std::vector<std::pair<std::string, SafetensorsEntry>> ordered;
  std::int64_t total = 0;
  for (const SafetensorsItem& item : items) {
    if (item.name.empty() || item.name == "__metadata__")
      throw DataError(text(path.string(), ": '", item.name, "' cannot be the name of a tensor"));
    total += checked_bytes(item, path);
    ordered.push_back({item.name, {item.type, item.shape, path, 0}});
  }
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    const int x = safetensors_order(a.second.type), y = safetensors_order(b.second.type);
    return x != y ? x > y : a.first < b.first;
  });
  const std::string header = make_safetensors_header(ordered, metadata);
  total += static_cast<std::int64_t>(header.size());
  if (const std::int64_t free = free_bytes(path); total > free)
    throw CapacityError(text(path.string(), " needs ", total, " bytes, but only ", free, " are free there"));
  state_ = std::make_unique<State>(path, temporary_name(path));
  for (const auto& [name, entry] : ordered)
    if (!state_->tensors.emplace(name, entry).second) throw DataError(text(path.string(), ": tensor ", name, " is named twice"));
  state_->file.allocate(total);
  state_->file.write_at(header.data(), header.size(), 0);
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::fill(const std::string& name, std::int64_t first, std::int64_t count, const void* from) {
  const auto at = state_->tensors.find(name);
  STRATA_ASSERT(at != state_->tensors.end(), "tensor ", name, " was not announced for ", state_->path.string());
  const std::int64_t elements = at->second.elements(), size = static_cast<std::int64_t>(size_of(at->second.type));
  STRATA_ASSERT(first >= 0 && count >= 0 && first <= elements - count, "tensor ", name, " has ", elements, " elements");
  state_->file.write_at(from, static_cast<std::size_t>(count * size), at->second.offset + first * size);
  state_->filled[name] += count;
}

void SafetensorsWriter::commit() {
  for (const auto& [name, entry] : state_->tensors)
    STRATA_ASSERT(state_->filled[name] == entry.elements(), "of tensor ", name, " ", state_->filled[name], " elements were filled of ",
                  entry.elements());
  state_->file.sync();
  replace_file(state_->file.path(), state_->path);
  state_->committed = true;
}

}  // namespace strata
