#!/usr/bin/env python3
"""Times a training step beside PyTorch's on the same token ids: MiniLM, pairs, MNRL, AdamW.

    train.py BENCH_TRAIN MODEL_DIR SCRATCH_DIR [PAIRS.tsv] [--threads 2] [--seconds 6] [--rounds 3]
             [--batch 32] [--cases 32,64,128] [--precisions fp32,bf16] [--memory]

(needs torch and transformers.) PyTorch gets its best: scaled dot-product attention, each batch padded to its
own longest text, anchors and positives in one forward, mean pooling, dropout 0.1, gradient clipping, the
fused AdamW; bf16 is torch.autocast. PAIRS.tsv: the first two columns of each line, batched in the file's
order, and timed after the other cases. Both sides take turns in every round; tokens are real ones, without
padding. --memory: each side's peak in a process of its own (the largest resident set), for the longest case.
"""
import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import time

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_DEBUG_CPU_TYPE"):
    os.environ.pop(name, None)  # a forced core would slow the peer down


def uniform(length, n_pairs):
    return [[[1000 + (b * 4096 + s * length + i) * 7919 % 20000 for i in range(length)]
             for s in range(2 * n_pairs)] for b in range(4)]


def pairs(path, model_dir, n_pairs, most=64):
    from transformers import AutoTokenizer
    tok = AutoTokenizer.from_pretrained(model_dir)
    rows = [line.rstrip("\n").split("\t")[:2] for line in open(path, encoding="utf-8")]
    rows = [r for r in rows[1:] if len(r) == 2 and all(r)][:most * n_pairs]
    out = []
    for i in range(0, len(rows) - n_pairs + 1, n_pairs):
        part = rows[i:i + n_pairs]
        out.append(tok([r[0] for r in part] + [r[1] for r in part], truncation=True, max_length=256)["input_ids"])
    return out


def write(batches, path):
    with open(path, "wb") as f:
        for b in batches:
            n = [len(b)] + [len(s) for s in b] + [t for s in b for t in s]
            f.write(struct.pack(f"<{len(n)}i", *n))


class Peer:
    def __init__(self, model_dir, threads, bf16):
        import torch
        from transformers import AutoModel
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        self.torch, self.bf16 = torch, bf16
        self.model = AutoModel.from_pretrained(model_dir, attn_implementation="sdpa", add_pooling_layer=False)
        self.model.train()
        named = list(self.model.named_parameters())
        plain = [p for n, p in named if "bias" in n or "LayerNorm" in n]
        decay = [p for n, p in named if not ("bias" in n or "LayerNorm" in n)]
        self.params = [p for _, p in named]
        self.adamw = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01},
                                        {"params": plain, "weight_decay": 0.0}], lr=1e-6, fused=True)

    def tensors(self, batches):
        torch, out = self.torch, []
        for b in batches:
            width = max(map(len, b))
            ids, mask = torch.zeros(len(b), width, dtype=torch.long), torch.zeros(len(b), width, dtype=torch.long)
            for i, s in enumerate(b):
                ids[i, :len(s)] = torch.tensor(s)
                mask[i, :len(s)] = 1
            out.append((ids, mask, sum(map(len, b))))
        return out

    def step(self, ids, mask):
        torch = self.torch
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            m = mask.unsqueeze(-1).to(hidden.dtype)
            x = torch.nn.functional.normalize((hidden * m).sum(1) / m.sum(1)).float()
            half = len(ids) // 2
            loss = torch.nn.functional.cross_entropy(20 * x[:half] @ x[half:].T, torch.arange(half))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.adamw.step()
        self.adamw.zero_grad()
        return float(loss)

    def measure(self, ready, seconds):
        tokens, n, t, c = 0, 0, time.perf_counter(), time.process_time()
        while n == 0 or time.perf_counter() - t < seconds:
            ids, mask, real = ready[n % len(ready)]
            self.step(ids, mask)
            tokens, n = tokens + real, n + 1
        return tokens / (time.perf_counter() - t), tokens / (time.process_time() - c)


class Ours:
    def __init__(self, bench, model_dir, threads, precision):
        self.p = subprocess.Popen([bench, model_dir, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.threads, self.precision = threads, precision
        assert json.loads(self.p.stdout.readline())["ready"]

    def measure(self, path, seconds):
        self.p.stdin.write(f"file\t{path}\t{self.threads}\t{self.precision}\t{seconds}\n")
        self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def memory(a, cases):
    name, batches = list(cases.items())[-1]
    path = os.path.join(a.scratch, f"{name}.batches")
    if a.peer_memory:  # the child
        peer = Peer(a.model, a.threads, a.peer_memory == "bf16")
        peer.measure(peer.tensors(batches), 0)
        peer.measure(peer.tensors(batches), 0)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    for precision in a.precisions.split(","):
        ours = Ours(a.bench, a.model, a.threads, precision)
        ours.measure(path, 0)
        peak = ours.measure(path, 0)["peak_mib"]
        ours.close()
        out = subprocess.run([sys.executable] + sys.argv + ["--peer-memory", precision], check=True,
                             stdout=subprocess.PIPE, text=True)
        theirs = float(out.stdout.split()[-1])
        print(f"peak of {name} in {precision}: ours {peak:.0f} MiB, PyTorch {theirs:.0f} MiB, ratio {peak / theirs:.2f}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bench"), p.add_argument("model"), p.add_argument("scratch"), p.add_argument("pairs", nargs="?")
    p.add_argument("--threads", type=int, default=2), p.add_argument("--seconds", type=float, default=6)
    p.add_argument("--rounds", type=int, default=3), p.add_argument("--batch", type=int, default=32)
    p.add_argument("--cases", default="32,64,128"), p.add_argument("--precisions", default="fp32,bf16")
    p.add_argument("--memory", action="store_true"), p.add_argument("--peer-memory")
    a = p.parse_args()
    os.makedirs(a.scratch, exist_ok=True)
    cases = {n: uniform(int(n), a.batch) for n in a.cases.split(",") if n}
    if a.pairs:
        cases["pairs"] = pairs(a.pairs, a.model, a.batch)
    for name, batches in cases.items():
        write(batches, os.path.join(a.scratch, f"{name}.batches"))
    if a.memory or a.peer_memory:
        memory(a, cases)
        return
    print(f"{'tokens':>8} {'numbers':>8} {'ours tok/s':>11} {'PyTorch':>9} {'ratio':>6}   by CPU time")
    for precision in a.precisions.split(","):
        peer, ours = Peer(a.model, a.threads, precision == "bf16"), Ours(a.bench, a.model, a.threads, precision)
        for name, batches in cases.items():
            ready, path = peer.tensors(batches), os.path.join(a.scratch, f"{name}.batches")
            rate, cpu, ratio, cpu_ratio = [], [], [], []
            for r in range(a.rounds + 1):  # the first warms up
                mine = ours.measure(path, a.seconds if r else 0)
                theirs, theirs_cpu = peer.measure(ready, a.seconds if r else 0)
                if r:
                    rate.append((mine["tokens_s"], theirs))
                    ratio.append(mine["tokens_s"] / theirs)
                    cpu_ratio.append(1 / mine["cpu_s_token"] / theirs_cpu)
            middle = sorted(range(a.rounds), key=lambda i: ratio[i])[a.rounds // 2]
            print(f"{name:>8} {precision:>8} {rate[middle][0]:>11.0f} {rate[middle][1]:>9.0f} {ratio[middle]:>6.2f}"
                  f"   {sorted(cpu_ratio)[a.rounds // 2]:.2f}", flush=True)
        ours.close()


main()
