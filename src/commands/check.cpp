// strata check: everything that can be known before a run, said at once.
#include <cstdio>

#include "commands/alternatives.hpp"
#include "commands/check_report.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

/// What starts the run: a batch script, the deck's word, or the ranks that are there.
std::unique_ptr<Communicator> planned_launch(const Session& session, const std::optional<BatchScript>& script) {
  const int started = session.comm.size(), asked = static_cast<int>(session.settings().check.ranks);
  const int ranks = asked > 0 ? asked : script && script->ranks() > 0 ? script->ranks() : started;
  const int here = ranks == started ? session.comm.local_size() : ranks;
  return make_plan_communicator(ranks, script && script->ranks_per_host() > 0 ? std::min(ranks, script->ranks_per_host()) : here);
}

void add_mistakes(Preflight& p) {
  const auto add = [&](const DeckMistake& m, const char* code) {
    const std::string remedy = m.key.empty() ? "strata keys lists every key" : text("strata keys ", m.key, " says what it takes");
    p.findings.tell({Severity::error, ExitCode::usage, code, m.key, m.where, m.message, remedy});
  };
  for (const DeckMistake& mistake : p.session.mistakes) add(mistake, "deck");
  for (const DeckMistake& mistake : contradictions(p.session.deck, "check", p.launch.size())) add(mistake, "deck.contradiction");
  for (const std::string& warning : p.session.deck.warnings())
    p.findings.tell({Severity::warning, ExitCode::done, "deck.old_name", "", "", warning, "use the new name"});
}

int check_run(Session& session) {
  const CheckConfig& config = session.settings().check;
  std::optional<BatchScript> script;
  std::string unreadable;
  if (!config.script.empty()) try {
      script.emplace(config.script, read_text(config.script, 1 << 20));
    } catch (const Error& e) {
      unreadable = e.what();
    }
  const auto launch = planned_launch(session, script);
  settle_device(session);
  settle_strategy(session, *launch);
  Preflight p(session, *launch, true);
  p.elsewhere = script.has_value();
  if (script && script->threads() > 0 && session.settings().device.threads == 0) p.threads = script->threads();
  if (!unreadable.empty())
    p.findings.error(ExitCode::usage, "script.unreadable", "check.script", text("check.script = ", config.script, ": ", unreadable),
                     "correct the path, or leave the key out");
  add_mistakes(p);
  if (!session.device_note.empty()) p.findings.note("device.auto", "device.kind", session.device_note);
  check_model(p);
  check_data(p);
  check_checkpoint(p, find_checkpoint(p));
  check_weights_source(p);
  check_memory(p);
  check_batch(p);
  check_disk(p);
  if (script) check_script(p, *script);
  std::printf("%s", session.line.json ? check_json(p).c_str() : check_text(p).c_str());
  return static_cast<int>(p.findings.exit_code());
}

}  // namespace

int run_check(Session& session) {
  int code = 0;
  guarded(session.comm, [&] {
    if (session.comm.rank() == 0) code = check_run(session);
  });
  session.comm.broadcast(&code, sizeof code, 0);
  return code;
}

}  // namespace strata
