#!/usr/bin/env python3
"""Cold and warm latency of `semsearch query` over an index, alone or beside another build.

    python3 tests/bench/latency.py SEMSEARCH INDEX [ROUNDS] [--against SEMSEARCH INDEX] [--options "--threads 1"] [--modes hybrid]

Cold: a fresh process for every question, file cache warm, wall time from start to exit and CPU time of the process. Warm: the same
questions through one process (`-` reads them from standard input), by the took_ms of each answer. Milliseconds: median and 95th
percentile. With --against the two builds take turns, question by question, and the ratio of their medians is printed; each is given an
index of its own, since an older one may not read the format of the newer.

An index of many real passages without hours of encoding: index a small folder, then
`bench_search grow FOLDER/.semsearch --rows 1000000 --docs VECTORS.npy --text DOCUMENTS`.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

QUESTIONS = ["how do I undo my last commit", "configure a timeout for requests", "why did the upload fail",
             "delete old backups automatically", "limit the rate of calls", "what does this error mean",
             "install from source", "rotate access keys", "difference between merge and rebase", "proxy authentication"]


def quantiles(values):
    values = sorted(values)
    return statistics.median(values), values[min(len(values) - 1, int(0.95 * len(values)))]


class Build:
    def __init__(self, program, index, options):
        self.program, self.index, self.options = program, index, options

    def command(self, mode, question):
        return [self.program, "query", "--index", self.index, "--mode", mode, "--json", *self.options, question]

    def describe(self):
        status = subprocess.run([self.program, "status", "--index", self.index, "--json"], stdout=subprocess.PIPE, check=True)
        s = json.loads(status.stdout)
        return (f"{s['documents']} documents, {s['chunks']} chunks, {s['ann']['kind']}, "
                f"{s['bytes'] / max(1, s['chunks']):.0f} bytes per chunk on disk ({pathlib.Path(self.index).name})")

    def cold(self, mode, question):
        """Wall and CPU milliseconds of one process."""
        start = time.perf_counter()
        child = subprocess.Popen(self.command(mode, question), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        wall = (time.perf_counter() - start) * 1e3
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 1):
            raise SystemExit(f"{self.program} query ends with {child.returncode}")
        return wall, (used.ru_utime + used.ru_stime) * 1e3

    def warm(self, mode, rounds):
        text = "\n".join(QUESTIONS[i % len(QUESTIONS)] for i in range(rounds + 3)) + "\n"
        done = subprocess.run(self.command(mode, "-"), input=text.encode(), stdout=subprocess.PIPE, check=True)
        return quantiles([q["took_ms"] for q in json.loads(done.stdout)["queries"]][3:])


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("program")
    p.add_argument("index")
    p.add_argument("rounds", nargs="?", type=int, default=40)
    p.add_argument("--against", nargs=2, metavar=("SEMSEARCH", "INDEX"))
    p.add_argument("--options", default="", help="given to every query")
    p.add_argument("--modes", default="keyword,vector,hybrid")
    o = p.parse_args()
    builds = [Build(o.program, o.index, o.options.split())]
    if o.against:
        builds.append(Build(*o.against, o.options.split()))
    for b in builds:
        print(f"{b.program}: {b.describe()}")
    for mode in o.modes.split(","):
        times = [[] for _ in builds]
        for i in range(o.rounds + 3):
            for b, t in zip(builds, times):
                t.append(b.cold(mode, QUESTIONS[i % len(QUESTIONS)]))
        medians = []
        for b, t in zip(builds, times):
            wall, cpu, w = quantiles([x[0] for x in t[3:]]), quantiles([x[1] for x in t[3:]]), b.warm(mode, o.rounds)
            medians.append((wall[0], cpu[0]))
            print(f"  {mode:8}  cold p50 {wall[0]:7.2f} ms  p95 {wall[1]:7.2f} ms  cpu {cpu[0]:6.2f} ms"
                  f"   warm p50 {w[0]:6.2f} ms  p95 {w[1]:6.2f} ms   load {os.getloadavg()[0]:.1f}")
        if o.against:
            print(f"            other / this: wall {medians[1][0] / medians[0][0]:.2f}, cpu {medians[1][1] / medians[0][1]:.2f}")


if __name__ == "__main__":
    main()
