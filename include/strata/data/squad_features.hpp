#pragma once
// SQuAD features: a question and a stretch of its context as one row of tokens, with the answer's place in it (semantics S10).
#include <cstdint>
#include <span>
#include <vector>

#include "strata/tokenizer/tokenizer.hpp"

namespace strata {

/// Tokens [first, first + count) of the context.
struct ContextSpan {
  std::int64_t first = 0, count = 0;
  bool operator==(const ContextSpan&) const = default;
};

/// The stretches that a context of `context` tokens is cut into behind a question of `question` tokens, in rows of `sequence` tokens
/// ([CLS] question [SEP] stretch [SEP]): each as long as fits, the next one beginning `stride` tokens before the last one's end. DataError
/// where the question leaves no room, or no more than the stride.
std::vector<ContextSpan> context_spans(std::int64_t question, std::int64_t context, std::int64_t sequence, std::int64_t stride);

/// The rule for an answer that begins in the last token of a stretch.
enum class LabelRule {
  context,  // start is that token
  run_qa    // start = sequence - 1, as Hugging Face's script has it, which walks on over [SEP] and [PAD]
};

/// Positions in the row.
struct LabelledSpan {
  std::int64_t start = 0, end = 0;
  bool operator==(const LabelledSpan&) const = default;
};

/// The row's labels for an answer that covers the characters [first, end) of the context, whose tokens have these ranges: the last token
/// that begins at or before `first`, and the first that ends at or behind `end`; 0 and 0 ([CLS]) where the answer is not wholly inside the
/// stretch, or the stretch has no token.
LabelledSpan label_span(std::span<const TextRange> ranges, const ContextSpan& span, std::int64_t question, std::int64_t sequence,
                        std::int64_t first, std::int64_t end, LabelRule rule);

/// Writes ids and types (0: [CLS] question [SEP], 1: stretch [SEP], 0: padding) of one row, `sequence` each; returns the tokens in use.
std::int64_t fill_row(const PairTokens& frame, std::span<const TokenId> question, std::span<const TokenId> stretch, std::int64_t sequence,
                      std::int32_t* ids, std::int32_t* types);

}  // namespace strata
