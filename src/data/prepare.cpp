// prepare: rounds of reading and tokenizing, then one packing pass for each output.
#include "strata/data/prepare.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <future>
#include <memory>
#include <optional>

#include "data/prepare_agree.hpp"
#include "data/prepare_pack.hpp"
#include "data/prepare_squad.hpp"
#include "strata/base/clock.hpp"
#include "strata/device/thread_pool.hpp"

namespace strata {
namespace fs = std::filesystem;
using namespace data;
namespace {

/// Settings resolved: what every document and file needs to know.
struct Plan {
  PrepareConfig config;
  PrepareTools tools;
  RecordRules records;
  PackMode mode = PackMode::stream;
  std::int64_t sequence = 0;
  std::int64_t vocabulary = 0;
  std::string separator = "none";
  std::int64_t separator_id = -1;
  bool separator_before = false;
};

void resolve_vocabulary(Plan& plan) {
  const bool ids = plan.config.format == "ids";
  if (!plan.tools.tokenizer && !ids) throw DeckError(text("prepare.format = ", plan.config.format, " needs tokenizer.path"));
  plan.vocabulary = plan.tools.tokenizer ? plan.tools.tokenizer->vocabulary() : plan.config.vocabulary;
  if (ids && plan.tools.tokenizer) plan.vocabulary = std::max(plan.vocabulary, plan.config.vocabulary);  // a model's may be padded
  if (plan.vocabulary < 1 || plan.vocabulary > INT32_MAX)
    throw DeckError(
        text("prepare.format = ids needs the size of the vocabulary: set tokenizer.path, model.config or prepare.vocabulary (found ",
             plan.vocabulary, ")"));
}

/// The separator's id where there is no tokenizer to ask: a number.
std::int64_t separator_number(const std::string& separator, std::int64_t vocabulary) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(separator.data(), separator.data() + separator.size(), id);
  if (error != std::errc() || end != separator.data() + separator.size() || id < 0 || id >= vocabulary)
    throw DeckError(
        text("prepare.separator = ", separator, ": without tokenizer.path expected none or a token id from 0 to ", vocabulary - 1));
  return id;
}

void resolve_separator(Plan& plan) {
  const std::string& wanted = plan.config.separator;
  const Tokenizer* tokenizer = plan.tools.tokenizer;
  if (wanted == "none") return;
  plan.separator = wanted;
  if (!tokenizer) {
    plan.separator_id = separator_number(wanted, plan.vocabulary);
    return;
  }
  const std::optional<TokenId> id = wanted == "eos" ? tokenizer->eos() : wanted == "bos" ? tokenizer->bos() : tokenizer->id_of(wanted);
  if (!id)
    throw DeckError(text("prepare.separator = ", wanted, ": the tokenizer ", plan.tools.tokenizer_name,
                         " has no such token; name one, as in \"<|endoftext|>\", or set none"));
  plan.separator_id = *id, plan.separator = tokenizer->token_of(*id), plan.separator_before = wanted == "bos";
}

Plan make_plan(const PrepareConfig& config, const DataConfig& data, const PrepareTools& tools) {
  Plan plan{config, tools, record_rules(config.format, config.documents)};
  plan.mode = pack_mode(config.pack);
  if (plan.mode != PackMode::stream) plan.sequence = config.sequence > 0 ? config.sequence : data.sequence;
  if (plan.mode != PackMode::stream && plan.sequence < 2)
    throw DeckError(text("prepare.sequence = ", plan.sequence, ": expected at least 2 tokens"));
  if (config.on_error != "stop" && config.on_error != "skip")
    throw DeckError(text("prepare.on_error = ", config.on_error, ": expected stop or skip"));
  const auto known = {"on_error", "stop", "skip", "replace"};
  if (std::find(known.begin(), known.end(), config.invalid_utf8) == known.end())
    throw DeckError(text("prepare.invalid_utf8 = ", config.invalid_utf8, ": expected on_error, stop, skip or replace"));
  if (config.normalise != "none" && config.normalise != "nfc")
    throw DeckError(text("prepare.normalise = ", config.normalise, ": expected none or nfc"));
  if (config.truncate < 0) throw DeckError(text("prepare.truncate = ", config.truncate, ": expected 0 (never) or a number of tokens"));
  if (config.output.empty()) throw DeckError("prepare.output is not set: expected the name of the token file to write");
  if (config.split > 0 && validation_path(config) == fs::path(config.output))
    throw DeckError("prepare.validation_output and prepare.output name the same file");
  resolve_vocabulary(plan);
  resolve_separator(plan);
  return plan;
}

/// The first rounds of prepare: all documents as ids in the stores.
class Tokenizing {
 public:
  Tokenizing(Communicator& comm, const Plan& plan, std::vector<fs::path> files)
      : comm_(comm),
        plan_(plan),
        reader_(std::move(files), plan.records),
        split_(plan.config.split, plan.tools.seed),
        pool_(std::max(1, plan.tools.threads)) {
    rules_ = {&plan.config, plan.tools.tokenizer, &split_, plan.vocabulary, plan.separator_id, plan.separator_before};
    guarded(comm_, [&] {
      // Both files lie in folders that rank 0 has made before.
      stores_[0] = std::make_unique<IdStore>(plan_.config.output, token_type(plan_.vocabulary));
      if (plan_.config.split > 0) stores_[1] = std::make_unique<IdStore>(validation_path(plan_.config), token_type(plan_.vocabulary));
    });
  }

