// prepare for SQuAD: every rank reads all, tokenizes its run of contexts with their questions, and all parts are joined in input order.
#include "data/prepare_squad.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "data/feature_layout.hpp"
#include "data/prepare_agree.hpp"
#include "data/squad_reader.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t most_problems = 20;

struct SquadPlan {
  FeatureFileInfo info;
  SquadRules rules;
  const Tokenizer* tokenizer = nullptr;
};

SquadRules rules_of(const PrepareConfig& config) {
  using Misplaced = SquadRules::Misplaced;
  SquadRules rules;
  rules.skip_bad = config.on_error == "skip";
  const std::string& wanted = config.misplaced_answers;
  if (wanted == "on_error")
    rules.misplaced = rules.skip_bad ? Misplaced::skip : Misplaced::stop;
  else if (wanted == "stop" || wanted == "skip")
    rules.misplaced = wanted == "stop" ? Misplaced::stop : Misplaced::skip;
  else if (wanted == "move" || wanted == "keep")
    rules.misplaced = wanted == "move" ? Misplaced::move : Misplaced::keep;
  else
    throw DeckError(text("prepare.misplaced_answers = ", wanted, ": expected on_error, stop, skip, move or keep"));
  return rules;
}

void check(const PrepareConfig& config, const FeatureFileInfo& info) {
  if (config.output.empty()) throw DeckError("prepare.output is not set: expected the name of the feature file to write");
  if (config.on_error != "stop" && config.on_error != "skip")
    throw DeckError(text("prepare.on_error = ", config.on_error, ": expected stop or skip"));
  if (config.split > 0) throw DeckError("prepare.split: SQuAD comes with validation files of its own; prepare train and dev apart");
  if (config.labels != "context" && config.labels != "run_qa")
    throw DeckError(text("prepare.labels = ", config.labels, ": expected context or run_qa"));
  if (info.stride < 0) throw DeckError(text("prepare.stride = ", info.stride, ": expected 0 or a number of tokens"));
  if (info.max_question < 0) throw DeckError(text("prepare.max_question = ", info.max_question, ": expected 0 (never cut) or a number"));
  if (info.sequence < 8) throw DeckError(text("prepare.sequence = ", info.sequence, ": expected at least 8 tokens"));
  if (info.stride + 4 >= info.sequence)
    throw DeckError(text("prepare.stride = ", info.stride, ": expected less than the sequence of ", info.sequence,
                         " tokens (prepare.sequence, ", "else data.sequence) with [CLS], [SEP], [SEP] and a question in it"));
}

SquadPlan make_plan(const PrepareConfig& config, const DataConfig& data, const PrepareTools& tools) {
  if (!tools.tokenizer)
    throw DeckError("prepare.format = squad needs tokenizer.path: a WordPiece vocabulary, as in data/bert-base-uncased");
  SquadPlan plan;
  plan.tokenizer = tools.tokenizer;
  plan.rules = rules_of(config);
  FeatureFileInfo& info = plan.info;
  info.tokenizer_kind = tools.tokenizer->kind(), info.tokenizer_name = tools.tokenizer_name, info.tokenizer_hash = tools.tokenizer->hash();
  info.vocabulary = tools.tokenizer->vocabulary();
  info.sequence = config.sequence > 0 ? config.sequence : data.sequence;
  info.stride = config.stride, info.max_question = config.max_question;
  info.labels = config.labels == "run_qa" ? LabelRule::run_qa : LabelRule::context;
  check(config, info);
  const auto frame = tools.tokenizer->pair_tokens();
  if (!frame)
    throw DataError(text(tools.tokenizer_name, " (", info.tokenizer_kind,
                         "): SQuAD needs a WordPiece tokenizer with [CLS], [SEP] and [PAD]; ",
                         "name a vocab.txt or its folder in tokenizer.path"));
  info.frame = *frame;
  return plan;
}

