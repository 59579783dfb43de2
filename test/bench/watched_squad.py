#!/usr/bin/env python3
"""Runs ../shared/bench/baseline_squad.py as it is and writes what it does not print to OUT: the loss of every step in full, and its answers.

  watched_squad.py BENCH_FOLDER OUT ARGUMENTS...
"""
import json
import sys

bench, out = sys.argv[1:3]
sys.path.insert(0, bench)
import baseline_squad
from transformers import BertForQuestionAnswering

seen = dict(losses=[], predictions={})
forward, predict = BertForQuestionAnswering.forward, baseline_squad.predict


def note():
    with open(out, "w") as f:
        json.dump(seen, f)


def watched_forward(self, *args, **kwargs):
    result = forward(self, *args, **kwargs)
    if result.loss is not None:
        seen["losses"].append(result.loss.item())
        note()
    return result


def watched_predict(*args, **kwargs):
    seen["predictions"] = predict(*args, **kwargs)
    note()
    return seen["predictions"]


BertForQuestionAnswering.forward, baseline_squad.predict = watched_forward, watched_predict
sys.argv = ["baseline_squad.py", *sys.argv[3:]]
baseline_squad.main()
