"""Answers SQuAD questions with an exported folder in Hugging Face transformers, and compares with what Strata wrote:
python3 check_bert_folder.py FOLDER SQUAD_JSON RUN_FOLDER LENGTH STRIDE

Prints one JSON object: the largest difference of a best answer's logits, how many best answers are the same, the unused and missing weights, and the
exact match and F1 of Strata's predictions.json by the formula of the official evaluate-v1.1.
"""
import collections
import json
import re
import string
import sys

import torch
from transformers import AutoTokenizer, BertForQuestionAnswering


def normalize(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1_score(prediction, truth):
    prediction, truth = normalize(prediction).split(), normalize(truth).split()
    same = sum((collections.Counter(prediction) & collections.Counter(truth)).values())
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(prediction), 1.0 * same / len(truth)
    return (2 * precision * recall) / (precision + recall)


def official(questions, predictions):
    f1 = exact_match = 0
    for q, _ in questions:
        truths = [a["text"] for a in q["answers"]]
        exact_match += max(normalize(predictions[q["id"]]) == normalize(t) for t in truths)
        f1 += max(f1_score(predictions[q["id"]], t) for t in truths)
    return 100.0 * exact_match / len(questions), 100.0 * f1 / len(questions)


def best_answer(model, tokenizer, question, context, length, stride, n_best=20, most=30):
    enc = tokenizer(question.lstrip(), context, truncation="only_second", max_length=length, stride=stride, return_overflowing_tokens=True,
                    return_offsets_mapping=True, padding="max_length")
    best = (-1e30, "", 0, 0)
    for i in range(len(enc["input_ids"])):
        with torch.no_grad():
            out = model(**{k: torch.tensor([enc[k][i]]) for k in ("input_ids", "attention_mask", "token_type_ids")})
        starts, ends, kinds, offsets = out.start_logits[0], out.end_logits[0], enc.sequence_ids(i), enc["offset_mapping"][i]
        for s in torch.argsort(-starts, stable=True)[:n_best].tolist():
            for e in torch.argsort(-ends, stable=True)[:n_best].tolist():
                if kinds[s] == 1 and kinds[e] == 1 and s <= e < s + most and float(starts[s] + ends[e]) > best[0]:
                    best = (float(starts[s] + ends[e]), context[offsets[s][0]:offsets[e][1]], float(starts[s]), float(ends[e]))
    return best


def main():
    folder, squad, run, length, stride = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
    model, loading = BertForQuestionAnswering.from_pretrained(folder, output_loading_info=True)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
    questions = [(q, p["context"]) for article in json.load(open(squad))["data"] for p in article["paragraphs"] for q in p["qas"]]
    predictions, n_best = json.load(open(run + "/predictions.json")), json.load(open(run + "/nbest_predictions.json"))
    apart, same = 0.0, 0
    for q, context in questions:
        _, text, start, end = best_answer(model, tokenizer, q["question"], context, length, stride)
        ours = n_best[q["id"]][0]
        same += ours["text"] == text
        if ours["text"] == text:
            apart = max(apart, abs(ours["start_logit"] - start), abs(ours["end_logit"] - end))
    exact_match, f1 = official(questions, predictions)
    print(json.dumps(dict(questions=len(questions), same=same, apart=apart, missing=sorted(loading["missing_keys"]),
                          unexpected=sorted(loading["unexpected_keys"]), exact_match=exact_match, f1=f1)))


main()
