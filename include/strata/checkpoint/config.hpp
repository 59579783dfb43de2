#pragma once
// Settings of the deck's [checkpoint] section.
#include <cstdint>
#include <string>

namespace strata {

struct CheckpointConfig {
  std::int64_t every = 100;              // [steps]; 0: only at the end
  std::int64_t keep = 3;                 // newest ones kept; 0: all
  std::int64_t keep_best = 1;            // by validation loss, or F1 where answers are scored
  bool asynchronous = true;              // write from a snapshot while training goes on
  bool verify = true;                    // read back against the hashes before the rename
  std::string name = "step_{step:06d}";  // also {epoch}, {loss}
};

}  // namespace strata
