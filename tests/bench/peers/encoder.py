#!/usr/bin/env python3
"""Our encoder beside the peers, each at its best setting, interleaved, with the roof in the same run.

    encoder.py BENCH_ENCODER MODEL_DIR CACHE_DIR [--texts NAME=PATH]... [--json OUT] [--quick]

Every engine is a process of its own that stays (engine.py; ours is bench_encoder --serve). First each
finds its best setting for the case; then, round after round, all take a sample in turn, and the roof of
the engine's precision (multiply-adds on registers alone, all threads) is measured just before and after
it. Figures are medians over the rounds, with the smallest and largest. "of roof" is useful operations
a second / the highest roof measured in that case for the precision: the shares of two engines compare as
their speeds do, and a disturbed probe flatters nobody; useful means the encoder's matrix products without padding.

--texts: a file of texts (each ended by a NUL byte), or a folder or .jsonl file to take some of: from
UTF-8 to unit vectors, sentence-transformers with its own batching, the others after the `tokenizers`
library with batches sorted by length.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import models  # noqa: E402
from texts import texts_of  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = [("semsearch", p) for p in ("fp32", "bf16", "int8")]
PEERS = [("onnxruntime", "fp32"), ("openvino", "fp32"), ("ctranslate2", "fp32"), ("torch", "fp32"),
         ("openvino", "bf16"), ("torch", "bf16"),
         ("onnxruntime", "int8"), ("openvino", "int8"), ("ctranslate2", "int8")]
WHOLE = [("sentence-transformers", "fp32"), ("openvino", "fp32"),
         ("sentence-transformers", "bf16"), ("openvino", "bf16"), ("onnxruntime", "int8"), ("openvino", "int8")]
PASS_TOKENS = {"small": 8192, "large": 2048}  # of one sample's texts


def median(x):
    x = sorted(x)
    return (x[len(x) // 2] + x[(len(x) - 1) // 2]) / 2


class Child:
    """One engine, ours or a peer's; `gone` says why it is not there."""

    def __init__(self, name, precision, a, folder, texts):
        self.name, self.precision, self.gone, self.version, self.info = name, precision, None, "", {}
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        if name == "semsearch":
            command = [a.bench, folder, precision, "--serve"]
        else:
            cache = os.path.join(a.cache, "for-" + os.path.basename(os.path.normpath(folder)))
            os.makedirs(cache, exist_ok=True)
            command = [sys.executable, os.path.join(HERE, "engine.py"), name, precision, folder, cache,
                       str(a.threads)] + ([texts] if texts else [])
        log = open(os.path.join(a.cache, f"{name}-{precision}.log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                        text=True, env=env)
        self.log = log.name
        hello = self.hear()
        if hello:
            self.version = hello.get("version", "")
            self.info = hello

    def hear(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        with open(self.log, encoding="utf-8") as f:
            last = (f.read().strip().splitlines() or [""])[-1][:200]
        self.gone = f"ended with status {self.process.wait()}; {last}"
        return None

    def ask(self, request, threads):
        if self.gone:
            return None
        if self.name == "semsearch":
            q = request
            words = {"ids": ("ids", q.get("tokens"), q.get("texts"), threads, q["seconds"]),
                     "one": ("one", q.get("tokens"), threads, q["seconds"]),
                     "file": ("file", q.get("path"), threads, q["seconds"])}[q["do"]]
            return self.exchange("\t".join(map(str, words)))
        return self.exchange(json.dumps(request))

    def exchange(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # hear() finds out why
        return self.hear()

    def roof(self, threads):
        return 0 if self.gone else (self.exchange(f"roof\t{threads}") or {"roof": 0})["roof"]

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


def measure(label, case, request, engines, children, a, rounds, work):
    """All engines in turn, `rounds` times; prints and returns a row each."""
    rows = {}
    for key in engines:
        c = children[key]
        c.ask(dict(request, seconds=0), a.threads)  # settles on a setting
        rows[key] = {"model": label, "case": case, "do": request["do"], "engine": c.name, "precision": c.precision,
                     "threads": a.threads, "version": c.version, "texts_s": [], "tokens_s": [], "ms": [], "roof": []}
    for r in range(rounds):
        for i in range(len(engines)):
            key = engines[(i + r) % len(engines)]
            probe = children[("semsearch", key[1])]
            before = probe.roof(a.threads)
            f = children[key].ask(request, a.threads)
            after = probe.roof(a.threads)
            if f:
                row = rows[key]
                for name in ("texts_s", "tokens_s", "ms"):
                    row[name].append(f[name])
                row["roof"].append((before + after) / 2)
                row["setting"] = f.get("setting", "")
    best, roofs = {}, {}
    for row in rows.values():
        roofs.setdefault(row["precision"], []).extend(row["roof"])
    for row in rows.values():
        if not row["texts_s"]:
            row["missing"] = children[(row["engine"], row["precision"])].gone
            continue
        for name in ("texts_s", "tokens_s", "ms"):
            row["median_" + name] = median(row[name])
        if work and min(row["roof"]) > 0:
            row["of_roof"] = row["median_texts_s"] * work / max(roofs[row["precision"]])
        if row["engine"] != "semsearch":
            best[row["precision"]] = max(best.get(row["precision"], 0), row["median_texts_s"])
    print(f"\n{label}, {case}")
    print(f"{'engine':22} {'':5} {'texts/s':>9} {'(min - max)':>19} {'tokens/s':>9} {'ms':>8} {'of roof':>8}  setting")
    for row in rows.values():
        name = f"{row['engine']:22} {row['precision']:5}"
        if "missing" in row:
            print(f"{name} not on this machine: {row['missing']}")
            continue
        spread = f"({min(row['texts_s']):.1f} - {max(row['texts_s']):.1f})"
        roof = f"{row['of_roof'] * 100:7.1f}%" if "of_roof" in row else f"{'':8}"
        note = row["setting"]
        if row["engine"] == "semsearch" and best.get(row["precision"]):
            row["against_best_peer"] = row["median_texts_s"] / best[row["precision"]]
            note = f"{row['against_best_peer']:.2f} x the best peer in {row['precision']}"
        print(f"{name} {row['median_texts_s']:9.1f} {spread:>19} {row['median_tokens_s']:9.0f} "
              f"{row['median_ms']:8.2f} {roof}  {note}")
    sys.stdout.flush()
    return list(rows.values())


def start(engines, a, folder, texts):
    """Peers export their models now, one after the other."""
    return {key: Child(*key, a, folder, texts) for key in engines}


def uniform(label, folder, cases, size, a, texts, rounds):
    children = start(OURS + PEERS, a, folder, texts)
    rows = []
    info = children[OURS[0]].info
    if not info:
        sys.exit(f"bench_encoder: {children[OURS[0]].gone}")
    work = dict(zip((16, 128, 256), info["work"]))
    for tokens in cases:
        request = {"do": "ids", "tokens": tokens,
                   "texts": max(1, (2048 if a.quick else PASS_TOKENS[size]) // tokens), "seconds": a.seconds, "few": size == "large" or a.quick}
        rows += measure(label, f"{tokens} tokens", request, OURS + PEERS, children, a, rounds, work[tokens])
    if size == "small":
        request = {"do": "one", "tokens": 16, "seconds": a.seconds / 2}
        rows += measure(label, "one text of 16 tokens", request, OURS + PEERS, children, a, rounds, work[16])
    for c in children.values():
        c.close()
    return rows, info


def ragged(label, name, path, a, rounds):
    children = start(OURS + WHOLE, a, a.model, path)
    request = {"do": "file", "path": path, "seconds": 0}
    rows = measure(label, name, request, OURS + WHOLE, children, a, rounds, 0)
    for c in children.values():
        c.close()
    base = {r["precision"]: r for r in rows if r["engine"] == "sentence-transformers" and "missing" not in r}
    for r in rows:
        if "missing" not in r and "fp32" in base and r["engine"] == "semsearch":
            r["against_sentence_transformers_fp32"] = r["median_texts_s"] / base["fp32"]["median_texts_s"]
            print(f"semsearch {r['precision']}: {r['against_sentence_transformers_fp32']:.2f} x sentence-transformers fp32")
    return rows


def some_texts(source, a, n):
    """n texts, evenly taken, as a NUL-terminated file in the cache folder."""
    name, _, path = source.partition("=")
    if os.path.isfile(path) and not path.endswith(".jsonl"):
        return name, path
    all_texts = [t for t in texts_of(path) if len(t.split()) >= 5]
    out = os.path.join(a.cache, f"texts-{name}-{n}.bin")
    step = max(1, len(all_texts) // n)
    with open(out, "wb") as f:
        f.write(b"".join(t.encode() + b"\0" for t in all_texts[::step][:n]))
    return name, out


def machine():
    info = {}
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            k, _, v = line.partition(":")
            info.setdefault(k.strip(), v.strip())
    return {"vendor": info.get("vendor_id", ""), "family": info.get("cpu family", ""), "model": info.get("model", ""),
            "cores": len(os.sched_getaffinity(0)),
            "flags": [x for x in info.get("flags", "").split() if x.startswith(("avx", "amx", "fma"))]}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bench"), p.add_argument("model"), p.add_argument("cache")
    p.add_argument("--texts", action="append", default=[]), p.add_argument("--json"), p.add_argument("--quick", action="store_true")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--seconds", type=float), p.add_argument("--rounds", type=int)
    p.add_argument("--cases", default="16,128,256"), p.add_argument("--base-cases", default="128")
    p.add_argument("--only", help="engines to compare with, by comma")
    a = p.parse_args()
    a.seconds = a.seconds if a.seconds is not None else 0.3 if a.quick else 0.8
    rounds = a.rounds or (2 if a.quick else 5)
    os.makedirs(a.cache, exist_ok=True)
    if a.only is not None:
        keep = a.only.split(",")
        PEERS[:] = [k for k in PEERS if k[0] in keep]
        WHOLE[:] = [k for k in WHOLE if k[0] in keep]
    sources = [some_texts(s, a, 32 if a.quick else 128) for s in a.texts]
    calibration = sources[0][1] if sources else None
    cases = [int(c) for c in a.cases.split(",") if c]
    rows, info = uniform("MiniLM-L6", a.model, cases, "small", a, calibration, rounds) if cases else ([], {})
    base_cases = [int(c) for c in a.base_cases.split(",") if c]
    if base_cases:
        folder = models.base(a.model, os.path.join(os.path.abspath(a.cache), "bert-base-shape"))
        rows += uniform("BERT-base shape", folder, base_cases, "large", a, calibration, min(rounds, 3))[0]
    for name, path in sources:
        rows += ragged("MiniLM-L6", name, path, a, min(rounds, 3))
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump({"schema": 1, "date": datetime.date.today().isoformat(), "machine": machine(),
                       "isa": info.get("isa", ""), "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
