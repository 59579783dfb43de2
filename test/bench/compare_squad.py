#!/usr/bin/env python3
"""BERT on SQuAD beside PyTorch: ../shared/bench/baseline_squad.py and Strata start from the same numbers and take the same features in the same order.

  steps   fp32 without dropout: the loss of each step side by side and the predicted answers; fails (1) where the first 50 losses differ by more
          than 1e-4 or fewer than 99 % of the answers are the same
  seeds   bf16 with dropout: exact match, F1 and the development set's loss of several seeds; fails where Strata's mean F1 lies below all of PyTorch's

  test/bench/compare_squad.py steps --python venv/bin/python --weights minilm [--steps 50]
  test/bench/compare_squad.py seeds --python venv/bin/python --weights minilm [--epochs 2] [--seeds 1,2,3]

--weights is what baseline_squad.py --extract-minilm lays out. Ends with 77 and the reason where something that it needs is not there. Standard library only;
--python has torch and transformers.
"""
import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys

from compare_tools import say

DIFFERENCE, SAME_ANSWERS = 1e-4, 0.99


def skip(reason):
    say("skipped:", reason)
    sys.exit(77)


def run(command, **kwargs):
    say("+", " ".join(map(str, command)))
    done = subprocess.run(list(map(str, command)), text=True, stdout=subprocess.PIPE, **kwargs)
    if done.returncode:
        raise SystemExit(f"ended with {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


def data(o, part):
    return os.path.join(o.shared, "data", "squad", {"train": "train-v1.1-16articles.json", "dev": "dev-v1.1-32articles.json"}[part])


def path(o, *parts):
    return os.path.join(o.work, *parts)


def features(o, part):
    """The file as a feature file: its path, and how many features it has."""
    file = path(o, f"{part}.h5")
    if not os.path.exists(file):
        run([o.strata, "prepare", "--prepare.format=squad", "--prepare.stride=128", "--data.sequence=384", f"--tokenizer.path={o.weights}",
             f"--prepare.input={data(o, part)}", f"--prepare.output={file}"])
    return file, json.loads(run([o.strata, "inspect", file, "--json"]))["features"]


def baseline(o, name, *flags):
    """The baseline's own JSON line, with its losses and answers; kept under `name`, so that a second call does not train again."""
    out = path(o, f"{name}.json")
    if not os.path.exists(out):
        watched = path(o, f"{name}.watched.json")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "watched_squad.py")
        heap = {f"MALLOC_{key}_": value for key, value in (("MMAP_THRESHOLD", "68719476736"), ("TRIM_THRESHOLD", "68719476736"), ("TOP_PAD", "268435456"))}
        line = run([o.python, script, os.path.join(o.shared, "bench"), watched, "--weights", o.weights, "--train", data(o, "train"), "--dev",
                    data(o, "dev"), "--batch", o.batch, "--lr", o.lr, "--threads", o.threads, "--save-init", path(o, f"{name}-init"), "--save", path(o, f"{name}-trained"),
                    *flags], env={**os.environ, **heap}).strip().splitlines()[-1]
        with open(out, "w") as f:
            json.dump({**json.loads(line), **json.load(open(watched))}, f)
    return json.load(open(out))


def order_file(o, name, seed, epochs):
    """The order that baseline_squad.py documents, for data.order."""
    sys.path.insert(0, os.path.join(o.shared, "bench"))
    from baseline_squad import epoch_order
    count = features(o, "train")[1]
    with open(path(o, f"{name}.order"), "w") as f:
        for epoch in range(epochs):
            f.write("\n".join(map(str, epoch_order(count, "shuffle", seed, epoch))) + "\n")
    return path(o, f"{name}.order")