/// Reads every file on every rank, and compares what was read.
SquadData read_all(Communicator& comm, const std::vector<fs::path>& files, const SquadRules& rules) {
  SquadData squad;
  std::string digests;
  guarded(comm, [&] {
    SquadReader reader(rules);
    for (const fs::path& file : files) {
      const std::string content = whole_content(file);
      digests += hexadecimal(digest_of(content.data(), content.size()));
      reader.add(content, file.string());
    }
    squad = reader.finish();
    if (squad.questions.empty())
      throw DataError(text("the input holds no question: ", squad.counts.paragraphs, " paragraphs were read, ", squad.counts.skipped,
                           " questions left out"));
  });
  const std::vector<std::string> all = all_gather_text(comm, digests);
  for (std::size_t rank = 1; rank < all.size(); ++rank)
    if (all[rank] != all[0])
      throw_error(ExitCode::data,
                  text("rank ", rank, " reads other SQuAD files than rank 0: the input differs between hosts, or is being changed"), true);
  return squad;
}

/// The first question of the contexts that rank `rank` of `ranks` tokenizes; about as many bytes for each.
std::int64_t first_question(const SquadData& squad, int rank, int ranks) {
  std::int64_t total = 0, before = 0;
  for (const std::string& context : squad.contexts) total += static_cast<std::int64_t>(context.size()) + 1;
  std::int64_t last_context = -1;
  for (std::size_t q = 0; q < squad.questions.size(); ++q) {
    if (squad.questions[q].context == last_context) continue;
    last_context = squad.questions[q].context;
    if (before * ranks >= total * rank) return static_cast<std::int64_t>(q);
    before += static_cast<std::int64_t>(squad.contexts[static_cast<std::size_t>(last_context)].size()) + 1;
  }
  return rank == 0 ? 0 : static_cast<std::int64_t>(squad.questions.size());
}

/// What a rank makes of its run of questions. Counts are per context and question.
struct Share {
  std::vector<std::uint32_t> context_tokens, question_tokens;
  std::vector<std::int32_t> context_ranges, context_counts, question_counts, feature_counts, features;
  std::int64_t unlabelled = 0, questions_cut = 0;
  std::string problems;  // lines: number of the question, blank, message
  std::optional<Failure> failure;
};

class ShareMaker {
 public:
  ShareMaker(const SquadPlan& plan, const SquadData& squad) : plan_(plan), squad_(squad) {}

  Share make(std::int64_t first, std::int64_t end) {
    std::int64_t at = first;
    try {
      for (; at < end; ++at) add(at);
    } catch (const std::exception&) {
      share_.failure = current_failure(at);
    }
    return std::move(share_);
  }

 private:
  void add(std::int64_t number) {
    const SquadQuestion& question = squad_.questions[static_cast<std::size_t>(number)];
    if (question.context != context_) begin_context(question.context);
    ids_.clear(), scratch_.clear();
    plan_.tokenizer->encode_with_ranges(without_leading_blanks(question.question), ids_, scratch_);
    if (const auto most = static_cast<std::size_t>(plan_.info.max_question); most > 0 && ids_.size() > most)
      ids_.resize(most), ++share_.questions_cut;
    std::vector<ContextSpan> spans;
    try {
      spans = context_spans(static_cast<std::int64_t>(ids_.size()), tokens(), plan_.info.sequence, plan_.info.stride);
    } catch (const DataError& error) {
      const std::string message = text("question '", question.id, "': ", error.what());
      if (!plan_.rules.skip_bad) throw DataError(message);
      share_.problems += text(number, " ", message, "; question left out\n");
      ids_.clear();
    }
    share_.question_tokens.insert(share_.question_tokens.end(), ids_.begin(), ids_.end());
    share_.question_counts.push_back(static_cast<std::int32_t>(ids_.size()));
    share_.feature_counts.push_back(static_cast<std::int32_t>(spans.size()));
    for (const ContextSpan& span : spans) add_feature(number, question, span);
  }

  void begin_context(std::int64_t number) {
    context_ = number;
    std::vector<TokenId> ids;
    ranges_.clear();
    plan_.tokenizer->encode_with_ranges(squad_.contexts[static_cast<std::size_t>(number)], ids, ranges_);
    share_.context_tokens.insert(share_.context_tokens.end(), ids.begin(), ids.end());
    share_.context_counts.push_back(static_cast<std::int32_t>(ids.size()));
    for (const TextRange& range : ranges_)
      share_.context_ranges.insert(share_.context_ranges.end(),
                                   {static_cast<std::int32_t>(range.first), static_cast<std::int32_t>(range.end)});
  }

