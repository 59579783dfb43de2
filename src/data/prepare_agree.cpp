// Agreement of ranks during prepare.
#include "data/prepare_agree.hpp"

#include <array>
#include <vector>

namespace strata::data {

void throw_first_failure(Communicator& comm, const std::optional<Failure>& failure) {
  const std::int64_t first = comm.all_min(failure ? failure->record : INT64_MAX);
  if (first == INT64_MAX) return;
  const auto owner = static_cast<int>(comm.all_min(failure && failure->record == first ? comm.rank() : comm.size()));
  const std::string message = broadcast_text(comm, failure ? failure->message : "", owner);
  auto code = static_cast<std::int64_t>(failure ? failure->code : ExitCode::internal);
  comm.broadcast(&code, sizeof code, owner);
  throw_error(static_cast<ExitCode>(code), message, true);
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