  void run() {
    // The next round is read while this one is tokenized.
    Wave wave = read_wave(reader_, comm_.rank(), comm_.size());
    while (true) {
      // A round whose reading failed is still tokenized: a bad document before that place is the first error.
      const bool failed = comm_.all_max(wave.failure ? 1 : 0) != 0;
      if (!failed) expect_same_input(comm_, reader_, wave);
      const double share = reader_.progress();
      std::future<Wave> next;
      if (!wave.last && !failed) next = std::async(std::launch::async, [&] { return read_wave(reader_, comm_.rank(), comm_.size()); });
      tokenize(wave, share);
      if (wave.last) break;
      wave = next.get();
    }
    gather_problems();
  }

  const IdStore& store(std::size_t side) const { return *stores_[side]; }
  std::int64_t blocks() const { return blocks_; }
  const PrepareSummary& summary() const { return summary_; }

 private:
  void tokenize(const Wave& wave, double share) {
    std::vector<BlockIds> results(wave.blocks.size());
    pool_.run(static_cast<std::int64_t>(results.size()), [&](std::int64_t task, int) {
      const auto i = static_cast<std::size_t>(task);
      results[i] = make_ids(wave.blocks[i], reader_, rules_);
    });
    std::optional<Failure> failure = wave.failure;
    for (const BlockIds& result : results)
      if (result.failure && (!failure || result.failure->record < failure->record)) failure = result.failure;
    throw_first_failure(comm_, failure);
    guarded(comm_, [&] {
      for (const BlockIds& result : results) append(result);
    });
    blocks_ += wave.block_count;
    report(results, share);
  }

  void append(const BlockIds& result) {
    for (std::size_t side = 0; side < 2; ++side)
      if (stores_[side]) stores_[side]->append(result.ids[side], result.lengths[side]);
  }

  /// Adds the round to the totals of all ranks.
  void report(const std::vector<BlockIds>& results, double share) {
    std::array<std::int64_t, 5> mine{};  // documents, skipped, text bytes, tokens, repaired
    for (const BlockIds& result : results) {
      mine[0] += static_cast<std::int64_t>(result.lengths[0].size() + result.lengths[1].size());
      mine[1] += result.skipped_count;
      mine[2] += result.text_bytes;
      mine[3] += static_cast<std::int64_t>(result.ids[0].size() + result.ids[1].size());
      mine[4] += result.repaired_count;
      for (const Noted& noted : result.noted)
        if (noted_.size() < most_problems) noted_.push_back(noted);
    }
    std::vector<std::array<std::int64_t, 5>> all(static_cast<std::size_t>(comm_.size()));
    comm_.all_gather(mine.data(), sizeof mine, all.data());
    for (const auto& counts : all)
      summary_.documents += counts[0], summary_.skipped += counts[1], summary_.text_bytes += counts[2], summary_.tokens += counts[3],
          summary_.repaired += counts[4];
    if (plan_.tools.progress)
      plan_.tools.progress({share, summary_.documents, summary_.tokens, summary_.text_bytes, summary_.skipped, watch_.seconds()});
  }

