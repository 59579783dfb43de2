#pragma once
// Private to io: the JSON header of a safetensors file, parsed under the format's rules or made.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "strata/io/file.hpp"
#include "strata/io/safetensors.hpp"

namespace strata {

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> tensors;  // offsets are in the file, not in its data part
  std::map<std::string, std::string> metadata;
};

/// Reads and checks the header of an open file. Throws DataError naming file and tensor.
SafetensorsHeader read_safetensors_header(const FileHandle& file);

/// The first bytes of a file with these tensors: length, JSON, spaces up to a multiple of 8. Fills the entries' offsets.
std::string make_safetensors_header(std::vector<std::pair<std::string, SafetensorsEntry>>& ordered,
                                    const std::map<std::string, std::string>& metadata);

/// The file of each tensor, from model.safetensors.index.json. Throws DataError.
std::map<std::string, std::string> read_safetensors_index(const std::filesystem::path& path);

/// The format's word for an element type ("BF16"), and its place in the reference implementation's order.
const char* safetensors_name(DType type);
int safetensors_order(DType type);

}  // namespace strata
