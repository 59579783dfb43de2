#!/usr/bin/env python3
"""Strata beside PyTorch and Hugging Face on this machine: both run alternately (A B A B A B), each pair gives a ratio (above 1: Strata is ahead),
and min / median / max of the ratios are printed with a JSON line for every pair and one for the whole. Standard library only.

  train       tokens/s and peak memory of Qwen3-0.6B, full training       ranks       2 ranks x 1 thread beside 1 rank x 2 threads
  bert        sequences/s of BERT-base question answering, 384 tokens     (quality: compare_squad.py)
  prepare     tokenizing wikitext-2 with the Qwen tokenizer               startup     mpirun -n 2 to the end of the quickstart's first step
  generate    tokens/s with a key/value cache                             checkpoint  saving and loading beside dd in the same folder

  test/bench/compare.py train --micro 4 --compile --python venv/bin/python --lock /tmp/quiet.lock
"""
import argparse
import csv
import glob
import json
import os
import re
import shutil
import statistics
import sys
import time

from compare_tools import locked, need, pairs, run, say, spread, summary

HERE = os.path.dirname(os.path.abspath(__file__))
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none"]
ROOT = dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def cores():
    return len(os.sched_getaffinity(0))


def path(o, *parts):
    return os.path.join(o.work, *parts)


def tokenizer(o):
    """One folder with the vocabulary and the special tokens of Qwen3-0.6B, which lie apart in ../shared."""
    source, folder = os.path.join(o.shared, "data", "qwen-tokenizer"), path(o, "tokenizer")
    os.makedirs(folder, exist_ok=True)
    for file in ("vocab.json", "merges.txt", "Qwen3-0.6B/tokenizer_config.json"):
        shutil.copy(os.path.join(source, file), folder)
    return folder


def tokens_file(o):
    """wikitext-2's validation part as a token file: enough for any number of steps here."""
    file = path(o, "wikitext-valid.h5")
    if not os.path.exists(file):
        run([o.strata, "prepare", f"--tokenizer.path={tokenizer(o)}", f"--prepare.input={o.shared}/data/wikitext-2/valid.txt",
             "--prepare.documents=line", "--prepare.pack=concat", "--prepare.separator=eos", f"--prepare.output={file}"])
    return file


def model_config(o, layers=0):
    """Qwen3-0.6B's config.json, or a cut of it."""
    config = json.load(open(os.path.join(o.shared, "data", "qwen-tokenizer", "Qwen3-0.6B", "config.json")))
    if layers:
        config["num_hidden_layers"] = config["max_window_layers"] = layers
    folder = path(o, f"model-{config['num_hidden_layers']}")
    os.makedirs(folder, exist_ok=True)
    json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=1)
    return folder


def train_flags(o, folder, model, micro, batch, steps, dtype="bf16", data=None):
    """`data`: the file and its length of a sequence; without it wikitext in sequences of 512."""
    file, length = data or (tokens_file(o), 512)
    return ["train", f"--run.folder={folder}", "--run.resume=never", f"--model.config={model}", "--model.weights=random",
            f"--data.train={file}", f"--data.sequence={length}", f"--batch.global={batch}", f"--batch.micro={micro}",
            f"--train.max_steps={steps}", "--train.clip=1", "--optimizer.lr=5e-5", "--schedule.kind=constant", "--schedule.warmup_steps=0",
            f"--precision.compute={dtype}", "--checkpoint.every=0", "--checkpoint.asynchronous=false"]


def metrics(folder):
    try:
        with open(os.path.join(folder, "metrics.csv")) as f:
            return [r for r in csv.DictReader(f) if None not in r.values() and r["memory_bytes"]]
    except OSError:
        return []


def strata_steps(o, model, micro, batch, dtype, launch, *flags, data=None):
    """Tokens/s: the median of the timed steps. The run is ended before it would save a checkpoint."""
    folder, rows = path(o, "train"), o.warmup + o.steps
    shutil.rmtree(folder, ignore_errors=True)
    command = [*launch[0], o.strata, *train_flags(o, folder, model, micro, batch, rows + 1, dtype, data), f"--device.threads={launch[1]}", *flags]
    done = run(command, o.lock, ROOT, until=lambda: len(metrics(folder)) >= rows)
    got = metrics(folder)[:rows]
    shutil.rmtree(folder, ignore_errors=True)
    rates = [float(r["tokens_per_s"]) for r in got[o.warmup:]]
    return statistics.median(rates), dict(tokens_per_s=spread(rates, 2), peak_gib=round(int(got[-1]["memory_bytes"]) / 2**30, 3),
                                          losses=[r["loss"] for r in got], others_cores=round(done.others_cores, 2))


