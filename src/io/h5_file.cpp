// Reading HDF5 files without trusting them: every object is checked against the rules of doc/files.md before its bytes are touched.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "io/h5_handle.hpp"
#include "strata/base/error.hpp"
#include "strata/base/phase.hpp"
#include "strata/io/h5.hpp"

namespace strata::h5 {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t longest_name = 1024;            // [bytes] of one link or attribute name
constexpr std::size_t most_objects = 1000000;         // in a file, links followed more than once included
constexpr int deepest = 8;                            // levels of groups
constexpr std::size_t longest_attribute = 64u << 20;  // [bytes]
constexpr std::size_t largest_transfer = std::size_t{1} << 30;

/// Follows `path` link by link; every link must be a hard one, since others lead to other files or loops. False where a link is absent.
bool resolve(hid_t file, const std::string& name, const std::string& path) {
  if (path.empty() || path.front() != '/') throw DataError(text(name, ": '", path, "' is not the path of an object in it"));
  for (std::size_t slash = 0; slash != std::string::npos && path.size() > 1;) {
    const std::size_t next = path.find('/', slash + 1);
    const std::string part = path.substr(0, next);
    const htri_t exists = H5Lexists(file, part.c_str(), H5P_DEFAULT);
    if (exists < 0) fail(name, text("cannot look up ", part));
    if (exists == 0) return false;
    H5L_info_t info{};
    if (H5Lget_info(file, part.c_str(), &info, H5P_DEFAULT) < 0) fail(name, text("cannot look up ", part));
    if (info.type != H5L_TYPE_HARD)
      throw DataError(text(name, ": ", part, " is a soft or external link; only objects of the file itself are read"));
    slash = next;
  }
  return true;
}

void require(hid_t file, const std::string& name, const std::string& path) {
  if (!resolve(file, name, path)) throw DataError(text(name, ": there is no ", path, " in it"));
}

H5I_type_t kind_of(hid_t file, const std::string& name, const std::string& path) {
  const ObjectId object(H5Oopen(file, path.c_str(), H5P_DEFAULT), name, text("cannot open ", path));
  return H5Iget_type(object);
}

struct Listing {
  std::vector<std::string> names;
  std::string problem;
};

herr_t list_link(hid_t, const char* link, const H5L_info_t* info, void* to) {
  Listing& listing = *static_cast<Listing*>(to);
  const std::string name = link;
  if (name.size() > longest_name)
    listing.problem = text("has a member with a name of ", name.size(), " bytes");
  else if (info->type != H5L_TYPE_HARD)
    listing.problem = text("holds ", name, ", a soft or external link; only objects of the file itself are read");
  else if (listing.names.size() >= most_objects)
    listing.problem = text("has more than ", most_objects, " members");
  else
    listing.names.push_back(name);
  return listing.problem.empty() ? 0 : 1;  // 1 ends the walk
}

std::vector<std::string> members(hid_t file, const std::string& name, const std::string& group) {
  require(file, name, group);
  const ObjectId object(H5Oopen(file, group.c_str(), H5P_DEFAULT), name, text("cannot open ", group));
  if (H5Iget_type(object) != H5I_GROUP) throw DataError(text(name, ": ", group, " is expected to be a group and is not"));
  Listing listing;
  const herr_t result = H5Literate(object, H5_INDEX_NAME, H5_ITER_INC, nullptr, list_link, &listing);
  if (!listing.problem.empty()) throw DataError(text(name, ": group ", group, " ", listing.problem));
  if (result < 0) fail(name, text("cannot list group ", group));
  std::sort(listing.names.begin(), listing.names.end());
  return listing.names;
}

void collect(hid_t file, const std::string& name, const std::string& group, int depth, std::size_t& seen, std::vector<std::string>& to) {
  if (depth > deepest) throw DataError(text(name, ": groups lie more than ", deepest, " levels deep at ", group));
  for (const std::string& member : members(file, name, group)) {
    if (++seen > most_objects) throw DataError(text(name, ": it has more than ", most_objects, " objects"));
    const std::string path = group == "/" ? group + member : group + "/" + member;
    const H5I_type_t kind = kind_of(file, name, path);
    if (kind == H5I_DATASET)
      to.push_back(path);
    else if (kind == H5I_GROUP)
      collect(file, name, path, depth + 1, seen, to);
    else
      throw DataError(text(name, ": ", path, " is neither a group nor a dataset"));
  }
}

/// The element type before the attribute dtype is asked.
DType plain_type(hid_t dataset, const std::string& name, const std::string& path) {
  const TypeId type(H5Dget_type(dataset), name, text("cannot read the type of ", path));
  const H5T_class_t kind = H5Tget_class(type);
  if (kind != H5T_INTEGER && kind != H5T_FLOAT)
    throw DataError(text(name, ": ", path, " holds elements that are neither integers nor floating-point numbers"));
  for (const DType known : {DType::f64, DType::f32, DType::i64, DType::i32, DType::u32, DType::i16, DType::u16, DType::u8})
    if (H5Tequal(type, stored_type(known)) > 0) return known;
  throw DataError(text(name, ": ", path, " holds a number type this program does not read (", H5Tget_size(type), " bytes per element)"));
}

std::vector<std::int64_t> shape_of(hid_t dataset, const std::string& name, const std::string& path) {
  const SpaceId space(H5Dget_space(dataset), name, text("cannot read the shape of ", path));
  const H5S_class_t kind = H5Sget_simple_extent_type(space);
  if (kind != H5S_SIMPLE && kind != H5S_SCALAR) throw DataError(text(name, ": ", path, " has no shape"));
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || rank > 4) throw DataError(text(name, ": ", path, " has ", rank, " dimensions, at most 4 are read"));
  std::array<hsize_t, 4> dims{};
  if (rank > 0 && H5Sget_simple_extent_dims(space, dims.data(), nullptr) < 0) fail(name, text("cannot read the shape of ", path));
  for (const hsize_t size : dims)
    if (size > hsize_t{1} << 62) throw DataError(text(name, ": ", path, " claims a dimension of ", size));
  return {dims.begin(), dims.begin() + rank};
}

