// Creating HDF5 files: all metadata at once, the place of every dataset told, the bytes themselves left to pwrite.
#include <algorithm>
#include <set>

#include "io/h5_handle.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "strata/io/h5.hpp"

namespace strata::h5 {
namespace fs = std::filesystem;
namespace {

constexpr hsize_t align_from = 64 << 10, alignment = 4096;  // [bytes] larger objects start on a page
constexpr unsigned attributes_in_header = 4096;             // beyond, HDF5 moves them all into a heap and a tree of their own

std::int64_t bytes_of(const DatasetSpec& spec, const std::string& file) {
  auto bytes = static_cast<std::int64_t>(size_of(spec.type));
  for (const std::int64_t size : spec.shape)
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) throw DataError(text(file, ": ", spec.path, " has an impossible shape"));
  return bytes;
}

/// The file while it is being made; members are the property lists every object of it shares.
class Creation {
 public:
  explicit Creation(const fs::path& path)
      : name_(path.string()),
        group_list_(H5Pcreate(H5P_GROUP_CREATE), name_, "cannot make a property list"),
        dataset_list_(H5Pcreate(H5P_DATASET_CREATE), name_, "cannot make a property list"),
        file_(create(path)) {
    for (const hid_t list : {hid_t{group_list_}, hid_t{dataset_list_}}) make_reproducible(list);
    if (H5Pset_layout(dataset_list_, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(dataset_list_, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(dataset_list_, H5D_FILL_TIME_NEVER) < 0)
      fail(name_, "cannot set the layout of datasets");
    groups_.insert("");
  }

  /// Makes the dataset and returns its byte offset, -1 without elements.
  std::int64_t add(const DatasetSpec& spec) {
    check_path(spec.path);
    make_groups(spec.path.substr(0, spec.path.rfind('/')));
    if (!datasets_.insert(spec.path).second || groups_.count(spec.path)) throw DataError(text(name_, ": ", spec.path, " is named twice"));
    if (spec.shape.size() > 4)
      throw DataError(text(name_, ": ", spec.path, " has ", spec.shape.size(), " dimensions, at most 4 are stored"));
    const std::int64_t bytes = bytes_of(spec, name_);
    const std::vector<hsize_t> dims(spec.shape.begin(), spec.shape.end());
    const SpaceId space(dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), name_,
                        "cannot make the shape of " + spec.path);
    const DatasetId dataset(H5Dcreate2(file_, spec.path.c_str(), stored_type(spec.type), space, H5P_DEFAULT, dataset_list_, H5P_DEFAULT),
                            name_, "cannot make dataset " + spec.path);
    if (needs_dtype_attribute(spec.type)) add_attribute(dataset, spec.path, dtype_attribute, std::string(name_of(spec.type)));
    if (bytes == 0) return -1;
    const haddr_t offset = H5Dget_offset(dataset);
    if (offset == HADDR_UNDEF) fail(name_, text("the library gave dataset ", spec.path, " no place"));
    return static_cast<std::int64_t>(offset);
  }

  void add(const AttributeSpec& spec) {
    if (spec.object != "/") check_path(spec.object);
    if (spec.object != "/" && !datasets_.count(spec.object)) make_groups(spec.object);
    const ObjectId object(H5Oopen(file_, spec.object.c_str(), H5P_DEFAULT), name_, "cannot open " + spec.object);
    add_attribute(object, spec.object, spec.name, spec.value);
  }

  void close() {
    if (H5Fflush(file_, H5F_SCOPE_GLOBAL) < 0 || !file_.close()) fail(name_, "cannot write the file's structure");
  }

 private:
  /// No time stamps, attributes always in the object's header: equal input then gives equal bytes, all of them under checksums.
  void make_reproducible(hid_t list) {
    if (H5Pset_obj_track_times(list, false) < 0 || H5Pset_attr_phase_change(list, attributes_in_header, 0) < 0)
      fail(name_, "cannot set object properties");
  }

  FileId create(const fs::path& path) {
    const PropertyId access(H5Pcreate(H5P_FILE_ACCESS), name_, "cannot make a property list");
    const PropertyId creation(H5Pcreate(H5P_FILE_CREATE), name_, "cannot make a property list");
    make_reproducible(creation);
    if (H5Pset_fapl_sec2(access) < 0 || H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST) < 0 ||
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0 || H5Pset_alignment(access, align_from, alignment) < 0 ||
        H5Pset_meta_block_size(access, align_from / 2) < 0)
      fail(name_, "cannot set file properties");
    return FileId(H5Fcreate(path.c_str(), H5F_ACC_EXCL, creation, access), name_, "cannot create the file");
  }

