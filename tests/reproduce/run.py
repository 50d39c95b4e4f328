"""Trains every experiment with semsearch, scores it beside PyTorch's folder, writes the table.

usage: run.py SEMSEARCH PREPARED MODEL OUT [NAME...]

PREPARED is what prepare.py wrote. Trains into OUT/NAME-ours; when OUT/NAME-peer (of peer.py) is there,
it is scored by the same commands. Writes OUT/NAME.json and prints one line of a Markdown table
each. Needs nothing but Python.
"""

import json
import os
import subprocess
import sys
import time

from experiments import EXPERIMENTS

DATA = {"sentence-similarity": "tsv", "text-classification": "tsv", "token-classification": "conll",
        "question-answering": "json"}


def call(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def train_command(e, semsearch, prepared, model, out):
    command = [semsearch, "train", e.task, "--data", f"{prepared}/train.{DATA[e.task]}",
               "--base", f"{prepared}/base" if e.base == "head" else model, "--out", out,
               "--overwrite", "--no-shuffle", "--epochs", "1", "--dropout", "0",
               "--learning-rate", str(e.rate), "--batch-size", str(e.batch),
               "--max-length", str(e.length), "--warmup-ratio", "0.1", "--quiet"]
    if e.loss == "cosent":
        command += ["--loss", "cosent"]
    return command + e.options


def score(e, semsearch, prepared, model):
    """name -> figure, in hundredths."""
    if e.search:
        out = json.loads(call([semsearch, "eval", "search", "--data", f"{prepared}/{e.search}",
                               "--model", model, "--json"]))
        return {m: 100 * out["modes"][m]["ndcg@10"] for m in ("vector", "hybrid")}
    out = json.loads(call([semsearch, "eval", e.task, "--data",
                           f"{prepared}/dev.{DATA[e.task]}", "--model", model, "--json"]))
    value = out.get(e.figure, out.get("measures", {}).get(e.figure))
    return {e.figure: value * (100 if value <= 1 else 1)}


def text(figures):
    if figures is None:
        return ""
    return ", ".join(f"{k} {v:.2f}" for k, v in figures.items())


def run(e, semsearch, prepared, model, out):
    result = {"name": e.name, "task": e.task}
    command = train_command(e, semsearch, prepared, model, f"{out}/{e.name}-ours")
    begin = time.time()
    call(command)
    result["seconds"] = time.time() - begin
    result["command"] = " ".join(["semsearch"] + command[1:])
    if e.base == "model":
        result["before"] = score(e, semsearch, prepared, model)
    result["after"] = score(e, semsearch, prepared, f"{out}/{e.name}-ours")
    if os.path.exists(f"{out}/{e.name}-peer/peer.json"):
        result["peer"] = score(e, semsearch, prepared, f"{out}/{e.name}-peer")
    with open(f"{out}/{e.name}.json", "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
    return result


def main():
    semsearch, prepared, model, out = sys.argv[1:5]
    print("| experiment | task | before | semsearch | PyTorch |\n|---|---|---|---|---|")
    for e in EXPERIMENTS:
        if sys.argv[5:] and e.name not in sys.argv[5:]:
            continue
        r = run(e, semsearch, f"{prepared}/{e.name}", model, out)
        print(f"| {e.name} | {e.task} | {text(r.get('before'))} | {text(r['after'])} | "
              f"{text(r.get('peer'))} |", flush=True)


if __name__ == "__main__":
    main()