/// Contiguous, inside this file, unfiltered: only then do offset and size say where the bytes are.
void check_storage(hid_t dataset, const std::string& name, const std::string& path) {
  const PropertyId list(H5Dget_create_plist(dataset), name, text("cannot read the layout of ", path));
  const H5D_layout_t layout = H5Pget_layout(list);
  if (layout == H5D_VIRTUAL) throw DataError(text(name, ": ", path, " is a virtual dataset, made of other files"));
  if (layout != H5D_CONTIGUOUS)
    throw DataError(text(name, ": ", path, " is stored in chunks or in the header; only contiguous datasets are read"));
  if (H5Pget_external_count(list) != 0) throw DataError(text(name, ": ", path, " keeps its data in an external file"));
  if (H5Pget_nfilters(list) != 0) throw DataError(text(name, ": ", path, " is filtered (compressed)"));
}

hid_t open_file(const fs::path& path) {
  initialise();
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw DataError(text(path.string(), ": cannot open the file: ", std::generic_category().message(errno)));
  if (!S_ISREG(status.st_mode)) throw DataError(text(path.string(), ": expected an HDF5 file, found something that is not a plain file"));
  const std::string name = path.string();
  const PropertyId access(H5Pcreate(H5P_FILE_ACCESS), name, "cannot make a property list");
  if (H5Pset_fapl_sec2(access) < 0 || H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0) fail(name, "cannot set file properties");
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access);
  if (id < 0) fail(name, "cannot be opened as an HDF5 file");
  return id;
}

