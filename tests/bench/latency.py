#!/usr/bin/env python3
"""Cold and warm latency of `semsearch query` over an index.

    python3 tests/bench/latency.py SEMSEARCH INDEX [ROUNDS]

Cold: a fresh process for every question, file cache warm, wall time from start to exit. Warm: the same questions through one
process (`-` reads them from standard input), by the took_ms of each answer. Milliseconds: median and 95th percentile.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import time

QUESTIONS = ["how do I undo my last commit", "configure a timeout for requests", "why did the upload fail",
             "delete old backups automatically", "limit the rate of calls", "what does this error mean",
             "install from source", "rotate access keys", "difference between merge and rebase", "proxy authentication"]


def quantiles(values):
    values = sorted(values)
    return statistics.median(values), values[min(len(values) - 1, int(0.95 * len(values)))]


def cold(program, index, mode, rounds):
    times = []
    for i in range(rounds + 3):
        question = QUESTIONS[i % len(QUESTIONS)]
        start = time.perf_counter()
        subprocess.run([program, "query", "--index", index, "--mode", mode, "--json", question], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        times.append((time.perf_counter() - start) * 1e3)
    return quantiles(times[3:])


def warm(program, index, mode, rounds):
    text = "\n".join(QUESTIONS[i % len(QUESTIONS)] for i in range(rounds + 3)) + "\n"
    done = subprocess.run([program, "query", "--index", index, "--mode", mode, "--json", "-"], input=text.encode(),
                          stdout=subprocess.PIPE, check=True)
    return quantiles([q["took_ms"] for q in json.loads(done.stdout)["queries"]][3:])


def main():
    program, index = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 40
    status = json.loads(subprocess.run([program, "status", "--index", index, "--json"], stdout=subprocess.PIPE, check=True).stdout)
    print(f"{status['documents']} documents, {status['chunks']} chunks, {status['ann']['kind']}, "
          f"{status['bytes'] / max(1, status['chunks']):.0f} bytes per chunk on disk ({pathlib.Path(index).name})")
    for mode in ("keyword", "vector", "hybrid"):
        c, w = cold(program, index, mode, rounds), warm(program, index, mode, rounds)
        print(f"  {mode:8}  cold p50 {c[0]:7.2f} ms  p95 {c[1]:7.2f} ms   warm p50 {w[0]:6.2f} ms  p95 {w[1]:6.2f} ms")


if __name__ == "__main__":
    main()
