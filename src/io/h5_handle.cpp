// The library's set-up, its error messages, and the table of types.
#include "io/h5_handle.hpp"

#include <cstdlib>
#include <mutex>

#include "strata/base/error.hpp"

namespace strata::h5 {

void initialise() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::setenv("HDF5_PLUGIN_PRELOAD", "::", 1);  // the library's word for: load no plugins
    H5open();
    H5PLset_loading_state(0);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  });
}

std::string library_message() {
  std::string message;
  // Walking downward goes from the called function to the cause: the last message is the cause.
  const auto keep_last = [](unsigned, const H5E_error2_t* error, void* to) -> herr_t {
    if (error->desc && *error->desc) *static_cast<std::string*>(to) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_last, &message);
  H5Eclear2(H5E_DEFAULT);
  return message.empty() ? message : " (HDF5: " + message + ")";
}

void fail(const std::string& file, const std::string& what) {
  throw DataError(text(file, ": ", what, library_message()));
}

hid_t stored_type(DType type) {
  switch (type) {
    case DType::f64:
      return H5T_IEEE_F64LE;
    case DType::f32:
      return H5T_IEEE_F32LE;
    case DType::bf16:
      return H5T_STD_U16LE;
    case DType::f16:
      return H5T_STD_U16LE;
    case DType::i64:
      return H5T_STD_I64LE;
    case DType::i32:
      return H5T_STD_I32LE;
    case DType::u32:
      return H5T_STD_U32LE;
    case DType::i16:
      return H5T_STD_I16LE;
    case DType::u16:
      return H5T_STD_U16LE;
    case DType::u8:
      return H5T_STD_U8LE;
  }
  throw InternalError("an element type without a place in HDF5 files");
}

}  // namespace strata::h5
