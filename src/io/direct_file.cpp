// Transfers past the page cache, in whole pages.
#include "strata/io/direct_file.hpp"

#include "strata/io/in_flight.hpp"

namespace strata {

DirectFile::DirectFile(const std::filesystem::path& path, FileHandle::Mode mode)
    : cached_(path, mode), direct_(path, mode), bypasses_(direct_.bypass_cache()) {}

std::int64_t DirectFile::whole_pages(std::int64_t bytes, std::int64_t offset) const {
  return bypasses_ && offset % transfer_alignment == 0 ? bytes / transfer_alignment * transfer_alignment : 0;
}

void DirectFile::read_at(std::byte* to, std::int64_t bytes, std::int64_t offset) const {
  const std::int64_t whole = whole_pages(bytes, offset);
  if (whole > 0) direct_.read_at(to, static_cast<std::size_t>(whole), offset);
  if (whole < bytes) cached_.read_at(to + whole, static_cast<std::size_t>(bytes - whole), offset + whole);
}

void DirectFile::write_at(const std::byte* from, std::int64_t bytes, std::int64_t offset) const {
  const std::int64_t whole = whole_pages(bytes, offset);
  if (whole > 0) direct_.write_at(from, static_cast<std::size_t>(whole), offset);
  if (whole < bytes) cached_.write_at(from + whole, static_cast<std::size_t>(bytes - whole), offset + whole);
}

}  // namespace strata
