// Facts of a dataset for the log before the first step.
#include <algorithm>

#include "strata/base/error.hpp"
#include "strata/data/loader.hpp"
#include "strata/tokenizer/tokenizer.hpp"

namespace strata {
namespace {

/// Borders between documents inside samples: starts that are no sample's first token.
std::int64_t borders(const TokenSamples& samples) {
  const std::int64_t end = samples.samples() * samples.sequence();
  constexpr std::int64_t stretch = std::int64_t{1} << 24;  // [tokens] whose documents are in memory at once
  std::int64_t count = 0;
  for (std::int64_t first = 0; first < end; first += stretch)
    for (const std::int64_t start : samples.file().starts_between(first - 1, std::min(end, first + stretch)))
      if (start % samples.sequence() != 0) ++count;
  return count;
}

}  // namespace

DatasetFacts dataset_facts(const TokenSamples& samples, std::int64_t global_batch) {
  const TokenFileInfo& info = samples.file().info();
  DatasetFacts facts;
  facts.samples = samples.samples();
  facts.steps = static_cast<double>(facts.samples) / static_cast<double>(std::max<std::int64_t>(1, global_batch));
  facts.tokens = facts.samples * samples.sequence();
  facts.unused_tokens = info.tokens - facts.tokens;
  facts.separator_tokens = info.separator_tokens, facts.padding_tokens = info.padding_tokens;
  facts.text_tokens = info.tokens - info.separator_tokens - info.padding_tokens;
  facts.counted = facts.tokens - facts.padding_tokens - facts.samples - (samples.mask_documents() ? borders(samples) : 0);
  return facts;
}

std::string facts_text(const DatasetFacts& facts) {
  std::string result = text(facts.samples, " sequences of ", facts.samples > 0 ? facts.tokens / facts.samples : 0, " tokens, ", facts.steps,
                            " steps per epoch; ", facts.counted, " labels count; tokens: ", facts.text_tokens, " text, ",
                            facts.separator_tokens, " separators, ", facts.padding_tokens, " padding");
  if (facts.unused_tokens > 0) result += text("; the last ", facts.unused_tokens, " fill no sequence and are not used");
  return result;
}

std::string decoded_sample(const TokenSamples& samples, std::int64_t sample, const Tokenizer& tokenizer, std::int64_t most_tokens) {
  const auto size = static_cast<std::size_t>(samples.sequence());
  std::vector<std::int32_t> inputs(size), labels(size), first_key(size);
  samples.read(sample, inputs.data(), labels.data(), first_key.data());
  std::int64_t used = samples.sequence();
  if (samples.file().info().pack == "documents") used = samples.file().used(sample);
  const std::vector<TokenId> ids(inputs.begin(), inputs.begin() + std::min(used, most_tokens));
  return tokenizer.decode(ids);
}

}  // namespace strata