  void add_feature(std::int64_t number, const SquadQuestion& question, const ContextSpan& span) {
    LabelledSpan label;
    if (!question.answers.empty()) {
      const SquadAnswer& answer = question.answers[0];
      label = label_span(ranges_, span, static_cast<std::int64_t>(ids_.size()), plan_.info.sequence, answer.start,
                         answer.start + Characters(answer.text).size(), plan_.info.labels);
      share_.unlabelled += label.end == 0;
    }
    for (const std::int64_t value : {number, span.first, span.count, label.start, label.end})
      share_.features.push_back(static_cast<std::int32_t>(value));
  }

  std::int64_t tokens() const { return static_cast<std::int64_t>(ranges_.size()); }

  const SquadPlan& plan_;
  const SquadData& squad_;
  Share share_;
  std::int64_t context_ = -1;
  std::vector<TokenId> ids_;        // of the question
  std::vector<TextRange> scratch_;  // of the question: nobody asks
  std::vector<TextRange> ranges_;   // of the context
};

/// Every rank's elements, end to end, on every rank.
template <class T>
std::vector<T> joined(Communicator& comm, const std::vector<T>& mine) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(comm.size()));
  const auto bytes = static_cast<std::int64_t>(mine.size() * sizeof(T));
  comm.all_gather(&bytes, sizeof bytes, sizes.data());
  std::vector<std::size_t> counts(sizes.begin(), sizes.end());
  std::size_t total = 0;
  for (const std::size_t count : counts) total += count;
  std::vector<T> all(total / sizeof(T));
  comm.all_gather_v(mine.data(), counts, all.data());
  return all;
}

std::vector<std::int64_t> offsets_of(const std::vector<std::int32_t>& counts) {
  std::vector<std::int64_t> offsets{0};
  for (const std::int32_t count : counts) offsets.push_back(offsets.back() + count);
  return offsets;
}

void join_tokens(Communicator& comm, const Share& share, FeatureParts& parts) {
  parts.context_tokens = joined(comm, share.context_tokens);
  parts.context_ranges = joined(comm, share.context_ranges);
  parts.context_starts = offsets_of(joined(comm, share.context_counts));
  parts.question_tokens = joined(comm, share.question_tokens);
  parts.features = joined(comm, share.features);
}

/// Texts and questions, those without features left out and the rest numbered anew.
void put_questions(Communicator& comm, const Share& share, SquadData& squad, FeatureParts& parts) {
  const std::vector<std::int32_t> features = joined(comm, share.feature_counts), lengths = joined(comm, share.question_counts);
  std::vector<std::int32_t> new_number(features.size(), -1), kept_lengths;
  for (std::size_t q = 0; q < features.size(); ++q) {
    const SquadQuestion& question = squad.questions[q];
    if (features[q] == 0) {
      ++squad.counts.skipped, --squad.counts.questions;
      squad.counts.impossible -= question.impossible;
      squad.counts.without_answers -= !question.impossible && question.answers.empty();
      continue;
    }
    new_number[q] = static_cast<std::int32_t>(kept_lengths.size());
    kept_lengths.push_back(lengths[q]);
    parts.question_contexts.push_back(static_cast<std::int32_t>(question.context));
    const std::string line = question_line(question);
    parts.questions.insert(parts.questions.end(), line.begin(), line.end());
  }
  for (std::size_t at = 0; at < parts.features.size(); at += feature_columns)
    parts.features[at] = new_number[static_cast<std::size_t>(parts.features[at])];
  parts.question_starts = offsets_of(kept_lengths);
  parts.contexts.push_back(0);
  for (const std::string& context : squad.contexts) {
    parts.context_text.insert(parts.context_text.end(), context.begin(), context.end());
    parts.contexts.push_back(static_cast<std::int64_t>(parts.context_text.size()));
  }
}

/// Problems of all ranks; their runs of questions follow each other, so this is input order.
void join_problems(Communicator& comm, const Share& share, std::vector<std::string>& problems) {
  for (const std::string& lines : all_gather_text(comm, share.problems))
    for (std::size_t at = 0; at < lines.size() && problems.size() < most_problems;) {
      const std::size_t end = lines.find('\n', at), begin = lines.find(' ', at) + 1;
      problems.push_back(lines.substr(begin, end - begin));
      at = end + 1;
    }
}

