#!/usr/bin/env python3
"""Foreseen against measured step times: strata measure, then strata plan and strata train for a dozen decks, directly after one another.

    test/bench/plan_accuracy.py build/strata FOLDER [--seconds 60] [--steps 12] [--machine FILE] [--only NAME]

Writes a machine file (or takes the one given), synthetic token files and the runs into FOLDER, and prints a table in Markdown.
Nothing else should run on the machine meanwhile.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess

# name, model (hidden, intermediate, layers, heads, key/value heads, head size, vocabulary), sequence, micro, global, precision, strategy, ranks
DECKS = [
    ("small-fp32", (192, 512, 4, 6, 2, 32, 4000), 128, 4, 16, "fp32", "ddp", 1),
    ("small-bf16", (192, 512, 4, 6, 2, 32, 4000), 128, 4, 16, "bf16", "ddp", 1),
    ("middle-fp32", (512, 1536, 6, 8, 4, 64, 8000), 256, 4, 8, "fp32", "ddp", 1),
    ("middle-bf16", (512, 1536, 6, 8, 4, 64, 8000), 256, 4, 8, "bf16", "ddp", 1),
    ("middle-long-bf16", (512, 1536, 6, 8, 4, 64, 8000), 1024, 1, 4, "bf16", "ddp", 1),
    ("middle-micro1-fp32", (512, 1536, 6, 8, 4, 64, 8000), 128, 1, 4, "fp32", "ddp", 1),
    ("wide-fp32", (1024, 3072, 4, 16, 8, 128, 16000), 512, 1, 2, "fp32", "ddp", 1),
    ("wide-bf16", (1024, 3072, 4, 16, 8, 128, 16000), 512, 2, 4, "bf16", "ddp", 1),
    ("middle-ddp2-fp32", (512, 1536, 6, 8, 4, 64, 8000), 256, 4, 8, "fp32", "ddp", 2),
    ("middle-zero1-2-bf16", (512, 1536, 6, 8, 4, 64, 8000), 256, 4, 16, "bf16", "zero1", 2),
    ("middle-zero2-2-fp32", (512, 1536, 6, 8, 4, 64, 8000), 256, 4, 16, "fp32", "zero2", 2),
    ("wide-fsdp2-bf16", (1024, 3072, 4, 16, 8, 128, 16000), 512, 2, 8, "bf16", "fsdp", 2),
    ("wide-fsdp2-fp32", (1024, 3072, 4, 16, 8, 128, 16000), 256, 2, 8, "fp32", "fsdp", 2),
    # BERT: hidden, intermediate, layers, heads, dropout
    ("bert-mini-fp32", (384, 1536, 6, 12, 0.1), 384, 4, 8, "fp32", "ddp", 1),
    ("bert-mini-bf16", (384, 1536, 6, 12, 0.1), 384, 4, 8, "bf16", "ddp", 1),
    ("bert-mini-zero1-2-bf16", (384, 1536, 6, 12, 0.1), 384, 4, 16, "bf16", "zero1", 2),
    ("bert-base-bf16", (768, 3072, 12, 12, 0.1), 384, 4, 4, "bf16", "ddp", 1),
    ("bert-base-dry-bf16", (768, 3072, 12, 12, 0.0), 384, 4, 4, "bf16", "ddp", 1),
]


def run(command, **kwargs):
    result = subprocess.run(command, capture_output=True, text=True, **kwargs)
    if result.returncode not in (0, 4):
        raise SystemExit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def launcher(ranks):
    return ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []


def is_bert(model):
    return len(model) == 5


def bert_config(model):
    hidden, inner, layers, heads, dropout = model
    return {"model_type": "bert", "vocab_size": 30522, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, "hidden_act": "gelu", "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout,
            "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0}


def config_of(model):
    hidden, inner, layers, heads, kv, head, vocabulary = model
    return {"model_type": "qwen3", "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": head, "hidden_act": "silu", "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6, "tie_word_embeddings": True, "rope_theta": 10000, "attention_bias": False}


def token_file(strata, folder):
    path = folder / "tokens.h5"
    if path.exists():
        return path
    state, lines = 1, []
    for _ in range(400):
        ids = []
        for _ in range(1000):
            state = (state * 1664525 + 1013904223) % 2**32
            ids.append((state >> 12) % 4000)
        lines.append(json.dumps({"input_ids": ids}))
    (folder / "ids.jsonl").write_text("\n".join(lines) + "\n")
    run([strata, "prepare", f"--prepare.input={folder}/ids.jsonl", "--prepare.format=ids", f"--prepare.output={path}",
         "--prepare.vocabulary=4000", "--prepare.separator=none"])
    return path


def feature_file(strata, folder, sequence):
    """Rows without padding: one long context, all stretches of which but the last are full."""
    path = folder / f"features-{sequence}.h5"
    if path.exists():
        return path
    words = ["the", "house", "is", "by", "the", "river", ",", "and", "men", "work", "in", "it", "."]
    context = " ".join(words * 4000)
    question = {"id": "1", "question": "where is the house ?", "answers": [{"text": "by the river", "answer_start": context.index("by the river")}]}
    squad = {"version": "1.1", "data": [{"title": "long", "paragraphs": [{"context": context, "qas": [question]}]}]}
    (folder / "long.json").write_text(json.dumps(squad))
    vocabulary = pathlib.Path(__file__).resolve().parent.parent / "data" / "tokenizer" / "small_bert"
    run([strata, "prepare", "--prepare.format=squad", f"--prepare.stride={sequence // 3}", f"--data.sequence={sequence}", f"--tokenizer.path={vocabulary}",
         f"--prepare.input={folder}/long.json", f"--prepare.output={path}"])
    return path


def options_of(folder, tokens, deck):
    name, model, sequence, micro, batch, precision, strategy, _ = deck
    config = folder / (name + ".json")
    config.write_text(json.dumps(bert_config(model) if is_bert(model) else config_of(model)))
    return [f"--model.config={config}", "--model.weights=random", f"--data.train={tokens}", f"--data.sequence={sequence}",
            f"--batch.micro={micro}", f"--batch.global={batch}", f"--precision.compute={precision}", f"--parallel.strategy={strategy}",
            "--checkpoint.every=0", "--schedule.kind=constant", "--optimizer.lr=1e-5"]


def measure(strata, folder, machine, seconds):
    """One rank with all cores measures the node, two ranks the link between them."""
    pair = folder / "pair.in"
    run([strata, "measure", f"--measure.seconds={seconds}", f"--measure.folder={folder}", f"--measure.output={machine}"])
    run(launcher(2) + [strata, "measure", "--measure.seconds=2", f"--measure.folder={folder}", f"--measure.output={pair}"])
    sections = re.findall(r"^\[(?:host_link|all_gather)\]\n(?:(?!\[).*\n)*", pair.read_text(), re.M)
    machine.write_text(machine.read_text() + "\n" + "\n".join(sections))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("strata")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--each", type=float, default=0, help="measure each deck's own ops for so many seconds before its run")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--machine", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--profile", action="store_true")
    a = parser.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    strata = os.path.abspath(a.strata)
    machine = a.machine or a.folder / "machine.in"
    if not a.machine and not a.each:
        measure(strata, a.folder, machine, a.seconds)
    print("| deck | strategy, ranks | type | micro x length | foreseen ms | measured ms | foreseen/measured |\n|---|---|---|---|---|---|---|")
    for deck in DECKS:
        name, _, sequence, micro, _, precision, strategy, ranks = deck
        if not re.search(a.only, name):
            continue
        data = feature_file(strata, a.folder, sequence) if is_bert(deck[1]) else token_file(strata, a.folder)
        options = options_of(a.folder, data, deck)
        if a.each:  # directly before the run, with its own ops, by the ranks that run it
            out = a.folder / (name + ".machine.in")
            run(launcher(ranks) + [strata, "measure", f"--measure.seconds={a.each}", f"--measure.folder={a.folder}", f"--measure.output={out}"] +
                options)
            machine = out
        # Four cores would be shared by two ranks: threads are the cores over the ranks here as there.
        planned = json.loads(run([strata, "plan", "--json", f"--plan.ranks={ranks}", f"--plan.ranks_per_host={ranks}",
                                  f"--plan.machine={machine}"] + options))
        out = a.folder / ("run-" + name)
        subprocess.run(["rm", "-rf", str(out)], check=True)
        run(launcher(ranks) + [strata, "train", f"--run.folder={out}", f"--train.max_steps={a.steps}", "--run.resume=never",
                               f"--plan.machine={machine}"] + (["--run.profile=true"] if a.profile else []) + options)
        came = re.search(r"median step +([0-9.e+-]+) ms", (out / "plan.txt").read_text())
        measured, foreseen = float(came.group(1)), planned["time"]["seconds"] * 1e3
        print(f"| {name} | {strategy}, {ranks} | {precision} | {micro} x {sequence} | {foreseen:.2f} | {measured:.2f} | {foreseen / measured:.3f} |",
              flush=True)


if __name__ == "__main__":
    main()
