#include "strata/comm/stop_agreement.hpp"

#include <algorithm>
#include <numeric>

#include "strata/base/phase.hpp"

namespace strata {

void StopAgreement::hear() {
  while (const std::optional<int> wish = comm_.heard()) known_ = std::max(known_, *wish), ++received_;
}

int StopAgreement::look(int own) {
  hear();
  // Ranks other than 0 tell rank 0 what they wish themselves; rank 0 tells all whatever it knows.
  const int news = comm_.rank() == 0 ? std::max(known_, own) : own;
  known_ = std::max(known_, own);
  if (news == 0 || told_) return known_;
  told_ = true;
  if (comm_.rank() != 0)
    comm_.tell(0, news);
  else
    for (int other = 1; other < comm_.size(); ++other) comm_.tell(other, news);
  return known_;
}

int StopAgreement::decide(int own) {
  const int mine = look(own);
  // Rank 0 passes on what it hears while it waits: the others may have leaves to go.
  known_ = static_cast<int>(comm_.all_max_while(mine, [&] {
    if (comm_.rank() == 0) look(0);
  }));
  if (known_ > 0) settle();
  return known_;
}

// Every message sent is received, so that the communicator can be closed.
void StopAgreement::settle() {
  const char told = told_ ? 1 : 0;
  std::vector<char> all(static_cast<std::size_t>(comm_.size()));
  comm_.all_gather(&told, 1, all.data());
  const int expected = comm_.rank() == 0 ? std::accumulate(all.begin() + 1, all.end(), 0) : all[0];
  const Phase::Wait wait;
  while (received_ < expected) hear();
  comm_.barrier();  // a wish of a later agreement must not be taken for one of this
  received_ = 0, told_ = false;
}

}  // namespace strata
