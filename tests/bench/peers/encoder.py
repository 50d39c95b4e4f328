#!/usr/bin/env python3
"""Times our encoder beside ONNX Runtime (fp32) and sentence-transformers on the same token ids.

    encoder.py BENCH_ENCODER MODEL_DIR SCRATCH_DIR [TEXTS] [--threads 1,2] [--seconds 2] [--rounds 3]

(needs onnxruntime, torch, transformers, sentence-transformers, and `onnx` for the first export.) The
model is exported once into SCRATCH_DIR by torch.onnx. All take turns in every round, and the fastest
pass of each counts. Peers get their best: ids tokenised beforehand (ours tokenises TEXTS within its
time), texts sorted by length, all graph optimisations, intra-op threads = threads, the best of
several batch sizes; pooling is left out for them.
"""
import argparse
import json
import os
import subprocess
import sys
import time

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_DEBUG_CPU_TYPE"):
    os.environ.pop(name, None)  # a forced core would slow the peers down
import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402
import torch  # noqa: E402
from transformers import AutoModel, AutoTokenizer  # noqa: E402


def export(model_dir, scratch):
    path = os.path.join(scratch, "model.onnx")
    if not os.path.exists(path):
        os.makedirs(scratch, exist_ok=True)
        m = AutoModel.from_pretrained(model_dir, attn_implementation="eager").eval()
        ids = torch.ones(2, 8, dtype=torch.long)
        axes = {0: "n", 1: "t"}
        torch.onnx.export(m, (ids, ids, ids * 0), path, dynamo=False, opset_version=17,
                          input_names=["input_ids", "attention_mask", "token_type_ids"],
                          output_names=["hidden"], dynamic_axes={k: axes for k in
                          ("input_ids", "attention_mask", "token_type_ids", "hidden")})
    return path


def uniform(n):
    k, out = 0, []
    for _ in range(8192 // n):
        ids = [1000 + (k + i) * 7919 % 20000 for i in range(n - 2)]
        k += n - 2
        out.append([101] + ids + [102])
    return out


def batches(ids, size):
    order = sorted(ids, key=len, reverse=True)
    for i in range(0, len(order), size):
        part = order[i:i + size]
        width = len(part[0])
        a = np.zeros((len(part), width), dtype=np.int64)
        m = np.zeros_like(a)
        for r, row in enumerate(part):
            a[r, :len(row)] = row
            m[r, :len(row)] = 1
        yield a, m


def timed(run, ready, seconds):
    best, best_cpu, end, n = 1e30, 1e30, time.time() + seconds, 0
    while n < 1 or time.time() < end:
        t, c = time.perf_counter(), time.process_time()
        for a, m in ready:
            run(a, m)
        best = min(best, time.perf_counter() - t)
        best_cpu = min(best_cpu, time.process_time() - c)
        n += 1
    return best, best_cpu


def ort_runner(path, threads):
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    return lambda a, m: s.run(["hidden"], {"input_ids": a, "attention_mask": m, "token_type_ids": a * 0})


def torch_runner(model_dir, threads):
    torch.set_num_threads(threads)
    m = AutoModel.from_pretrained(model_dir).eval()

    def run(a, mask):
        with torch.inference_mode():
            m(torch.from_numpy(a), torch.from_numpy(mask))
    return run


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bench"), p.add_argument("model"), p.add_argument("scratch"), p.add_argument("texts", nargs="?")
    p.add_argument("--threads", default="1,2"), p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--rounds", type=int, default=3), p.add_argument("--cases", default="16,128,256")
    p.add_argument("--peers", default="ort,torch"), p.add_argument("--batches", default="1,4,8,32")
    a = p.parse_args()
    path, tok = export(a.model, a.scratch), AutoTokenizer.from_pretrained(a.model)
    cases = {n: uniform(int(n)) for n in a.cases.split(",") if n}
    if a.texts:
        texts = open(a.texts, encoding="utf-8").read().rstrip("\0").split("\0")
        cases[a.texts] = tok(texts, truncation=True, max_length=256)["input_ids"]
    print(f"{'tokens':>8} {'threads':>7} {'engine':>8} {'texts/s':>9} {'tokens/s':>9} {'cpu s':>7}   ours against it")
    for threads in map(int, a.threads.split(",")):
        run = {"ort": ort_runner(path, threads)} if "ort" in a.peers else {}
        if "torch" in a.peers:
            run["torch"] = torch_runner(a.model, threads)
        for case, ids in cases.items():
            n_tok, best = sum(map(len, ids)), {}
            for r in range(a.rounds):
                out = subprocess.run([a.bench, a.model, case, str(threads), str(a.seconds)], check=True,
                                     stdout=subprocess.PIPE)
                f = json.loads(out.stdout)
                cand = [("ours", n_tok / f["tokens_s"], f["cpu_s"])]
                for name, fn in run.items():
                    sizes = [int(b) for b in a.batches.split(",")] if r == 0 else (best[name][2],)
                    for b in sizes:
                        t, c = timed(fn, list(batches(ids, b)), a.seconds / len(sizes))
                        if name not in best or t < best[name][0]:
                            best[name] = (t, min(c, best.get(name, (0, 1e30))[1]), b)
                for name, t, c in cand:
                    if name not in best or t < best[name][0]:
                        best[name] = (t, min(c, best.get(name, (0, 1e30))[1]), 0)
            for name, (t, c, b) in best.items():
                label = os.path.basename(case)[:8]
                against = "" if name == "ours" else \
                    f"{t / best['ours'][0]:.2f}x wall, {c / best['ours'][1]:.2f}x cpu (batch {b})"
                print(f"{label:>8} {threads:>7} {name:>8} {len(ids) / t:9.1f} {n_tok / t:9.0f} {c:7.3f}   {against}",
                      flush=True)


sys.exit(main())