def baseline_train(o, model, length, *flags):
    """What baseline_train.py says of a run as `o` wants it."""
    return run([o.python, os.path.join(o.shared, "bench", "baseline_train.py"), "--model", model, "--seq", str(length), "--micro", str(o.micro), "--dtype",
                o.baseline_dtype or o.dtype, "--malloc-reuse", o.malloc, "--steps", str(o.steps), "--warmup", str(o.warmup),
                *(["--compile"] if o.compile else []), *flags], o.lock).result()


def train(o):
    need(o, "python")
    model = model_config(o, o.layers)
    theirs_type = o.baseline_dtype or o.dtype

    def baseline():
        got = baseline_train(o, model, 512)
        return got["tokens_per_s"], {**got, "peak_gib": got["peak_rss_gib"]}

    rows = pairs(o, "train", lambda: strata_steps(o, model, o.micro, o.micro, o.dtype, ([], cores())), baseline)
    memory = [r["strata_run"]["peak_gib"] / r["baseline_run"]["peak_gib"] for r in rows]
    summary(o, "train", "tokens/s", rows,
            dict(dtype=o.dtype, baseline_dtype=theirs_type, micro=o.micro, compile=o.compile, malloc=o.malloc, layers=o.layers or 28,
                 peak_memory_ratio=spread(memory), strata_gib=spread([r["strata_run"]["peak_gib"] for r in rows]),
                 baseline_gib=spread([r["baseline_run"]["peak_gib"] for r in rows])))


def bert_model(o):
    """bert-base-uncased's config.json with the dropout wanted."""
    source = os.path.join(o.shared, "data", "bert-base-uncased")
    config = json.load(open(os.path.join(source, "config.json")))
    config["hidden_dropout_prob"] = config["attention_probs_dropout_prob"] = o.dropout
    folder = path(o, f"bert-{o.dropout}")
    os.makedirs(folder, exist_ok=True)
    json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=1)
    shutil.copy(os.path.join(source, "vocab.txt"), folder)
    return folder


def long_features(o, model):
    """Feature file whose rows have no padding, as the baseline's: one context of all paragraphs, and of its stretches all but the last are full."""
    file = path(o, "long-features.h5")
    if not os.path.exists(file):
        squad = json.load(open(os.path.join(o.shared, "data", "squad", "train-v1.1-16articles.json")))
        paragraphs = [p for article in squad["data"] for p in article["paragraphs"]][:100]
        context, question = "\n".join(p["context"] for p in paragraphs), paragraphs[0]["qas"][0]
        json.dump(dict(version="1.1", data=[dict(title="long", paragraphs=[dict(context=context, qas=[question])])]), open(path(o, "long.json"), "w"))
        run([o.strata, "prepare", "--prepare.format=squad", f"--tokenizer.path={model}", "--data.sequence=384", f"--prepare.input={path(o, 'long.json')}",
             f"--prepare.output={file}"])
    return file


def bert(o):
    need(o, "python")
    model = bert_model(o)
    data = long_features(o, model), 384

    def ours():
        tokens, about = strata_steps(o, model, o.micro, o.micro, o.dtype, ([], cores()), "--data.shuffle=false", data=data)
        return tokens / 384, about

    def baseline():
        got = baseline_train(o, model, 384, "--dropout", str(o.dropout))
        return got["seq_per_s"], {**got, "peak_gib": got["peak_rss_gib"]}

    rows = pairs(o, "bert", ours, baseline)
    summary(o, "bert", f"sequences/s of BERT-base, 384 tokens, dropout {o.dropout}", rows,
            dict(dtype=o.dtype, baseline_dtype=o.baseline_dtype or o.dtype, micro=o.micro, compile=o.compile, malloc=o.malloc,
                 strata_gib=spread([r["strata_run"]["peak_gib"] for r in rows]), baseline_gib=spread([r["baseline_run"]["peak_gib"] for r in rows])))


