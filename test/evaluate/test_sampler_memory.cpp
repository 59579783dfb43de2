// The sampler takes no memory after its first call: this program counts every allocation.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "strata/evaluate/sampler.hpp"
#include "strata/tensor/random.hpp"

namespace {
std::atomic<long> allocations{0};
}
// Not inlined: GCC would otherwise pair an inlined free with a new that it did not inline, and warn.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}

namespace strata {
namespace {

std::vector<float> random_logits(std::uint64_t seed, double spread) {
  std::vector<float> logits(151936);
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>(spread * random_normals(seed, RandomPurpose::test, i, 0)[0]);
  return logits;
}

TEST(Sampler, TakesNoMemoryAfterTheFirstCall) {
  const std::vector<float> flat = random_logits(1, 0.1), steep = random_logits(2, 4);
  const std::vector<TokenId> history{3, 4};
  for (const SamplerConfig& config :
       {SamplerConfig{.temperature = 0.7, .top_p = 0.95, .min_p = 0.01, .repetition_penalty = 1.1, .top_k = 50},
        SamplerConfig{.top_p = 0.99}, SamplerConfig{.top_k = 100000}, SamplerConfig{.temperature = 0}}) {
    Sampler sampler(config);
    sampler.sample(steep, history, 0.5);
    const long before = allocations;
    ASSERT_GT(before, 0);

    sampler.sample(flat, history, 0.1);
    sampler.sample(steep, history, 0.9);

    EXPECT_EQ(allocations - before, 0) << "top_p " << config.top_p << ", top_k " << config.top_k;
  }
}

}  // namespace
}  // namespace strata
