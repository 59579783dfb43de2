// Rows of question and context, as Hugging Face's run_qa makes them.
#include "strata/data/squad_features.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {

std::vector<ContextSpan> context_spans(std::int64_t question, std::int64_t context, std::int64_t sequence, std::int64_t stride) {
  constexpr std::int64_t frame = 3;  // [CLS], [SEP], [SEP]
  const std::int64_t room = sequence - frame - question;
  if (context <= room) return {{0, context}};
  if (room <= 0)
    throw DataError(text("the question has ", question, " tokens, which leave no room for the context in sequences of ", sequence,
                         ": raise prepare.sequence, or cut questions with prepare.max_question"));
  if (room <= stride)
    throw DataError(text("the question has ", question, " tokens and leaves ", room, " of a sequence of ", sequence,
                         " for the context, no more than prepare.stride = ", stride,
                         ", so that the next stretch would not advance: lower the stride, raise prepare.sequence, or cut questions with ",
                         "prepare.max_question"));
  std::vector<ContextSpan> spans;
  for (std::int64_t first = 0;; first += room - stride) {
    spans.push_back({first, std::min(room, context - first)});
    if (first + room >= context) return spans;
  }
}

LabelledSpan label_span(std::span<const TextRange> ranges, const ContextSpan& span, std::int64_t question, std::int64_t sequence,
                        std::int64_t first, std::int64_t end, LabelRule rule) {
  const auto inside = ranges.subspan(static_cast<std::size_t>(span.first), static_cast<std::size_t>(span.count));
  if (inside.empty() || inside.front().first > first || inside.back().end < end) return {};
  const std::int64_t begin = question + 2;  // of the stretch in the row
  // The first token behind `first`, and the last one before `end`: ranges need not rise where marks were reordered, so walk as the script.
  std::size_t start = 0, stop = inside.size();
  while (start < inside.size() && inside[start].first <= first) ++start;
  while (stop > 0 && inside[stop - 1].end >= end) --stop;
  const bool walks_on = start == inside.size() && rule == LabelRule::run_qa;
  return {walks_on ? sequence - 1 : begin + static_cast<std::int64_t>(start) - 1, begin + static_cast<std::int64_t>(stop)};
}

std::int64_t fill_row(const PairTokens& frame, std::span<const TokenId> question, std::span<const TokenId> stretch, std::int64_t sequence,
                      std::int32_t* ids, std::int32_t* types) {
  const auto used = static_cast<std::int64_t>(question.size() + stretch.size()) + 3;
  STRATA_ASSERT(used <= sequence, used, " tokens in a row of ", sequence);
  std::int32_t* at = ids;
  *at++ = static_cast<std::int32_t>(frame.cls);
  at = std::copy(question.begin(), question.end(), at);
  *at++ = static_cast<std::int32_t>(frame.sep);
  const auto behind_question = at - ids;
  at = std::copy(stretch.begin(), stretch.end(), at);
  *at++ = static_cast<std::int32_t>(frame.sep);
  std::fill(at, ids + sequence, static_cast<std::int32_t>(frame.pad));
  std::fill(types, types + behind_question, 0);
  std::fill(types + behind_question, types + used, 1);
  std::fill(types + used, types + sequence, 0);
  return used;
}

}  // namespace strata
