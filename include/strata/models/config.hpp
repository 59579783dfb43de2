#pragma once
// Settings of the deck's [model] section.
#include <string>

namespace strata {

struct ModelConfig {
  std::string config;              // config.json or the folder that holds it
  std::string weights = "random";  // Hugging Face folder | checkpoint | random
};

}  // namespace strata
