#pragma once
// SQuAD: question answering data in the published JSON form, v1.1 and v2.0, checked.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata {

struct SquadAnswer {
  std::string text;
  std::int64_t start = 0;  // [characters] in the context
  bool operator==(const SquadAnswer&) const = default;
};

struct SquadQuestion {
  std::string id, question;
  std::vector<SquadAnswer> answers;  // none: unanswerable, or a test set without answers
  bool impossible = false;           // v2.0's is_impossible
  std::int64_t context = 0;          // index into SquadData::contexts
  bool operator==(const SquadQuestion&) const = default;
};

/// What was read, and what was wrong with it.
struct SquadCounts {
  std::int64_t articles = 0, paragraphs = 0, questions = 0;  // questions: skipped ones left out
  std::int64_t impossible = 0;                               // marked is_impossible
  std::int64_t without_answers = 0;                          // neither answers nor the mark
  std::int64_t paragraphs_without_questions = 0;
  std::int64_t misplaced = 0;  // answers whose text is not at their offset
  std::int64_t moved = 0;      // of those, given another offset
  std::int64_t skipped = 0;    // questions
};

struct SquadData {
  bool v2 = false;                    // some file says so by its version or by is_impossible
  std::vector<std::string> contexts;  // of paragraphs with questions, in input order
  std::vector<SquadQuestion> questions;
  SquadCounts counts;
  std::vector<std::string> problems;  // what was skipped, moved or strange, in input order, the first 20
};

struct SquadRules {
  bool checks = true;     // false: structure only, for scoring
  bool skip_bad = false;  // leave bad questions out; otherwise the first stops
  enum class Misplaced { stop, skip, move, keep } misplaced = Misplaced::stop;
};

/// Reads the files in order; .gz and .zst too. Damaged JSON, and a structure that is not SQuAD's, are DataErrors that name file and place
/// (data[3].paragraphs[0].qas[2], with the question's id). With checks, bad questions - empty ones, an id that came before, is_impossible
/// with answers, misplaced answers - stop or are skipped as the rules say. move: to the occurrence of the text nearest to the offset; a
/// text that is not in the context is a bad question. keep: the offset counts, as in Hugging Face's script. Local.
SquadData read_squad(const std::vector<std::filesystem::path>& files, const SquadRules& rules);

}  // namespace strata