  /// The first problems of all ranks in input order.
  void gather_problems() {
    std::string mine;
    for (const Noted& noted : noted_) mine += text(std::to_string(noted.record), " ", noted.message) + '\0';
    std::vector<Noted> all;
    for (const std::string& part : all_gather_text(comm_, mine))
      for (std::size_t at = 0; at < part.size(); at = part.find('\0', at) + 1) {
        const std::size_t blank = part.find(' ', at);
        all.push_back({std::stoll(part.substr(at, blank - at)), part.substr(blank + 1, part.find('\0', at) - blank - 1)});
      }
    std::sort(all.begin(), all.end(), [](const Noted& a, const Noted& b) { return a.record < b.record; });
    for (const Noted& noted : all)
      if (summary_.problems.size() < most_problems) summary_.problems.push_back(noted.message);
  }

  static constexpr std::size_t most_problems = 20;
  Communicator& comm_;
  const Plan& plan_;
  RecordReader reader_;
  Split split_;
  ThreadPool pool_;
  IdRules rules_;
  std::array<std::unique_ptr<IdStore>, 2> stores_;
  std::int64_t blocks_ = 0;
  std::vector<Noted> noted_;
  PrepareSummary summary_;
  Stopwatch watch_;
};

TokenFileInfo file_info(const Plan& plan, const PackedSize& size, const std::vector<SourceFile>& sources, const std::string& part) {
  TokenFileInfo info;
  const Tokenizer* tokenizer = plan.tools.tokenizer;
  info.tokenizer_kind = tokenizer ? tokenizer->kind() : "none", info.tokenizer_name = plan.tools.tokenizer_name,
  info.tokenizer_hash = tokenizer ? tokenizer->hash() : "";
  info.vocabulary = plan.vocabulary;
  info.separator = plan.separator, info.separator_id = plan.separator_id;
  info.separator_place = plan.separator_id < 0 ? "none" : plan.separator_before ? "before" : "after";
  info.pack = plan.config.pack, info.wrap = plan.config.wrap, info.sequence = plan.sequence, info.truncate = plan.config.truncate;
  if (plan.mode == PackMode::documents) info.padding_id = std::max<std::int64_t>(0, plan.separator_id);
  info.part = part, info.split = plan.config.split, info.split_seed = plan.tools.seed;
  info.format = plan.config.format, info.documents_by = plan.config.format == "text" ? plan.config.documents : "line",
  info.normalise = plan.config.normalise;
  info.tokens = size.tokens, info.documents = size.entries, info.sources = sources;
  return info;
}

void expect_tokens(const Plan& plan, const PackedSize& size, const PrepareSummary& summary, const std::string& part) {
  if (size.tokens > 0) return;
  if (plan.mode == PackMode::concat && size.source_tokens > 0)
    throw DataError(text("the ", part, " share has ", size.source_tokens, " tokens, which fill no sequence of ", plan.sequence,
                         ": give more input or a shorter prepare.sequence"));
  if (plan.config.split > 0 && size.documents == 0)
    throw DataError(
        text("prepare.split = ", plan.config.split, " leaves no document for ", part, ": the input has ", summary.documents, " documents"));
  throw DataError(
      text("the input holds no tokens for ", part, ": ", summary.documents, " documents were read, ", summary.skipped, " skipped"));
}

/// A finished file under its temporary name.
struct Output {
  std::unique_ptr<TokenWriter> writer;
  PreparedFile file;
};

Output write_output(Communicator& comm, const Plan& plan, const Tokenizing& tokenizing, const std::vector<SourceFile>& sources,
                    std::size_t side) {
  const std::string part = side == 0 ? "train" : "validation";
  const fs::path path = side == 0 ? fs::path(plan.config.output) : validation_path(plan.config);
  const PackedSize size = measure_packing(comm, tokenizing.store(side), tokenizing.blocks(), plan.mode, plan.sequence, plan.config.wrap);
  guarded(comm, [&] { expect_tokens(plan, size, tokenizing.summary(), part); });
  const TokenFileInfo info = file_info(plan, size, sources, part);
  Output output{std::make_unique<TokenWriter>(comm, path, info), {}};
  write_packed(comm, tokenizing.store(side), tokenizing.blocks(), plan.mode, info, *output.writer);
  output.writer->finish(size.padding);
  PreparedFile& file = output.file;
  file = {path,
          part,
          size.documents,
          size.tokens,
          plan.sequence > 0 ? size.tokens / plan.sequence : 0,
          output.writer->separator_tokens(),
          size.padding,
          0,
          output.writer->file_bytes(),
          output.writer->hash()};
  if (plan.mode == PackMode::concat) file.dropped_tokens = size.source_tokens - size.tokens;
  return output;
}

}  // namespace

