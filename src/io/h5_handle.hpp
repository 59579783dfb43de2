#pragma once
// Private to io: owned HDF5 identifiers, the library's own error messages folded into ours, and the type table of the format.
#include <hdf5.h>

#include <string>
#include <utility>

#include "strata/base/dtype.hpp"

namespace strata::h5 {

/// Prepares the library once: no plugins (a file could name a filter to load), no printing of its own.
void initialise();

/// What the library said about the last failure, " (HDF5: ...)", or nothing; clears its error stack.
std::string library_message();

/// Throws DataError: `file`: `what` (HDF5: ...).
[[noreturn]] void fail(const std::string& file, const std::string& what);

/// An owned identifier. Leaking one of 1.10.8 keeps the file open and may crash its exit handler, so none is held bare.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  /// Throws DataError if the library refused (`id` negative).
  Handle(hid_t id, const std::string& file, const std::string& what) : id_(id) {
    if (id_ < 0) fail(file, what);
  }
  ~Handle() {
    if (id_ >= 0) Close(id_);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  operator hid_t() const { return id_; }
  /// Closes now and says whether that worked.
  bool close() { return Close(std::exchange(id_, -1)) >= 0; }
  hid_t release() { return std::exchange(id_, -1); }

 private:
  hid_t id_;
};
using FileId = Handle<H5Fclose>;
using GroupId = Handle<H5Gclose>;
using ObjectId = Handle<H5Oclose>;
using DatasetId = Handle<H5Dclose>;
using SpaceId = Handle<H5Sclose>;
using TypeId = Handle<H5Tclose>;
using PropertyId = Handle<H5Pclose>;
using AttributeId = Handle<H5Aclose>;

/// The type an element has in the file: little-endian, and 2-byte unsigned for the two 16-bit floats HDF5 does not know.
hid_t stored_type(DType type);
/// Whether a dataset of this type needs the attribute dtype to be told apart.
inline bool needs_dtype_attribute(DType type) {
  return type == DType::bf16 || type == DType::f16;
}
inline constexpr const char* dtype_attribute = "dtype";

}  // namespace strata::h5
