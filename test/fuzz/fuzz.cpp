// The fuzz targets' common parts.
#include "fuzz/fuzz.hpp"

#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace strata::fuzz {
namespace fs = std::filesystem;
namespace {

/// Removed by the process that made it only: the driver's children share it.
struct Scratch {
  Scratch() {
    std::string name = (fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) / "strata-fuzz-XXXXXX";
    if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    if (::getpid() == owner) fs::remove_all(path, ignored);
  }
  fs::path path;
  pid_t owner = ::getpid();
};

}  // namespace

void only(ExitCode allowed, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() != allowed) throw;
    if (std::string(error.what()).empty()) throw std::runtime_error("an error without a message");
  }
}

const fs::path& scratch_folder() {
  static const Scratch scratch;
  return scratch.path;
}

fs::path scratch_file(const std::string& name, const void* bytes, std::size_t size) {
  const fs::path path = scratch_folder() / name;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
  return path;
}

fs::path scratch_file(const std::string& name, const std::string& bytes) {
  return scratch_file(name, bytes.data(), bytes.size());
}

std::string as_text(const std::uint8_t* bytes, std::size_t size) {
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

}  // namespace strata::fuzz
