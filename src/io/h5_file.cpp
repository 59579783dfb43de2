// Reading HDF5 files without trusting them: every object is checked against the rules of doc/files.md before its bytes are touched.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

#include "io/h5_message.hpp"
#include "strata/base/error.hpp"
#include "strata/base/phase.hpp"
#include "strata/io/h5.hpp"

namespace strata::h5 {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t most_objects = 1000000;         // in a file, links followed more than once included
constexpr int deepest = 8;                            // levels of groups
constexpr std::size_t longest_attribute = 64u << 20;  // [bytes]
constexpr std::size_t largest_transfer = std::size_t{1} << 30;
constexpr const char* dtype_attribute = "dtype";

int open_file(const fs::path& path) {
  // A named pipe is refused, and must not hold us up before.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw DataError(text(path.string(), ": cannot open the file: ", std::generic_category().message(errno)));
  return descriptor;
}

std::int64_t plain_file_bytes(int descriptor, const fs::path& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0)
    throw DataError(text(path.string(), ": cannot ask for the file's size: ", std::generic_category().message(errno)));
  if (!S_ISREG(status.st_mode)) throw DataError(text(path.string(), ": expected an HDF5 file, found something that is not a plain file"));
  return status.st_size;
}

}  // namespace

std::int64_t DatasetInfo::elements() const {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return n;
}

