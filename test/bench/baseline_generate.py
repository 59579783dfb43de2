#!/usr/bin/env python3
"""Hugging Face generate on the CPU: greedy, key/value cache, prompts of equal length, the model loaded and warmed up before timing. One JSON line.

--make FOLDER --config DIR --shared DIR   writes a randomly initialised model (bf16) and prompts.txt, whose lines have exactly --prompt-tokens tokens
--model FOLDER --batch B --dtype bf16|fp32 --mode eager|static|compile   (static: a static cache; compile: and a compiled forward pass)
"""
import argparse
import json
import os
import sys
import time


def cpu_seconds():
    f = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
    own = os.times()
    return (sum(f) - f[3] - f[4]) / os.sysconf("SC_CLK_TCK"), own.user + own.system


def make(a):
    import torch
    from transformers import AutoConfig, Qwen3ForCausalLM
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    Qwen3ForCausalLM(AutoConfig.from_pretrained(a.config)).save_pretrained(a.make)
    sys.path.insert(0, os.path.join(a.shared, "bench"))
    from baseline_tokenize import qwen_tokenizer
    tok, prompts, ids = qwen_tokenizer(), [], []
    for line in open(os.path.join(a.shared, "data", "wikitext-2", "valid.txt"), encoding="utf-8"):
        whole = tok.encode(line.strip(), add_special_tokens=False).ids
        prompt = tok.decode(whole[:a.prompt_tokens])
        again = tok.encode(prompt, add_special_tokens=False).ids
        if len(whole) > a.prompt_tokens and len(again) == a.prompt_tokens and prompt == prompt.strip():
            prompts.append(prompt), ids.append(again)
        if len(prompts) == 64:
            break
    json.dump(ids, open(os.path.join(a.make, "prompts.json"), "w"))
    open(os.path.join(a.make, "prompts.txt"), "w", encoding="utf-8").write("\n".join(prompts) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--make")
    p.add_argument("--config")
    p.add_argument("--shared")
    p.add_argument("--prompt-tokens", type=int, default=32)
    p.add_argument("--model")
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--new-tokens", type=int, default=64)
    p.add_argument("--dtype", default="bf16", choices=["bf16", "fp32"])
    p.add_argument("--mode", default="eager", choices=["eager", "static", "compile"])
    p.add_argument("--repeat", type=int, default=2, help="timed passes; the best counts")
    a = p.parse_args()
    if a.make:
        return make(a)
    cores = len(os.sched_getaffinity(0))
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(cores)
    model = transformers.Qwen3ForCausalLM.from_pretrained(a.model, dtype=torch.bfloat16 if a.dtype == "bf16" else torch.float32).eval()
    ids = torch.tensor(json.load(open(os.path.join(a.model, "prompts.json")))[:a.batch])
    if a.mode == "compile":
        model.forward = torch.compile(model.forward)
    how = dict(do_sample=False, use_cache=True, pad_token_id=0, eos_token_id=None, attention_mask=torch.ones_like(ids),
               **(dict(cache_implementation="static") if a.mode != "eager" else {}))
    with torch.inference_mode():
        t = time.perf_counter()
        model.generate(ids, max_new_tokens=a.new_tokens if a.mode == "compile" else 8, **how)
        warm = time.perf_counter() - t
        times, others = [], []
        for _ in range(a.repeat):
            busy, own = cpu_seconds()
            t = time.perf_counter()
            out = model.generate(ids, max_new_tokens=a.new_tokens, **how)
            times.append(time.perf_counter() - t)
            busy1, own1 = cpu_seconds()
            others.append(max(0.0, (busy1 - busy) - (own1 - own)) / times[-1])
    tokens = (out.shape[1] - ids.shape[1]) * out.shape[0]
    print(json.dumps(dict(dtype=a.dtype, mode=a.mode, batch=a.batch, tokens=tokens, tokens_per_s=round(tokens / min(times), 3), seconds=[round(t, 3) for t in times],
                          warmup_s=round(warm, 2), threads=torch.get_num_threads(), others_cores=round(max(others), 2),
                          torch=torch.__version__, transformers=transformers.__version__)), flush=True)


if __name__ == "__main__":
    main()
