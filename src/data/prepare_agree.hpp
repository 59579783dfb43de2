#pragma once
// Agreement of ranks during prepare: on the first failure in input order, and on having read the same input.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/block.hpp"
#include "strata/comm/communicator.hpp"
#include "strata/data/token_file.hpp"

namespace strata::data {

/// If any rank failed, throws the failure with the lowest record number on every rank (of equal ones the lowest rank's). Collective over
/// `comm`.
void throw_first_failure(Communicator& comm, const std::optional<Failure>& failure);

/// Rank 0's list of the files that the patterns name, on every rank. Collective.
std::vector<std::filesystem::path> agreed_inputs(Communicator& comm, const std::vector<std::string>& patterns);
/// Sizes and hashes of the files, dealt over ranks. Collective.
std::vector<SourceFile> hash_sources(Communicator& comm, const std::vector<std::filesystem::path>& files);
/// Rank 0 makes the folders of the files to write; a folder in a file's place is a DataError. Collective.
void make_output_folders(Communicator& comm, const std::vector<std::filesystem::path>& outputs);

/// Throws DataError on every rank if one has read something else than rank 0: a file that differs between hosts, or changes meanwhile.
/// Collective.
void expect_same_input(Communicator& comm, const RecordReader& reader, const Wave& wave);

}  // namespace strata::data
