// Agreement of ranks during prepare.
#include "data/prepare_agree.hpp"

#include <array>
#include <sstream>
#include <system_error>
#include <vector>

#include "strata/io/file.hpp"

namespace strata::data {
namespace fs = std::filesystem;

void throw_first_failure(Communicator& comm, const std::optional<Failure>& failure) {
  const std::int64_t first = comm.all_min(failure ? failure->record : INT64_MAX);
  if (first == INT64_MAX) return;
  const auto owner = static_cast<int>(comm.all_min(failure && failure->record == first ? comm.rank() : comm.size()));
  const std::string message = broadcast_text(comm, failure ? failure->message : "", owner);
  auto code = static_cast<std::int64_t>(failure ? failure->code : ExitCode::internal);
  comm.broadcast(&code, sizeof code, owner);
  throw_error(static_cast<ExitCode>(code), message, true);
}

std::vector<fs::path> agreed_inputs(Communicator& comm, const std::vector<std::string>& patterns) {
  std::string names;
  guarded(comm, [&] {
    if (comm.rank() != 0) return;
    for (const fs::path& file : expand_inputs(patterns)) names += file.string() + '\0';
  });
  names = broadcast_text(comm, names);
  std::vector<fs::path> files;
  for (std::size_t at = 0; at < names.size(); at = names.find('\0', at) + 1)
    files.emplace_back(names.substr(at, names.find('\0', at) - at));
  return files;
}

std::vector<SourceFile> hash_sources(Communicator& comm, const std::vector<fs::path>& files) {
  std::string mine;
  guarded(comm, [&] {
    for (std::size_t i = static_cast<std::size_t>(comm.rank()); i < files.size(); i += static_cast<std::size_t>(comm.size()))
      mine += text(fs::file_size(files[i]), " ", xxh3_128_of_file(files[i]), "\n");
  });
  const std::vector<std::string> all = all_gather_text(comm, mine);
  std::vector<std::istringstream> lines;
  for (const std::string& part : all) lines.emplace_back(part);
  std::vector<SourceFile> sources;
  for (std::size_t i = 0; i < files.size(); ++i) {
    SourceFile source{files[i].string(), 0, ""};
    lines[i % lines.size()] >> source.bytes >> source.hash;
    sources.push_back(std::move(source));
  }
  return sources;
}

void make_output_folders(Communicator& comm, const std::vector<fs::path>& outputs) {
  guarded(comm, [&] {
    if (comm.rank() != 0) return;
    for (const fs::path& path : outputs) {
      std::error_code error;
      if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
      if (error) throw DataError(text(path.parent_path().string(), ": cannot make the folder: ", error.message()));
      if (fs::is_directory(path)) throw DataError(text(path.string(), ": expected the name of a file to write, found a folder"));
    }
  });
}

void expect_same_input(Communicator& comm, const RecordReader& reader, const Wave& wave) {
  const std::array<std::uint64_t, 3> mine{static_cast<std::uint64_t>(reader.next_number()), reader.fingerprint(),
                                          static_cast<std::uint64_t>(wave.block_count)};
  std::vector<std::array<std::uint64_t, 3>> all(static_cast<std::size_t>(comm.size()));
  comm.all_gather(mine.data(), sizeof mine, all.data());
  for (std::size_t rank = 1; rank < all.size(); ++rank)
    if (all[rank] != all[0])
      throw_error(ExitCode::data,
                  text("rank ", rank, " reads other input than rank 0 (", all[rank][0], " and ", all[0][0],
                       " documents so far): the input files differ between hosts, or are being changed"),
                  true);
}

}  // namespace strata::data
