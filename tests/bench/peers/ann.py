#!/usr/bin/env python3
"""Vector search of semsearch beside hnswlib, usearch and FAISS on the same vectors, taking turns.

    python3 tests/bench/peers/ann.py BENCH_SEARCH DOCS.npy QUERIES.npy [--rounds 5] [--only NAME,...] [--json FILE]

Every index is built with one thread (its CPU seconds are reported) and swept over its search parameter; the cheapest setting with
recall@10 >= 0.99 against exact fp32 is kept. The settings kept are then run in turns, all queries with one thread each, peers in one
call for all queries (their fastest way), ours one query after the other. Reported: recall, median microseconds of CPU time and of
wall time for a query, spread over rounds, ratio to ours. A recall counts a row as found when its cosine reaches that of the tenth
nearest (2e-5 apart: stored half floats). Then the same for filters that let 1, 10 and 50 % of the rows pass.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import faiss
import hnswlib
import numpy as np
from usearch.index import Index as Usearch

faiss.omp_set_num_threads(1)
K, GOAL = 10, 0.99


class Ours:
    """bench_search serve: one process that holds all kinds."""

    def __init__(self, program, docs, queries, n_queries, rows):
        # one core for all: what is compared runs on one thread, and so does building
        command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), program, "serve", "--docs", docs, "--queries", queries]
        self.program = subprocess.Popen(command + (["--rows", str(rows)] if rows else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.n = n_queries
        self.dir = tempfile.TemporaryDirectory()
        assert self.program.stdout.readline() == "ready\n"

    def ask(self, line):
        self.program.stdin.write(line + "\n")
        self.program.stdin.flush()
        return self.program.stdout.readline().split()

    def build(self, kind):
        return float(self.ask(f"build {kind}")[1])

    def filter(self, mask):
        if mask is None:
            return self.ask("filter none")
        path = pathlib.Path(self.dir.name, "mask")
        mask.astype(np.uint8).tofile(path)
        return self.ask(f"filter {path}")

    def run(self, kind, number):
        path = pathlib.Path(self.dir.name, "ids")
        wall, cpu = self.ask(f"run {kind} {number} {path}")
        return np.fromfile(path, dtype=np.int32).reshape(self.n, K), float(wall) / 1e3, float(cpu) / 1e3


def timed(call):
    wall, cpu = time.perf_counter(), time.process_time()
    ids = call()
    return ids, time.perf_counter() - wall, time.process_time() - cpu


class Peer:
    def __init__(self, name, build, search, sweep):
        self.name, self.search, self.sweep = name, search, sweep
        start = time.process_time()
        self.index = build()
        self.seconds = time.process_time() - start

    def run(self, number):
        return timed(lambda: self.search(self.index, number))


def hnswlib_build(docs, links=16):
    index = hnswlib.Index(space="ip", dim=docs.shape[1])
    index.init_index(max_elements=len(docs), M=links, ef_construction=200)
    index.set_num_threads(1)
    index.add_items(docs, num_threads=1)
    return index


def hnswlib_search(queries, allowed=None):
    def search(index, ef):
        index.set_ef(ef)
        accept = None if allowed is None else (lambda label: allowed[label])
        return index.knn_query(queries, k=K, num_threads=1, filter=accept)[0]
    return search


def usearch_build(docs, dtype):
    index = Usearch(ndim=docs.shape[1], metric="ip", dtype=dtype, connectivity=16, expansion_add=200)
    index.add(np.arange(len(docs)), docs, threads=1)
    return index


def usearch_search(queries):
    def search(index, ef):
        index.expansion_search = ef
        return index.search(queries, K, threads=1).keys
    return search


def faiss_build(docs, spec):
    index = faiss.index_factory(docs.shape[1], spec, faiss.METRIC_INNER_PRODUCT)
    if spec.startswith("HNSW"):
        index.hnsw.efConstruction = 200
    index.train(docs)
    index.add(docs)
    return index


def faiss_search(queries, setting):
    def search(index, number):
        faiss.ParameterSpace().set_index_parameters(index, setting % number)
        return index.search(queries, K)[1]
    return search


EF = [16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 200, 256, 320, 400]
PROBES = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256]
FAISS = [("HNSW16", "efSearch=%d", EF), ("HNSW32", "efSearch=%d", EF), ("NSG32", None, EF),
         ("HNSW32_SQfp16", "efSearch=%d", EF),
         ("IVF1024,Flat", "nprobe=%d", PROBES),
         ("IVF1024,PQ96x4fs,RFlat", "nprobe=%d,k_factor_rf=20", PROBES),
         ("IVF1024,PQ192x4fsr,RFlat", "nprobe=%d,k_factor_rf=10", PROBES),
         ("IVF256,PQ96x4fs,RFlat", "nprobe=%d,k_factor_rf=20", PROBES),
         ("PQ96x4fs,RFlat", "k_factor_rf=%d", [5, 10, 20, 40, 80]),
         ("PQ192x4fs,RFlat", "k_factor_rf=%d", [5, 10, 20, 40, 80])]


def faiss_nsg(queries):
    def search(index, ef):
        index.nsg.search_L = ef
        return index.search(queries, K)[1]
    return search


def peers_of(docs, queries, only):
    """Name, how to build, how to search, settings to try. Built one after the other as they are asked for."""
    table = [("hnswlib M16", lambda: hnswlib_build(docs), hnswlib_search(queries), EF),
             ("hnswlib M24", lambda: hnswlib_build(docs, 24), hnswlib_search(queries), EF)]
    table += [(f"usearch {d}", lambda d=d: usearch_build(docs, d), usearch_search(queries), EF) for d in ("bf16", "f16", "i8")]
    for spec, setting, sweep in FAISS:
        search = faiss_nsg(queries) if setting is None else faiss_search(queries, setting)
        table.append((f"faiss {spec}", lambda s=spec: faiss_build(docs, s), search, sweep))
    for row in table:
        if not only or any(word in row[0] for word in only):
            yield Peer(*row)


class Truth:
    """The cosine of the tenth nearest of each query, for the whole or a part of the rows."""

    def __init__(self, docs, queries, mask=None):
        self.docs, self.queries = docs, queries
        rows = docs if mask is None else docs[mask]
        self.floor = np.concatenate([np.partition(queries[i:i + 64] @ rows.T, -K, axis=1)[:, -K] for i in range(0, len(queries), 64)])

    def recall(self, ids):
        ids = np.asarray(ids).astype(np.int64)
        scores = np.einsum("qd,qkd->qk", self.queries, self.docs[np.maximum(ids, 0)])
        return float(((scores >= self.floor[:, None] - 2e-5) & (ids >= 0)).mean())


def cheapest(run, sweep, truth):
    """The first setting of a rising sweep that reaches the goal, or the last."""
    for number in sweep:
        recall = truth.recall(run(number)[0])
        if recall >= GOAL:
            break
    return number, recall


def turns(entries, rounds, n_queries):
    """entries: name -> (run, number). Returns name -> (cpu us, wall us, spread)."""
    times = {name: [] for name in entries}
    for _ in range(rounds):
        for name, (run, number) in entries.items():
            _, wall, cpu = run(number)
            times[name].append((cpu / n_queries * 1e6, wall / n_queries * 1e6))
    return {name: (statistics.median(c for c, _ in t), statistics.median(w for _, w in t), min(c for c, _ in t), max(c for c, _ in t))
            for name, t in times.items()}


def table(title, entries, found, built, times):
    print(title)
    best = min((times[n][0] for n in entries if n.startswith("semsearch") and found[n][1] >= GOAL), default=float("nan"))
    rows = []
    for name in sorted(entries, key=lambda n: times[n][0]):
        cpu, wall, low, high = times[name]
        number, recall = found[name]
        reached = "" if recall >= GOAL else "   below the goal"
        print(f"  {name:34} at {number:4}  recall {recall:.4f}  {cpu:8.1f} us cpu ({low:.1f} .. {high:.1f})  {wall:8.1f} us wall"
              f"  {cpu / best:6.2f} x ours  built in {built.get(name, 0):7.1f} s{reached}", flush=True)
        rows.append({"index": name, "setting": number, "recall": recall, "cpu_us": cpu, "cpu_us_min": low, "cpu_us_max": high,
                     "wall_us": wall, "built_s": built.get(name)})
    return rows


def compare(ours, docs, queries, options):
    truth = Truth(docs, queries)
    entries, found, built = {}, {}, {}
    for kind, sweep in (("flat", [0]), ("bits", [50, 60, 80, 100, 120, 150, 200, 300]), ("hnsw", EF)):
        name = f"semsearch {kind}"
        built[name] = ours.build(kind)
        print(f"  built {name}: {built[name]:.1f} s", flush=True)
        run = lambda number, kind=kind: ours.run(kind, number)
        found[name] = cheapest(run, sweep, truth)
        entries[name] = (run, found[name][0])
        entries[name + " as the program"] = (run, 0)
        found[name + " as the program"] = (0, truth.recall(run(0)[0]))
    kept = []
    for peer in peers_of(docs, queries, options.only.split(",") if options.only else []):
        built[peer.name] = peer.seconds
        found[peer.name] = cheapest(peer.run, peer.sweep, truth)
        print(f"  built {peer.name}: {peer.seconds:.1f} s, {found[peer.name]}", flush=True)
        if found[peer.name][1] >= GOAL:
            entries[peer.name] = (peer.run, found[peer.name][0])
            kept.append(peer)
    return kept, table("all rows", entries, found, built, turns(entries, options.rounds, len(queries)))


def compare_filtered(ours, docs, queries, options):
    out = {}
    for percent in (1, 10, 50):
        mask = np.random.default_rng(percent).random(len(docs)) < percent / 100
        truth = Truth(docs, queries, mask)
        ours.filter(mask)
        entries = {f"semsearch {kind}": (lambda number, kind=kind: ours.run(kind, number), 0) for kind in ("flat", "bits", "hnsw")}
        rows = docs[mask]
        entries["exact fp32 scan of the rows that pass"] = (lambda _: timed(lambda: exact_one_by_one(rows, queries)), 0)
        found = {name: (0, truth.recall(run(0)[0]) if name.startswith("semsearch") else 1.0) for name, (run, _) in entries.items()}
        out[percent] = table(f"{percent} % of the rows pass", entries, found, {}, turns(entries, options.rounds, len(queries)))
    ours.filter(None)
    return out


def exact_one_by_one(rows, queries):
    return [np.argpartition(rows @ q, -K)[-K:] for q in queries]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("program")
    p.add_argument("docs")
    p.add_argument("queries")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--only", default="", help="peers whose names contain one of these words")
    p.add_argument("--json")
    options = p.parse_args()
    docs, queries = np.load(options.docs), np.load(options.queries)
    ours = Ours(options.program, options.docs, options.queries, len(queries), 0)
    print(f"{len(docs)} vectors of {docs.shape[1]}, {len(queries)} queries, load {os.getloadavg()[0]:.1f}")
    _, rows = compare(ours, docs, queries, options)
    filtered = compare_filtered(ours, docs, queries, options)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"rows": len(docs), "all": rows, "filtered": filtered}, indent=1))


if __name__ == "__main__":
    main()
