// The list of commands, and what --help says.
#include "strata/base/error.hpp"

#include <algorithm>

#include "strata/base/version.hpp"
#include "strata/commands/command.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

constexpr const char* prepare_help = R"(strata prepare [deck ...] [--section.key=value ...]

Turns text into token files, and SQuAD's JSON into feature files: prepare.input (files, globs; .gz and .zst too) -> prepare.output, in parallel over ranks. The files are the same for any number of ranks.
With tokenizer.train = true a sentencepiece vocabulary is trained on the input first.

  mpirun -n 4 strata prepare input/quickstart.in
  strata prepare --prepare.input=book.txt --prepare.output=book.h5 --tokenizer.path=data/Qwen3-0.6B
  strata prepare --prepare.format=squad --prepare.input=train-v1.1.json --prepare.output=squad.h5 --prepare.sequence=384 --tokenizer.path=data/bert-base-uncased

Keys: strata keys prepare, strata keys tokenizer; doc/data.md, doc/squad.md
)";
constexpr const char* train_help = R"(strata train [deck ...] [--section.key=value ...]

Trains the model of the deck: a causal language model on a token file, BERT for question answering on a feature file of SQuAD. Continues by itself from the newest sound checkpoint in run.folder (run.resume), on any number of ranks, bit for bit.
SIGUSR1 or SIGTERM: drops the step at the next micro-batch, saves a checkpoint and exits with 75 (to mpirun send SIGUSR1: after SIGTERM it gives its ranks a second only).

  mpirun -n 8 strata train input/qwen3-0.6b-wikitext.in
  mpirun -n 8 strata train input/qwen3-0.6b-wikitext.in --train.max_steps=2000 --optimizer.lr=1e-5
  mpirun -n 4 strata train input/bert-base-squad.in

Keys: strata keys
)";
constexpr const char* check_help = R"(strata check [deck ...] [--section.key=value ...] [--json]

Says all that can be known before a training run, at once, worst first: deck, data, weights, tokenizer, batch, disk, memory, the checkpoint it would go on from, and the
batch script that check.script names. One process, no GPU; reads, writes nothing but a probe in run.folder. Exit code 0 only if the run can start; otherwise that of the
worst finding: 2 deck, 3 data or weights, 4 does not fit.

  strata check input/qwen3-0.6b-wikitext.in --check.ranks=4
  strata check input/qwen3-0.6b-wikitext.in --check.script=jobs/train.sbatch --json

Keys: strata keys check; doc/check.md lists the findings
)";
constexpr const char* plan_help = R"(strata plan [deck ...] [--plan.ranks=N] [--plan.machine=FILE] [--plan.compare=true] [--json]

What a run allocates, computes and sends on any number of ranks, without data, weights or GPU: memory of a rank to the byte, communication and operations of a step; with a
machine file (strata measure) the time of a step, tokens per second, and how it scales. plan.compare: a table of strategies, micro-batches and recomputation that fit,
fastest first, with the lines to paste. One process; writes nothing. Exit code 4: it does not fit.

  strata plan input/qwen3-0.6b-wikitext.in --plan.ranks=16 --plan.machine=input/machines/cluster.in
  strata plan input/qwen3-0.6b-wikitext.in --plan.ranks=16 --plan.machine=input/machines/cluster.in --plan.compare=true

Keys: strata keys plan; doc/plan.md
)";
constexpr const char* evaluate_help = R"(strata evaluate [deck ...] [--section.key=value ...] [--json]

Loss and perplexity of a checkpoint (evaluate.checkpoint: a file, or a run's folder of checkpoints) or of model.weights on a token file (evaluate.data, by default
data.validation), exact over ranks.

  mpirun -n 2 strata evaluate input/quickstart.in --json

BERT on a feature file: answers to its questions, EM and F1 with 95 % intervals; predictions.json and nbest_predictions.json lie beside evaluation.json.

  mpirun -n 4 strata evaluate input/bert-base-squad.in --json

Without a model: EM and F1 of SQuAD predictions ({"id": "answer", ...}), as the official scripts evaluate-v1.1 and evaluate-v2.0 compute them, with 95 % intervals.

  strata evaluate --evaluate.score=predictions.json --evaluate.references=data/dev-v1.1.json --json

Keys: strata keys evaluate; doc/squad.md
)";
constexpr const char* generate_help = R"(strata generate [deck ...] [--section.key=value ...] [--json]

Continues prompts: generate.prompts is a text, or a file with one prompt per line. temperature = 0 is greedy; top_k, top_p, min_p, repetition_penalty, stop as usual; the
same seed gives the same text. Standard output gets the texts (with --json one object per line), samples/ in the run folder a copy.

  strata generate input/quickstart.in --generate.prompts="Once upon a time" --generate.temperature=0.8

