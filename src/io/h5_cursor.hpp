#pragma once
// Reading the little-endian fields of HDF5's structures, never beyond their end.
#include <cstdint>
#include <string>
#include <string_view>

#include "strata/base/error.hpp"

namespace strata::h5 {

inline constexpr std::uint64_t no_address = ~std::uint64_t{0};  // HDF5's "undefined address"

/// Walks over the bytes of one structure. `what` (file and structure) is for messages.
class Cursor {
 public:
  Cursor(std::string_view bytes, std::string what) : left_(bytes), what_(std::move(what)) {}

  std::string_view take(std::uint64_t bytes) {
    if (bytes > left_.size()) fail("is cut short");
    const std::string_view taken = left_.substr(0, bytes);
    left_.remove_prefix(bytes);
    return taken;
  }
  /// An unsigned number of 1 to 8 bytes.
  std::uint64_t number(std::uint64_t bytes) {
    std::uint64_t value = 0;
    const std::string_view taken = take(bytes);
    for (std::size_t i = taken.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
    return value;
  }
  unsigned byte() { return static_cast<unsigned>(number(1)); }
  std::uint64_t address() { return number(8); }
  /// The next bytes must be these.
  void expect(std::string_view bytes, const char* problem) {
    if (left_.substr(0, bytes.size()) != bytes) fail(problem);
    left_.remove_prefix(bytes.size());
  }
  std::size_t left() const { return left_.size(); }
  [[noreturn]] void fail(const std::string& problem) const {
    throw DataError(what_ + " " + problem + ": the file is damaged, or was made in a way that is not read");
  }

 private:
  std::string_view left_;
  std::string what_;
};

}  // namespace strata::h5