struct File::State {
  State(const fs::path& file) : path(file), descriptor(open_file(file)) {}
  ~State() { ::close(descriptor); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Follows `path` link by link; every link must be a hard one, since others lead to other files or loops. Null where a link is absent.
  const Object* find(const std::string& object);
  const Object& require(const std::string& object);
  const Object& group(const std::string& object);
  void collect(const std::string& object, int depth, std::size_t& seen, std::vector<std::string>& to);

  fs::path path;
  int descriptor;
  std::int64_t file_bytes = 0;
  std::optional<Structure> structure;
};

const Object* File::State::find(const std::string& object) {
  const std::string name = path.string();
  if (object.empty() || object.front() != '/') throw DataError(text(name, ": '", object, "' is not the path of an object in it"));
  const Object* at = &structure->object(structure->root(), "/");
  for (std::size_t slash = 0; slash != std::string::npos && object.size() > 1;) {
    const std::size_t next = object.find('/', slash + 1);
    const std::string part = object.substr(0, next);
    const auto link = at->links.find(part.substr(slash + 1));
    if (link == at->links.end()) return nullptr;
    if (!link->second.hard)
      throw DataError(text(name, ": ", part, " is a soft or external link; only objects of the file itself are read"));
    at = &structure->object(link->second.address, part);
    slash = next;
  }
  return at;
}

const Object& File::State::require(const std::string& object) {
  const Object* found = find(object);
  if (!found) throw DataError(text(path.string(), ": there is no ", object, " in it"));
  return *found;
}

const Object& File::State::group(const std::string& object) {
  const Object& found = require(object);
  if (found.kind != ObjectKind::group) throw DataError(text(path.string(), ": ", object, " is expected to be a group and is not"));
  for (const auto& [member, link] : found.links)
    if (!link.hard)
      throw DataError(text(path.string(), ": group ", object, " holds ", member,
                           ", a soft or external link; only objects of the file itself are read"));
  return found;
}

void File::State::collect(const std::string& object, int depth, std::size_t& seen, std::vector<std::string>& to) {
  if (depth > deepest) throw DataError(text(path.string(), ": groups lie more than ", deepest, " levels deep at ", object));
  for (const auto& [member, link] : group(object).links) {
    if (++seen > most_objects) throw DataError(text(path.string(), ": it has more than ", most_objects, " objects"));
    const std::string below = object == "/" ? object + member : object + "/" + member;
    const ObjectKind kind = structure->object(link.address, below).kind;
    if (kind == ObjectKind::dataset)
      to.push_back(below);
    else if (kind == ObjectKind::group)
      collect(below, depth + 1, seen, to);
    else
      throw DataError(text(path.string(), ": ", below, " is neither a group nor a dataset"));
  }
}

File::File(const fs::path& path) : state_(std::make_unique<State>(path)) {
  state_->file_bytes = plain_file_bytes(state_->descriptor, path);
  state_->structure.emplace(state_->descriptor, state_->file_bytes, path.string());
}

File::~File() = default;
File::File(File&&) noexcept = default;
File& File::operator=(File&&) noexcept = default;

const fs::path& File::path() const {
  return state_->path;
}

bool File::has(const std::string& object) const {
  return state_->find(object) != nullptr;
}

std::vector<std::string> File::children(const std::string& group) const {
  std::vector<std::string> names;
  for (const auto& [name, link] : state_->group(group).links) names.push_back(name);
  return names;
}

std::vector<std::string> File::datasets_below(const std::string& group) const {
  std::vector<std::string> result;
  std::size_t seen = 0;
  state_->collect(group, 0, seen, result);
  std::sort(result.begin(), result.end());
  return result;
}

DatasetInfo File::dataset(const std::string& path) const {
  const std::string name = this->path().string(), place = name + ": " + path;
  const std::int64_t file_bytes = state_->file_bytes;
  const Object& object = state_->require(path);
  if (object.kind != ObjectKind::dataset) throw DataError(text(place, " is expected to be a dataset and is not"));
  const Extent extent = contiguous_extent(object, place);
  DatasetInfo info{element_type(object, place), shape_of(object, place), -1};
  if (info.type == DType::u16 && has_attribute(path, dtype_attribute)) {
    const std::string type = string(path, dtype_attribute);
    if (type != "bf16" && type != "f16" && type != "u16") throw DataError(text(name, ": ", path, " has the unknown dtype '", type, "'"));
    info.type = dtype_from_name(type);
  }
  auto bytes = static_cast<std::int64_t>(size_of(info.type));
  bool fits = true;
  for (const std::int64_t size : info.shape) fits = !__builtin_mul_overflow(bytes, size, &bytes) && fits;
  if (std::find(info.shape.begin(), info.shape.end(), 0) != info.shape.end()) return info;  // no elements, no place
  if (!fits || bytes > file_bytes) throw DataError(text(place, " claims to be larger than the whole file of ", file_bytes, " bytes"));
  if (extent.bytes != static_cast<std::uint64_t>(bytes))
    throw DataError(text(place, " claims ", bytes, " bytes, but ", extent.bytes, " are stored"));
  if (extent.address > static_cast<std::uint64_t>(file_bytes - bytes))
    throw DataError(text(place, " lies outside the file: it was cut short"));
  info.offset = static_cast<std::int64_t>(extent.address);
  return info;
}

void File::read(const DatasetInfo& info, std::int64_t first, std::int64_t count, void* to) const {
  if (first < 0 || count < 0 || count > info.elements() || first > info.elements() - count)
    throw DataError(text(path().string(), ": ", count, " elements from ", first, " are asked of a dataset of ", info.elements()));
  const auto size = static_cast<std::int64_t>(size_of(info.type));
  auto* at = static_cast<char*>(to);
  auto left = static_cast<std::size_t>(count * size);
  std::int64_t offset = info.offset + first * size;
  while (left > 0) {
    const ssize_t n = ::pread(state_->descriptor, at, std::min(left, largest_transfer), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw DataError(text(path().string(), ": cannot read at byte ", offset, ": ", std::generic_category().message(errno)));
    if (n == 0) throw DataError(text(path().string(), ": the file ends at byte ", offset, ", too early: it was cut short"));
    at += n, offset += n, left -= static_cast<std::size_t>(n);
    Phase::tick();
  }
}

bool File::has_attribute(const std::string& object, const std::string& name) const {
  return state_->require(object).attributes.count(name) > 0;
}

AttributeValue File::attribute(const std::string& object, const std::string& name) const {
  const std::string what = text(path().string(), ": attribute ", name, " of ", object);
  const auto& all = state_->require(object).attributes;
  const auto found = all.find(name);
  if (found == all.end()) throw DataError(text(path().string(), ": there is no attribute ", name, " of ", object));
  if (found->second.value.size() > longest_attribute) throw DataError(text(what, " claims ", found->second.value.size(), " bytes"));
  return attribute_value(found->second, what);
}

std::int64_t File::integer(const std::string& object, const std::string& name) const {
  const AttributeValue value = attribute(object, name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  throw DataError(text(path().string(), ": attribute ", name, " of ", object, " is expected to be an integer and is not"));
}

double File::real(const std::string& object, const std::string& name) const {
  const AttributeValue value = attribute(object, name);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  throw DataError(text(path().string(), ": attribute ", name, " of ", object, " is expected to be a number and is not"));
}

std::string File::string(const std::string& object, const std::string& name) const {
  const AttributeValue value = attribute(object, name);
  if (const auto* string = std::get_if<std::string>(&value)) return *string;
  throw DataError(text(path().string(), ": attribute ", name, " of ", object, " is expected to be a text and is not"));
}

std::vector<std::string> File::attribute_names(const std::string& object) const {
  std::vector<std::string> names;
  for (const auto& [name, value] : state_->require(object).attributes) names.push_back(name);
  return names;
}

}  // namespace strata::h5