void complete(FeatureFileInfo& info, const SquadData& squad, const FeatureParts& parts) {
  info.v2 = squad.v2, info.counts = squad.counts;
  info.contexts = static_cast<std::int64_t>(squad.contexts.size());
  info.questions = squad.counts.questions;
  info.features = static_cast<std::int64_t>(parts.features.size()) / feature_columns;
  info.context_tokens = parts.context_starts.back(), info.question_tokens = parts.question_starts.back();
}

std::string words_of(const FeatureFileInfo& info, const PreparedFile& file, std::int64_t cut, double seconds) {
  const SquadCounts& counts = info.counts;
  std::string result = text("prepared SQuAD ", info.v2 ? "2.0" : "1.1", ": ", counts.articles, " articles, ", info.contexts, " contexts, ",
                            info.questions, " questions -> ", info.features, " features of ", info.sequence, " tokens (stride ",
                            info.stride, ") in ", duration_text(seconds), "\n  ", file.path.string(), ", ",
                            bytes_text(static_cast<double>(file.file_bytes)), ", hash ", file.hash, "\n");
  const auto line = [&](std::int64_t count, const char* what) {
    if (count > 0) result += text("  ", count, " ", what, "\n");
  };
  line(counts.impossible, "questions are marked unanswerable: their features point to [CLS]");
  line(counts.without_answers, "questions have no answers: their features point to [CLS]");
  line(counts.paragraphs_without_questions, "paragraphs have no question and give nothing");
  line(counts.misplaced, "answers are not at their offset (prepare.misplaced_answers)");
  line(counts.moved, "of them were moved to where their text stands");
  line(counts.skipped, "questions were left out");
  line(cut, "questions were cut at prepare.max_question");
  line(info.unlabelled, "features of answered questions do not hold the whole first answer: they point to [CLS]");
  return result;
}

}  // namespace

PrepareSummary prepare_squad(Communicator& comm, const PrepareConfig& config, const DataConfig& data, const PrepareTools& tools) {
  const Stopwatch watch;
  SquadPlan plan;
  guarded(comm, [&] { plan = make_plan(config, data, tools); });
  const std::vector<fs::path> files = agreed_inputs(comm, config.input);
  make_output_folders(comm, {config.output});
  SquadData squad = read_all(comm, files, plan.rules);
  Share share =
      ShareMaker(plan, squad).make(first_question(squad, comm.rank(), comm.size()), first_question(squad, comm.rank() + 1, comm.size()));
  throw_first_failure(comm, share.failure);
  plan.info.unlabelled = comm.all_sum(share.unlabelled);
  const std::int64_t cut = comm.all_sum(share.questions_cut);
  FeatureParts parts;
  join_tokens(comm, share, parts);
  put_questions(comm, share, squad, parts);
  join_problems(comm, share, squad.problems);
  plan.info.sources = hash_sources(comm, files);
  complete(plan.info, squad, parts);
  const std::string sources = sources_text(plan.info.sources);
  parts.sources.assign(sources.begin(), sources.end());
  PreparedFile file;
  file.path = config.output, file.part = "squad", file.documents = plan.info.questions, file.sequences = plan.info.features;
  file.tokens = plan.info.context_tokens + plan.info.question_tokens;
  guarded(comm, [&] {
    if (plan.info.questions == 0) throw DataError("no question is left: every one was left out, see prepare.on_error");
    if (std::max({plan.info.context_tokens, plan.info.question_tokens, plan.info.features}) > INT32_MAX)
      throw CapacityError(text("the input makes ", plan.info.context_tokens, " tokens of contexts, ", plan.info.question_tokens,
                               " of questions and ", plan.info.features,
                               " features; a feature file holds 2147483647 of each: prepare it in parts"));
    if (comm.rank() == 0) std::tie(file.file_bytes, file.hash) = write_feature_file(config.output, plan.info, parts);
  });
  file.hash = broadcast_text(comm, file.hash);
  comm.broadcast(&file.file_bytes, sizeof file.file_bytes, 0);
  PrepareSummary summary;
  summary.documents = plan.info.questions, summary.skipped = squad.counts.skipped, summary.tokens = file.tokens;
  for (const std::string& context : squad.contexts) summary.text_bytes += static_cast<std::int64_t>(context.size());
  summary.problems = squad.problems, summary.seconds = watch.seconds();
  summary.squad = words_of(plan.info, file, cut, summary.seconds);
  summary.files.push_back(std::move(file));
  return summary;
}

}  // namespace strata::data