  void check_path(const std::string& path) const {
    const bool plain = path.size() > 1 && path.front() == '/' && path.back() != '/' && path.find("//") == std::string::npos &&
                       (path + "/").find("/./") == std::string::npos && (path + "/").find("/../") == std::string::npos;
    if (!plain) throw DataError(text(name_, ": '", path, "' cannot be the name of an object in it"));
  }

  /// Makes `path` ("/a/b") and what lies above it.
  void make_groups(const std::string& path) {
    if (!groups_.insert(path).second) return;
    if (datasets_.count(path)) throw DataError(text(name_, ": ", path, " is a dataset and cannot hold others"));
    make_groups(path.substr(0, path.rfind('/')));
    const GroupId group(H5Gcreate2(file_, path.c_str(), H5P_DEFAULT, group_list_, H5P_DEFAULT), name_, "cannot make group " + path);
  }

  void add_attribute(hid_t object, const std::string& object_name, const std::string& name, const AttributeValue& value) {
    const std::string what = text("cannot write attribute ", name, " of ", object_name);
    const SpaceId scalar(H5Screate(H5S_SCALAR), name_, what);
    const auto write = [&](hid_t stored, hid_t in_memory, const void* data) {
      AttributeId attribute(H5Acreate2(object, name.c_str(), stored, scalar, H5P_DEFAULT, H5P_DEFAULT), name_, what);
      if (H5Awrite(attribute, in_memory, data) < 0) fail(name_, what);
    };
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return write(H5T_STD_I64LE, H5T_NATIVE_INT64, integer);
    if (const auto* real = std::get_if<double>(&value)) return write(H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, real);
    const std::string& string = std::get<std::string>(value);
    const TypeId type(H5Tcopy(H5T_C_S1), name_, what);
    // Fixed length, padded with zeros: no heap of variable strings in the file, whose damage nothing would show.
    if (H5Tset_size(type, std::max<std::size_t>(1, string.size())) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0 ||
        H5Tset_cset(type, H5T_CSET_UTF8) < 0)
      fail(name_, what);
    write(type, type, string.c_str());
  }

  std::string name_;
  PropertyId group_list_, dataset_list_;
  FileId file_;
  std::set<std::string> groups_, datasets_;
};

std::map<std::string, std::int64_t> create(const fs::path& path, const std::vector<DatasetSpec>& datasets,
                                           const std::vector<AttributeSpec>& attributes) {
  std::map<std::string, std::int64_t> offsets;
  Creation creation(path);
  for (const DatasetSpec& spec : datasets) offsets[spec.path] = creation.add(spec);
  for (const AttributeSpec& spec : attributes) creation.add(spec);
  creation.close();
  // The library's close neither syncs nor reserves; see doc/files.md.
  const FileHandle file(path, FileHandle::Mode::write_existing);
  std::int64_t end = file.size();
  for (const DatasetSpec& spec : datasets)
    if (offsets[spec.path] >= 0) end = std::max(end, offsets[spec.path] + bytes_of(spec, path.string()));
  file.allocate(end);
  file.sync();
  return offsets;
}

}  // namespace

std::map<std::string, std::int64_t> create_file(const fs::path& path, const std::vector<DatasetSpec>& datasets,
                                                const std::vector<AttributeSpec>& attributes) {
  initialise();
  if (fs::exists(fs::symlink_status(path))) throw DataError(text(path.string(), ": the file exists and is not overwritten"));
  std::int64_t needed = 0;
  for (const DatasetSpec& spec : datasets) needed += bytes_of(spec, path.string());
  const std::int64_t free = free_bytes(path);
  if (needed > free)
    throw CapacityError(text(path.string(), " needs ", bytes_text(static_cast<double>(needed)), " (", needed, " bytes), but only ",
                             bytes_text(static_cast<double>(free)), " (", free, " bytes) are free there"));
  try {
    return create(path, datasets, attributes);
  } catch (...) {
    std::error_code ignored;
    fs::remove(path, ignored);
    throw;
  }
}

}  // namespace strata::h5
