// Tokenizer throughput on one core: bench_tokenizer TOKENIZER TEXT_FILE [rounds]. Prints million tokens per second, whole text and line by
// line.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "strata/io/file.hpp"
#include "strata/tokenizer/tokenizer.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void report(const char* what, std::size_t tokens, std::size_t bytes, double seconds) {
  std::printf("%-14s %10zu tokens  %8.3f s  %7.2f M tokens/s  %7.1f MB/s\n", what, tokens, seconds,
              static_cast<double>(tokens) / seconds / 1e6, static_cast<double>(bytes) / seconds / 1e6);
}

void measure(const strata::Tokenizer& tokenizer, const std::string& content) {
  std::vector<strata::TokenId> ids;
  ids.reserve(content.size());
  auto start = Clock::now();
  tokenizer.encode_to(content, ids);
  report("whole", ids.size(), content.size(), seconds_since(start));
  ids.clear();
  start = Clock::now();
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t stop = std::min(content.find('\n', at), content.size() - 1) + 1;
    tokenizer.encode_to(std::string_view(content).substr(at, stop - at), ids);
    at = stop;
  }
  report("lines", ids.size(), content.size(), seconds_since(start));
  start = Clock::now();
  const std::size_t decoded = tokenizer.decode(ids).size();
  report("decode", ids.size(), decoded, seconds_since(start));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_tokenizer TOKENIZER TEXT_FILE [rounds]\n");
    return 2;
  }
  const auto start = Clock::now();
  const auto tokenizer = strata::load_tokenizer(argv[1]);
  std::printf("loaded in %.3f s, hash %s\n", seconds_since(start), tokenizer->hash().c_str());
  const std::string content = strata::read_text(argv[2]);
  const int rounds = argc > 3 ? std::stoi(argv[3]) : 3;
  for (int round = 0; round < rounds; ++round) measure(*tokenizer, content);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_tokenizer: %s\n", error.what());
  return 3;
}