Keys: strata keys generate
)";
constexpr const char* convert_help = R"(strata convert [deck ...] --convert.from=A --convert.to=B [--convert.dtype=bf16]

A checkpoint becomes a Hugging Face folder (config.json, model.safetensors, tokenizer files), or a Hugging Face folder a checkpoint at step 0: which way
follows from convert.from.

  strata convert --convert.from=runs/quickstart/checkpoints --convert.to=fortune-model

Keys: strata keys convert
)";
constexpr const char* measure_help = R"(strata measure [deck ...] [--measure.output=FILE] [--json]

Peaks of this node, or under mpirun of every node of an allocation: matrix products by type and shape, memory, thread pool, disk, clock under load, messages between
ranks. Takes about a minute (measure.seconds); names nodes that are slower than the others. Writes a machine file (input/machines/<host>.in), which plan.machine names.
Nothing else should run meanwhile. One rank per node with all its cores (--bind-to none) measures the node; the links need two ranks.

  strata measure --measure.folder=/scratch/me
  strata measure input/qwen3-0.6b-wikitext.in --measure.seconds=20      (with a deck: the ops of its step, in their sizes)
  mpirun -n 4 --map-by ppr:1:node --bind-to none strata measure --measure.output=input/machines/cluster.in
  mpirun -n 8 strata measure input/qwen3-0.6b-wikitext.in --device.kind=cuda      (GPUs, a rank for each; and a tuning file for device.tuning: doc/cuda.md)

Keys: strata keys measure; doc/profile.md
)";
constexpr const char* inspect_help = R"(strata inspect PATH [--verify] [--json]

What PATH is: a checkpoint (model, step, loss, deck, sizes, hashes, when and where written), a run's folder or its folder of checkpoints (its state, which are there,
the newest in full), a token file (tokens, documents, tokenizer, sources), a Hugging Face folder or a safetensors file (model, tensors, types).
--verify recomputes every checksum and names what is damaged (exit code 3); --json prints everything, every tensor and the whole deck too.

  strata inspect runs/quickstart --verify
  strata inspect runs/quickstart/train.h5
  strata inspect data/Qwen3-0.6B --json
)";
constexpr const char* keys_help = R"(strata keys [section] [--json] [--markdown]

Every deck key: type, default, range, unit, one sentence. --markdown prints doc/deck.md.

  strata keys optimizer
)";

std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {"prepare", "text, JSON lines, token ids or SQuAD -> token or feature file, in parallel over ranks", prepare_help, true, true, false,
       run_prepare},
      {"train", "trains; resumes by itself from the newest sound checkpoint", train_help, true, true, true, run_train},
      {"check", "says what is wrong with a training run before it starts; exit code 0 only if it can", check_help, true, true, false,
       run_check, true},
      {"plan", "memory, communication and time of a step on any number of ranks, before there are any", plan_help, true, false, false,
       run_plan, true},
      {"evaluate", "validation loss and perplexity; answers and SQuAD scores", evaluate_help, true, true, false, run_evaluate},
      {"generate", "batched generation with a key/value cache", generate_help, true, false, false, run_generate},
      {"convert", "Hugging Face folder <-> checkpoint", convert_help, true, false, false, run_convert},
      {"measure", "peaks of this machine: products, memory, disk, links, clock; writes a machine file", measure_help, true, true, false,
       run_measure},
      {"inspect", "what a checkpoint, run, token file or model is; --verify recomputes every checksum", inspect_help, false, false, false,
       run_inspect},
      {"keys", "every deck key: type, default, range, unit, one sentence", keys_help, false, false, false, run_keys},
  };
  return all;
}

const Command& find_command(const std::string& name) {
  const Command* nearest = &commands().front();
  for (const Command& command : commands()) {
    if (command.name == name) return command;
    if (distance(name, command.name) < distance(name, nearest->name)) nearest = &command;
  }
  throw DeckError(text("unknown command \"", name, "\"; did you mean \"", nearest->name, "\"? strata --help lists all"));
}

std::string help_text() {
  std::string page = text(build_text(), "\n\nusage: strata <command> [deck ...] [--section.key=value ...]\n\n");
  for (const Command& command : commands())
    page += text("  ", command.name, std::string(12 - std::string(command.name).size(), ' '), command.summary, "\n");
  return page +
         "\nstrata <command> --help   one page with an example\nstrata keys [section]     every deck key\nstrata --version\n\n"
         "Several ranks: mpirun -n 4 strata train deck.in. Exit codes: 0 done, 1 internal, 2 deck or usage, 3 data or checkpoint, 4 does "
         "not fit,\n"
         "5 diverged, 6 rank or link lost, 75 stopped on request with a checkpoint.\n";
}

}  // namespace strata