/// A second descriptor of the very file the library has open, so that a file put in its place meanwhile is not mixed in.
int second_descriptor(hid_t file, const std::string& name) {
  void* handle = nullptr;
  if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 || !handle) fail(name, "the library gives no descriptor");
  const int descriptor = ::dup(*static_cast<int*>(handle));
  if (descriptor < 0) throw DataError(text(name, ": cannot open the file: ", std::generic_category().message(errno)));
  return descriptor;
}

}  // namespace

std::int64_t DatasetInfo::elements() const {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return n;
}

File::File(const fs::path& path) : path_(path) {
  FileId file(open_file(path), path.string(), "cannot be opened as an HDF5 file");
  descriptor_ = second_descriptor(file, path.string());
  struct stat status {};
  if (::fstat(descriptor_, &status) == 0) file_bytes_ = status.st_size;
  id_ = file.release();
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (id_ >= 0) H5Fclose(id_);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      id_(std::exchange(other.id_, -1)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      file_bytes_(other.file_bytes_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(id_, other.id_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(file_bytes_, other.file_bytes_);
  return *this;
}

bool File::has(const std::string& object) const {
  return resolve(id_, path_.string(), object);
}

std::vector<std::string> File::children(const std::string& group) const {
  return members(id_, path_.string(), group);
}

std::vector<std::string> File::datasets_below(const std::string& group) const {
  std::vector<std::string> result;
  std::size_t seen = 0;
  collect(id_, path_.string(), group, 0, seen, result);
  std::sort(result.begin(), result.end());
  return result;
}

DatasetInfo File::dataset(const std::string& path) const {
  const std::string name = path_.string();
  require(id_, name, path);
  if (kind_of(id_, name, path) != H5I_DATASET) throw DataError(text(name, ": ", path, " is expected to be a dataset and is not"));
  const DatasetId dataset(H5Dopen2(id_, path.c_str(), H5P_DEFAULT), name, text("cannot open dataset ", path));
  check_storage(dataset, name, path);
  DatasetInfo info{plain_type(dataset, name, path), shape_of(dataset, name, path), -1};
  if (info.type == DType::u16 && has_attribute(path, dtype_attribute)) {
    const std::string type = string(path, dtype_attribute);
    if (type != "bf16" && type != "f16" && type != "u16") throw DataError(text(name, ": ", path, " has the unknown dtype '", type, "'"));
    info.type = dtype_from_name(type);
  }
  auto bytes = static_cast<std::int64_t>(size_of(info.type));
  bool fits = true;
  for (const std::int64_t size : info.shape) fits = !__builtin_mul_overflow(bytes, size, &bytes) && fits;
  if (std::find(info.shape.begin(), info.shape.end(), 0) != info.shape.end()) return info;  // no elements, no place
  if (!fits || bytes > file_bytes_)
    throw DataError(text(name, ": ", path, " claims to be larger than the whole file of ", file_bytes_, " bytes"));
  if (H5Dget_storage_size(dataset) != static_cast<hsize_t>(bytes))
    throw DataError(text(name, ": ", path, " claims ", bytes, " bytes, but ", H5Dget_storage_size(dataset), " are stored"));
  const haddr_t offset = H5Dget_offset(dataset);
  if (offset == HADDR_UNDEF || offset > static_cast<haddr_t>(file_bytes_ - bytes))
    throw DataError(text(name, ": ", path, " lies outside the file: it was cut short"));
  info.offset = static_cast<std::int64_t>(offset);
  return info;
}

void File::read(const DatasetInfo& info, std::int64_t first, std::int64_t count, void* to) const {
  if (first < 0 || count < 0 || count > info.elements() || first > info.elements() - count)
    throw DataError(text(path_.string(), ": elements ", first, "..", first + count - 1, " are asked of a dataset of ", info.elements()));
  const auto size = static_cast<std::int64_t>(size_of(info.type));
  auto* at = static_cast<char*>(to);
  auto left = static_cast<std::size_t>(count * size);
  std::int64_t offset = info.offset + first * size;
  while (left > 0) {
    const ssize_t n = ::pread(descriptor_, at, std::min(left, largest_transfer), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw DataError(text(path_.string(), ": cannot read at byte ", offset, ": ", std::generic_category().message(errno)));
    if (n == 0) throw DataError(text(path_.string(), ": the file ends at byte ", offset, ", too early: it was cut short"));
    at += n, offset += n, left -= static_cast<std::size_t>(n);
    Phase::tick();
  }
}

bool File::has_attribute(const std::string& object, const std::string& name) const {
  require(id_, path_.string(), object);
  const htri_t exists = H5Aexists_by_name(id_, object.c_str(), name.c_str(), H5P_DEFAULT);
  if (exists < 0) fail(path_.string(), text("cannot look up attribute ", name, " of ", object));
  return exists > 0;
}

AttributeValue File::attribute(const std::string& object, const std::string& name) const {
  const std::string file = path_.string(), what = text("attribute ", name, " of ", object);
  if (!has_attribute(object, name)) throw DataError(text(file, ": there is no ", what));
  const AttributeId attribute(H5Aopen_by_name(id_, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), file, "cannot open " + what);
  const TypeId type(H5Aget_type(attribute), file, "cannot read " + what);
  const SpaceId space(H5Aget_space(attribute), file, "cannot read " + what);
  if (H5Sget_simple_extent_type(space) != H5S_SCALAR && H5Sget_simple_extent_npoints(space) != 1)
    throw DataError(text(file, ": ", what, " is not a single value"));
  const H5T_class_t kind = H5Tget_class(type);
  const std::size_t bytes = H5Tget_size(type);
  if (kind == H5T_INTEGER) {
    std::int64_t value = 0;
    if (H5Aread(attribute, H5T_NATIVE_INT64, &value) < 0) fail(file, "cannot read " + what);
    return value;
  }
  if (kind == H5T_FLOAT) {
    double value = 0;
    if (H5Aread(attribute, H5T_NATIVE_DOUBLE, &value) < 0) fail(file, "cannot read " + what);
    return value;
  }
  if (kind != H5T_STRING || H5Tis_variable_str(type) != 0)
    throw DataError(text(file, ": ", what, " is neither a number nor a text of fixed length"));
  if (bytes > longest_attribute || bytes > static_cast<std::size_t>(file_bytes_))
    throw DataError(text(file, ": ", what, " claims ", bytes, " bytes"));
  std::string value(bytes, '\0');
  if (H5Aread(attribute, type, value.data()) < 0) fail(file, "cannot read " + what);
  value.resize(std::min(value.find('\0'), value.size()));
  return value;
}

std::int64_t File::integer(const std::string& object, const std::string& name) const {
  const AttributeValue value = attribute(object, name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  throw DataError(text(path_.string(), ": attribute ", name, " of ", object, " is expected to be an integer and is not"));
}

double File::real(const std::string& object, const std::string& name) const {
  const AttributeValue value = attribute(object, name);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  throw DataError(text(path_.string(), ": attribute ", name, " of ", object, " is expected to be a number and is not"));
}

std::string File::string(const std::string& object, const std::string& name) const {
  const AttributeValue value = attribute(object, name);
  if (const auto* string = std::get_if<std::string>(&value)) return *string;
  throw DataError(text(path_.string(), ": attribute ", name, " of ", object, " is expected to be a text and is not"));
}

std::vector<std::string> File::attribute_names(const std::string& object) const {
  require(id_, path_.string(), object);
  const ObjectId id(H5Oopen(id_, object.c_str(), H5P_DEFAULT), path_.string(), text("cannot open ", object));
  std::vector<std::string> names;
  const auto keep = [](hid_t, const char* name, const H5A_info_t*, void* to) -> herr_t {
    auto& list = *static_cast<std::vector<std::string>*>(to);
    if (std::string(name).size() > longest_name || list.size() >= most_objects) return -1;
    list.emplace_back(name);
    return 0;
  };
  if (H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, nullptr, keep, &names) < 0)
    fail(path_.string(), text("cannot list the attributes of ", object));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace strata::h5