fs::path validation_path(const PrepareConfig& config) {
  if (!config.validation_output.empty()) return config.validation_output;
  const fs::path output = config.output;
  return output.parent_path() / (output.stem().string() + "-valid" + output.extension().string());
}

PrepareSummary prepare(Communicator& comm, const PrepareConfig& config, const DataConfig& data, const PrepareTools& tools) {
  if (config.format == "squad") return prepare_squad(comm, config, data, tools);
  const Stopwatch watch;
  std::optional<Plan> made;
  guarded(comm, [&] { made = make_plan(config, data, tools); });
  const Plan& plan = *made;
  const std::vector<fs::path> files = agreed_inputs(comm, config.input);
  make_output_folders(comm, {config.output, validation_path(config)});
  Tokenizing tokenizing(comm, plan, files);
  tokenizing.run();
  const std::vector<SourceFile> sources = hash_sources(comm, files);
  std::vector<Output> outputs;
  for (std::size_t side = 0; side < (config.split > 0 ? 2u : 1u); ++side)
    outputs.push_back(write_output(comm, plan, tokenizing, sources, side));
  // Both files are whole on disk before the first gets its name.
  for (auto output = outputs.rbegin(); output != outputs.rend(); ++output) output->writer->commit();
  PrepareSummary summary = tokenizing.summary();
  for (const Output& output : outputs) summary.files.push_back(output.file);
  summary.seconds = watch.seconds();
  return summary;
}

std::string summary_text(const PrepareSummary& summary) {
  if (!summary.squad.empty()) return summary.squad;
  std::string result =
      text("prepared ", summary.documents, " documents, ", summary.tokens, " tokens from ",
           bytes_text(static_cast<double>(summary.text_bytes)), " of text (", summary.bytes_per_token(), " bytes per token) in ",
           duration_text(summary.seconds), ", ", static_cast<std::int64_t>(summary.tokens_per_second()), " tok/s\n");
  for (const PreparedFile& file : summary.files) {
    result += text("  ", file.part, ": ", file.path.string(), ", ", bytes_text(static_cast<double>(file.file_bytes)), ", ", file.documents,
                   " documents, ", file.tokens, " tokens");
    if (file.sequences > 0) result += text(" in ", file.sequences, " sequences");
    if (file.padding_tokens > 0) result += text(", ", file.padding_tokens, " of them padding");
    if (file.dropped_tokens > 0) result += text(", ", file.dropped_tokens, " dropped by packing");
    result += text(", hash ", file.hash, "\n");
  }
  if (summary.repaired > 0) result += text("  replaced what is not UTF-8 in ", summary.repaired, " documents:\n");
  if (summary.skipped > 0) result += text("  skipped ", summary.skipped, " bad documents:\n");
  for (const std::string& problem : summary.problems) result += "    " + problem + "\n";
  return result;
}

}  // namespace strata