def ranks(o):
    model, n = model_config(o, o.layers or 8), cores()
    launches = ([*MPIRUN, "-n", str(n)], 1), ([], n)
    rows = pairs(o, "ranks", *[lambda launch=launch: strata_steps(o, model, o.micro, n * o.micro, o.dtype, launch,
                                                                          f"--parallel.strategy={o.strategy}") for launch in launches])
    summary(o, "ranks", f"tokens/s, {o.strategy}: {n} ranks x 1 thread beside 1 rank x {n} threads", rows,
            dict(dtype=o.dtype, micro=o.micro, batch=n * o.micro, layers=o.layers or 8,
                 losses_equal=all(r["strata_run"]["losses"] == r["baseline_run"]["losses"] for r in rows)))


def prepare(o):
    need(o, "python")

    def ours():
        file = path(o, "prepared.h5")
        if os.path.exists(file):
            os.remove(file)
        done = run([o.strata, "prepare", f"--tokenizer.path={tokenizer(o)}", f"--prepare.input={o.shared}/data/wikitext-2/train.txt",
                    "--prepare.documents=line", "--prepare.pack=concat", "--prepare.separator=eos", f"--prepare.output={file}"], o.lock)
        tokens = int(re.search(r"(\d+) tokens", done.out).group(1))
        return tokens / done.wall, dict(tokens=tokens, whole_process_s=round(done.wall, 3), others_cores=round(done.others_cores, 2))

    def baseline():
        best = {}
        for case in ("qwen encode_batch, all cores", "qwen encode_batch_fast, all cores"):
            got = run([o.python, os.path.join(o.shared, "bench", "baseline_tokenize.py"), "--only", case, "--repeat", "1"], o.lock).result()
            best = max(best, got, key=lambda g: g.get("tokens_per_s", 0))
        return best["tokens_per_s"], best

    rows = pairs(o, "prepare", ours, baseline)
    summary(o, "prepare", "tokens/s: Strata's whole process (start, tokenizer, reading, token file) beside the better of encode_batch and "
            "encode_batch_fast alone, second pass", rows)


def startup(o):
    need(o, "python")
    folder = path(o, "quickstart")
    files = [f"--tokenizer.path={folder}/tokenizer.model", f"--data.train={folder}/train.h5", f"--data.validation={folder}/validation.h5"]
    deck = os.path.join(HERE, "..", "..", "input", "quickstart.in")
    config = "--model.config=" + os.path.join(HERE, "..", "..", "input", "models", "quickstart.json")
    if not os.path.exists(f"{folder}/train.h5"):
        run([o.strata, "prepare", deck, files[0], config, f"--prepare.output={folder}/train.h5", f"--prepare.validation_output={folder}/validation.h5"])

    def ours():
        shutil.rmtree(f"{folder}/run", ignore_errors=True)
        mark = "Step 1/"
        done = run([*MPIRUN, "-n", "2", o.strata, "train", deck, config, *files, f"--run.folder={folder}/run", "--train.log_every=1",
                    "--train.max_steps=20"], o.lock, ROOT, marks=[mark])
        return done.marks[mark], dict(total_s=round(done.wall, 3), others_cores=round(done.others_cores, 2))

    def baseline():
        got = run([o.python, os.path.join(o.shared, "bench", "baseline_startup.py"), "--cases", o.case, "--repeat", "1"], o.lock).result()
        return got["to_first_step_s"], got

    rows = pairs(o, "startup", ours, baseline, better="lower")
    summary(o, "startup", f"s from process start to the end of step 1; baseline: {o.case}, a tiny model", rows)


