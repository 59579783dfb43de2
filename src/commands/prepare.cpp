// strata prepare: text into token files, after training a vocabulary where the deck asks for it.
#include "strata/data/prepare.hpp"

#include <cstdio>

#include "commands/model_source.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/data/token_file.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {
namespace fs = std::filesystem;

// Rank 0 trains; the others wait for the file.
void train_vocabulary(const Session& session) {
  const Settings& s = session.settings();
  const Stopwatch watch;
  guarded(session.comm, [&] {
    if (session.comm.rank() != 0) return;
    log_info(text("Training a ", s.tokenizer.kind, " vocabulary of ", s.tokenizer.vocabulary, " pieces on the input"));
    const std::string model = train_sentencepiece(s.tokenizer, sample_sentences(s.prepare, s.run.seed));
    const fs::path path = s.tokenizer.path;
    make_folders(fs::absolute(path).parent_path());
    write_text_atomically(path, model);
    log_info(text("Vocabulary written to ", path.string(), " in ", duration_text(watch.seconds())));
  });
}

// Format ids needs no tokenizer: the vocabulary then comes from the deck or the model.
bool needs_tokenizer(const Settings& s) {
  return s.prepare.format != "ids" || !s.tokenizer.path.empty();
}

PrepareConfig with_vocabulary(const Settings& s) {
  PrepareConfig config = s.prepare;
  if (config.format == "ids" && config.vocabulary == 0 && s.tokenizer.path.empty() && !s.model.config.empty())
    config.vocabulary = make_model(s.model.config)->vocabulary();
  return config;
}

}  // namespace

int run_prepare(Session& session) {
  const Settings& s = session.settings();
  if (s.tokenizer.train) train_vocabulary(session);
  std::unique_ptr<Tokenizer> tokenizer;
  PrepareConfig config;
  guarded(session.comm, [&] {
    if (needs_tokenizer(s)) tokenizer = tokenizer_of(session);
    config = with_vocabulary(s);
  });
  double shown = 0;
  const bool moving = shows_progress(session);
  PrepareTools tools;
  tools.tokenizer = tokenizer.get();
  tools.tokenizer_name = s.tokenizer.path;
  tools.seed = s.run.seed;
  tools.threads = threads_of(session);
  tools.progress = [&](const PrepareProgress& p) {
    char line[160];
    std::snprintf(line, sizeof line, "Prepared %.0f%%  %lld documents  %lld tokens  %.0f tok/s", p.share * 100,
                  static_cast<long long>(p.documents), static_cast<long long>(p.tokens),
                  p.seconds > 0 ? static_cast<double>(p.tokens) / p.seconds : 0.0);
    if (moving)
      Log::progress_line(line);
    else if (p.seconds > shown + 10)
      shown = p.seconds, log_info(line);
  };
  const PrepareSummary summary = prepare(session.comm, config, s.data, tools);
  for (const std::string& problem : summary.problems) log_warning(problem);
  log_info(summary_text(summary));
  if (session.comm.rank() != 0) return 0;
  for (const PreparedFile& file : summary.files)
    if (summary.squad.empty())
      std::printf("%s %lld tokens\n", file.path.c_str(), static_cast<long long>(file.tokens));
    else
      std::printf("%s %lld questions %lld features\n", file.path.c_str(), static_cast<long long>(file.documents),
                  static_cast<long long>(file.sequences));
  return 0;
}

}  // namespace strata