def strata(o, name, theirs, seed, dtype, *flags):
    """Trains from the baseline's first weights with its settings, then evaluates: losses, answers, exact match and F1."""
    folder, init = path(o, name), path(o, f"{o.case}-{seed}-init")
    common = [f"--run.folder={folder}", f"--model.config={init}", f"--data.sequence=384", f"--batch.micro={o.micro}", f"--precision.compute={dtype}",
              f"--tokenizer.path={o.weights}", f"--device.threads={o.threads}", *flags, *(o.flags.split() if o.flags else [])]
    train, count = features(o, "train")
    shutil.rmtree(folder, ignore_errors=True)
    epochs = -(-theirs["steps"] * o.batch // count)
    run([*o.launcher.split(), o.strata, "train", *common, "--run.resume=never", f"--run.seed={seed}", f"--model.weights={init}", f"--data.train={train}",
         f"--data.order={order_file(o, name, seed, epochs)}", f"--batch.global={o.batch}", f"--train.max_steps={theirs['steps']}",
         f"--train.clip={theirs['clip']}", f"--optimizer.lr={theirs['lr']}", "--optimizer.betas=0.9,0.999", "--optimizer.eps=1e-8",
         f"--optimizer.weight_decay={theirs['weight_decay']}", "--optimizer.decay=matrices", "--schedule.kind=linear",
         f"--schedule.warmup_steps={theirs['warmup_steps']}", "--checkpoint.every=0", "--checkpoint.keep=1"], stderr=open(path(o, f"{name}.log"), "w"))
    run([*o.launcher.split(), o.strata, "evaluate", *common, f"--evaluate.data={features(o, 'dev')[0]}", f"--evaluate.checkpoint={folder}/checkpoints"],
        stderr=open(path(o, f"{name}.evaluate.log"), "w"))
    with open(os.path.join(folder, "metrics.csv")) as f:
        losses = [float(row["loss"]) for row in csv.DictReader(f)]
    return dict(losses=losses, predictions=json.load(open(f"{folder}/predictions.json")), **json.load(open(f"{folder}/evaluation.json")))


def steps(o):
    o.case = f"steps-{o.steps}"
    # run_qa pads to the full length, and the positions of padding count in its loss: so does Strata
    theirs = baseline(o, f"{o.case}-1", "--dtype", "fp32", "--dropout", "0", "--pad", "max", "--order", "shuffle", "--seed", "1", "--log-every", "1",
                      "--max-steps", o.steps, "--epochs", "2")
    ours = strata(o, f"{o.case}-strata", theirs, 1, "fp32")
    apart = [abs(a - b) for a, b in zip(ours["losses"], theirs["losses"])]
    print(f"{'step':>5} {'Strata':>14} {'PyTorch':>14} {'difference':>12}")
    for i, difference in enumerate(apart):
        if i < 50 or i % 50 == 49 or i + 1 == len(apart):
            print(f"{i + 1:5d} {ours['losses'][i]:14.8f} {theirs['losses'][i]:14.8f} {difference:12.2e}")
    same = [ours["predictions"].get(key) == answer for key, answer in theirs["predictions"].items()]
    for key, answer in theirs["predictions"].items():
        if ours["predictions"].get(key) != answer:
            print(f"other answer to {key}: Strata '{ours['predictions'].get(key)}', PyTorch '{answer}'")
    good = len(apart) == theirs["steps"] and max(apart[:50]) <= DIFFERENCE and sum(same) >= SAME_ANSWERS * len(same)
    print(json.dumps(dict(comparison="squad steps", steps=theirs["steps"], largest_of_first_50=max(apart[:50]), largest=max(apart), answers=len(same),
                          same_answers=sum(same), same_share=round(sum(same) / len(same), 5), strata=dict(em=ours["exact_match"], f1=ours["f1"]),
                          baseline=dict(em=theirs["em"], f1=theirs["f1"], torch=theirs["torch"]), good=good)))
    sys.exit(0 if good else 1)


def loss_of(o, weights):
    """The loss on the development set of weights in a Hugging Face folder, which varies less from seed to seed than F1."""
    folder = path(o, "evaluated")
    shutil.rmtree(folder, ignore_errors=True)
    run([o.strata, "evaluate", f"--run.folder={folder}", f"--model.config={weights}", f"--model.weights={weights}", "--data.sequence=384",
         f"--batch.micro={o.micro}", "--precision.compute=fp32", f"--tokenizer.path={o.weights}", f"--device.threads={o.threads}",
         f"--evaluate.data={features(o, 'dev')[0]}"], stderr=subprocess.DEVNULL)
    return json.load(open(f"{folder}/evaluation.json"))["loss"]


def seeds(o):
    o.case, rows = f"seeds-{o.epochs}", []
    for seed in map(int, o.seeds.split(",")):
        theirs = baseline(o, f"{o.case}-{seed}", "--dtype", "bf16-autocast", "--order", "shuffle", "--seed", seed, "--epochs", o.epochs)
        ours = strata(o, f"{o.case}-{seed}-strata", theirs, seed, "bf16")
        rows.append(dict(seed=seed, steps=theirs["steps"], strata_em=ours["exact_match"], strata_f1=ours["f1"], strata_loss=ours["loss"],
                         baseline_em=theirs["em"], baseline_f1=theirs["f1"], baseline_loss=loss_of(o, path(o, f"{o.case}-{seed}-trained"))))
        print(json.dumps(rows[-1]), flush=True)
    f1 = {who: [row[f"{who}_f1"] for row in rows] for who in ("strata", "baseline")}
    spread = max(f1["baseline"]) - min(f1["baseline"])
    apart = statistics.mean(f1["strata"]) - statistics.mean(f1["baseline"])
    print(f"{'':10} {'F1 of each seed':40} {'mean':>7} {'mean loss':>10}")
    for who, values in f1.items():
        loss = statistics.mean(row[f"{who}_loss"] for row in rows)
        print(f"{who:10} {', '.join(f'{v:.2f}' for v in values):40} {statistics.mean(values):7.2f} {loss:10.4f}")
    good = statistics.mean(f1["strata"]) >= min(f1["baseline"])
    print(json.dumps(dict(comparison="squad seeds", epochs=o.epochs, difference_of_means=round(apart, 3), spread=round(spread, 3), good=good)))
    sys.exit(0 if good else 1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("case", choices=["steps", "seeds"])
    p.add_argument("--strata", default="build/strata")
    p.add_argument("--shared", default="../shared")
    p.add_argument("--python", help="the interpreter with torch and transformers")
    p.add_argument("--weights", help="what baseline_squad.py --extract-minilm lays out")
    p.add_argument("--work", default="runs/compare-squad", help="folder for data and runs; PyTorch's results in it are used again")
    p.add_argument("--launcher", default="", help="before Strata's commands, as in 'mpirun -n 2'")
    p.add_argument("--flags", default="", help="for Strata, as in '--parallel.strategy=fsdp'")
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--micro", type=int, default=8)
    p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of either program")
    p.add_argument("--steps", type=int, default=50, help="steps: how many, 0 for two epochs")
    p.add_argument("--epochs", type=int, default=2, help="seeds: how many")
    p.add_argument("--seeds", default="1,2,3")
    o = p.parse_args()
    for name in ("strata", "shared", "work"):
        setattr(o, name, os.path.abspath(getattr(o, name)))
    for name, why in (("strata", "not built"), ("python", "no interpreter with torch is named"), ("weights", "no pretrained encoder is named"),
                      ("shared", "no such folder")):
        if not getattr(o, name) or not os.path.exists(getattr(o, name)):
            skip(f"--{name} {getattr(o, name) or ''}: {why}")
    if subprocess.run([o.python, "-c", "import torch, transformers"], capture_output=True).returncode:
        skip(f"{o.python} has no torch and transformers")
    if not os.path.exists(data(o, "train")):
        skip(f"{data(o, 'train')} is not there")
    os.makedirs(o.work, exist_ok=True)
    dict(steps=steps, seeds=seeds)[o.case](o)


if __name__ == "__main__":
    main()