def generate(o):
    need(o, "python")
    folder, script = path(o, "generate-model"), os.path.join(HERE, "baseline_generate.py")
    if not os.path.exists(f"{folder}/prompts.txt"):
        run([o.python, script, "--make", folder, "--config", model_config(o), "--shared", o.shared, "--prompt-tokens", str(o.prompt_tokens)], o.lock)
    prompts = path(o, f"prompts-{o.batch}.txt")
    open(prompts, "w").writelines(open(f"{folder}/prompts.txt").readlines()[:o.batch])

    def ours():
        done = run([o.strata, "generate", f"--generate.checkpoint={folder}", f"--tokenizer.path={tokenizer(o)}", f"--generate.prompts={prompts}",
                    f"--generate.max_new_tokens={o.new_tokens}", "--generate.temperature=0", f"--generate.batch={o.batch}", f"--precision.compute={o.dtype}",
                    f"--run.folder={path(o, 'generate')}", f"--device.threads={cores()}"], o.lock)
        tokens, seconds = re.search(r"(\d+) tokens in ([0-9.e+-]+) s", done.err).groups()
        return int(tokens) / float(seconds), dict(tokens=int(tokens), generation_s=float(seconds), process_s=round(done.wall, 2),
                                                  others_cores=round(done.others_cores, 2), peak_gib=round(done.peak_gib, 2))

    def baseline():
        best = {}
        for case in o.cases.split(","):
            dtype, mode = case.split(":")
            got = run([o.python, script, "--model", folder, "--batch", str(o.batch), "--new-tokens", str(o.new_tokens), "--dtype", dtype, "--mode", mode],
                      o.lock, dict(OMP_NUM_THREADS=str(cores()), OMP_PROC_BIND="true", OMP_PLACES="cores")).result()
            say(f"generate: baseline {case}: {got['tokens_per_s']} tokens/s")
            best = max(best, got, key=lambda g: g.get("tokens_per_s", 0))
        return best["tokens_per_s"], best

    rows = pairs(o, "generate", ours, baseline)
    summary(o, "generate", f"tokens/s, batch {o.batch}, prompts of {o.prompt_tokens} tokens and {o.new_tokens} new ones, greedy, loading excluded", rows,
            dict(dtype=o.dtype, cases=o.cases))


def drop_cache(o, file):
    """Takes a file out of the page cache; the same for both programs."""
    with open(file) as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def checkpoint(o):
    from compare_checkpoint import compare
    compare(o, model_config, train_flags, path, drop_cache)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--strata", default="build/strata")
    p.add_argument("--shared", default="../shared", help="folder with bench/ and data/")
    p.add_argument("--python", help="the interpreter that has torch and transformers")
    p.add_argument("--pairs", type=int, default=3)
    p.add_argument("--lock", help="a file locked while a program is measured")
    p.add_argument("--work", default="runs/compare", help="folder for models, data and runs; may grow to 10 GB")
    commands = p.add_subparsers(dest="command", required=True)
    for name, function in (("train", train), ("bert", bert), ("ranks", ranks)):
        c = commands.add_parser(name)
        c.set_defaults(function=function)
        c.add_argument("--dtype", default="bf16", choices=["bf16", "fp32"])
        c.add_argument("--micro", type=int, default=4 if name == "bert" else 1)
        if name == "bert":
            c.add_argument("--dropout", type=float, default=0.1)
        else:
            c.add_argument("--layers", type=int, default=0, help="cut the model (train: 28; ranks: 8, so that two copies fit)")
        c.add_argument("--steps", type=int, default=3, help="timed")
        c.add_argument("--warmup", type=int, default=2, help="not timed")
        if name == "ranks":
            c.add_argument("--strategy", default="zero1")
        if name != "ranks":
            c.add_argument("--compile", action="store_true", help="torch.compile in the baseline")
            c.add_argument("--malloc", default="glibc", help="baseline_train.py --malloc-reuse")
            c.add_argument("--baseline-dtype", help="where it differs from --dtype, as in bf16-autocast")
    commands.add_parser("prepare").set_defaults(function=prepare)
    c = commands.add_parser("startup")
    c.set_defaults(function=startup)
    c.add_argument("--case", default="torchrun", choices=["torchrun", "single", "trainer", "torch-only"])
    c = commands.add_parser("generate")
    c.set_defaults(function=generate)
    c.add_argument("--batch", type=int, default=1)
    c.add_argument("--new-tokens", type=int, default=64)
    c.add_argument("--prompt-tokens", type=int, default=32)
    c.add_argument("--dtype", default="bf16", choices=["bf16", "fp32"])
    c.add_argument("--cases", default="bf16:eager", help="baseline runs, the best counts: TYPE:MODE with bf16 | fp32 and eager | static | compile")
    c = commands.add_parser("checkpoint")
    c.set_defaults(function=checkpoint)
    c.add_argument("--layers", type=int, default=28, help="2: 2.2 GB, a third")
    o = p.parse_args()
    for name in ("strata", "shared", "work"):
        setattr(o, name, os.path.abspath(getattr(o, name)))
    need(o, "strata", "shared")
    os.makedirs(o.work, exist_ok=True)
    o.function(o)


if __name__ == "__main__":
    main()
