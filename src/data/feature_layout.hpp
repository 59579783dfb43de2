#pragma once
// Feature layout: names, attributes and contents of a feature file, shared by writer and reader.
#include <cstdint>
#include <string>
#include <vector>

#include "data/token_layout.hpp"
#include "strata/data/feature_file.hpp"

namespace strata::data {

inline constexpr const char* feature_format_name = "strata features";
inline constexpr std::int64_t feature_format_version = 1;
inline constexpr std::int64_t feature_columns = 5;  // question, first token of the context, tokens of it, start, end

/// Everything of a feature file but its attributes, as it is stored.
struct FeatureParts {
  std::vector<char> context_text;               // all contexts end to end
  std::vector<std::int64_t> contexts;           // [bytes] where each begins, and the end
  std::vector<std::uint32_t> context_tokens;    // ids of all contexts
  std::vector<std::int32_t> context_ranges;     // first and end character of each
  std::vector<std::int64_t> context_starts;     // [tokens] where each context begins, and the end
  std::vector<std::uint32_t> question_tokens;   // ids of all questions
  std::vector<std::int64_t> question_starts;    // [tokens]
  std::vector<std::int32_t> question_contexts;  // the context of each question
  std::vector<char> questions;                  // JSON lines: id, question, answers, is_impossible
  std::vector<std::int32_t> features;           // feature_columns each
  std::vector<char> sources;                    // JSON lines
};

/// A dataset: its name and type, and its elements in memory (ids are stored in `type`).
struct FeaturePart {
  std::string name;
  DType type;
  const void* data;
  std::int64_t elements;
  bool ids = false;  // kept as u32 in memory
  bool in_hash = true;
  LayoutPart layout() const { return {name, type, elements, in_hash}; }
};

/// All datasets but the checksums, in the order they are written.
std::vector<FeaturePart> feature_parts(const FeatureFileInfo& info, const FeatureParts& parts);
/// Root attributes and back.
std::vector<h5::AttributeSpec> feature_attributes(const FeatureFileInfo& info);
FeatureFileInfo feature_info_from(const h5::File& file);
/// Over what decides the meaning of the rows and the digests of the parts in the hash, in order.
Digest feature_digest(const FeatureFileInfo& info, const std::vector<Digest>& digests);
/// A question as a line of /questions, and all lines back. The context is not in it.
std::string question_line(const SquadQuestion& question);
std::vector<SquadQuestion> questions_from(const std::vector<char>& lines);

/// Writes the file under a temporary name with its checksums, syncs it and renames it. Returns its size [bytes] and hash. Local: one rank.
std::pair<std::int64_t, std::string> write_feature_file(const std::filesystem::path& path, const FeatureFileInfo& info,
                                                        const FeatureParts& parts);

}  // namespace strata::data
