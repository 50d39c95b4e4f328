"""Prepares every reproduction: splits, order of rows, base folders with heads.

usage: prepare.py DATA MODEL OUT [NAME...]

DATA has the unpacked sets, MODEL is the folder of all-MiniLM-L6-v2. Writes OUT/NAME/train.*,
OUT/NAME/dev.* and, where the task needs a head, OUT/NAME/base. Needs transformers.
"""

import csv
import json
import os
import random
import re
import sys

from experiments import EXPERIMENTS

SEED = 42
OTHERS = 600  # documents beside the relevant ones in a held-out collection


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def clean(text):
    return " ".join(text.split())


def write_tsv(path, columns, rows):
    with open(path, "w", encoding="utf-8") as f:
        f.write("\t".join(columns) + "\n")
        for r in rows:
            f.write("\t".join(clean(str(r[c])) for c in columns) + "\n")


def epochs_of(rows, e):
    """The rows of all epochs, each in an order of its own."""
    order = random.Random(SEED)
    rows = list(rows)
    if e.rows and len(rows) > e.rows:
        order.shuffle(rows)
        rows = rows[: e.rows]
    out = []
    for _ in range(e.epochs):
        order.shuffle(rows)
        out += rows
    return out


def similarity_rows(e, train, dev, columns, out):
    write_tsv(f"{out}/train.tsv", columns, epochs_of(train, e))
    write_tsv(f"{out}/dev.tsv", columns, dev)


def stsb(e, data, out):
    similarity_rows(e, rows_of(f"{data}/stsb/train.tsv"), rows_of(f"{data}/stsb/dev.tsv"),
                    ["sentence1", "sentence2", "score"], out)


def jsonl(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def write_beir(folder, corpus, queries, judged):
    os.makedirs(f"{folder}/qrels", exist_ok=True)
    with open(f"{folder}/corpus.jsonl", "w", encoding="utf-8") as f:
        for d in corpus:
            f.write(json.dumps(d, ensure_ascii=False) + "\n")
    with open(f"{folder}/queries.jsonl", "w", encoding="utf-8") as f:
        for q in queries:
            f.write(json.dumps(q, ensure_ascii=False) + "\n")
    with open(f"{folder}/qrels/test.tsv", "w", encoding="utf-8") as f:
        f.write("query-id\tcorpus-id\tscore\n")
        for q, d in judged:
            f.write(f"{q}\t{d}\t1\n")


def text_of(d):
    return clean((d.get("title") or "") + " " + d["text"])


def split_judged(judged, share):
    """Sides without a document in common: whole components of the graph of questions and answers."""
    parent = {}

    def find(x):
        while parent.setdefault(x, x) != x:
            x = parent[x]
        return x

    for q, d in judged:
        parent[find("q" + q)] = find("d" + d)
    groups = {}
    for q, d in judged:
        groups.setdefault(find("q" + q), []).append((q, d))
    keys = sorted(groups)
    random.Random(SEED).shuffle(keys)
    cut = int(len(keys) * share)
    return ([p for k in keys[:cut] for p in groups[k]], [p for k in keys[cut:] for p in groups[k]])


def judged_of(path):
    return [(r["query-id"], r["corpus-id"]) for r in rows_of(path) if int(r["score"]) > 0]


def judged_set(e, corpus, queries, judged, out, others):
    by_id = {d["_id"]: d for d in corpus}
    text = {q["_id"]: q["text"] for q in queries}
    train, held = split_judged(judged, 0.6)
    pairs = [{"anchor": text[q], "positive": text_of(by_id[d])} for q, d in train]
    write_tsv(f"{out}/train.tsv", ["anchor", "positive"], epochs_of(pairs, e))
    write_tsv(f"{out}/dev.tsv", ["anchor", "positive"],
              [{"anchor": text[q], "positive": text_of(by_id[d])} for q, d in held])
    relevant = {d for _, d in held}
    trained = {d for _, d in train}
    rest = [d for d in corpus if d["_id"] not in relevant and d["_id"] not in trained]
    random.Random(SEED).shuffle(rest)
    asked = {q for q, _ in held}
    write_beir(f"{out}/{e.search}", [by_id[d] for d in sorted(relevant)] + rest[:others],
               [q for q in queries if q["_id"] in asked], held)


def scifact(e, data, out):
    judged_set(e, jsonl(f"{data}/scifact/corpus.jsonl"),
               jsonl(f"{data}/scifact/queries.train.jsonl"),
               judged_of(f"{data}/scifact/qrels/train.tsv"), out, OTHERS)


def cosqa(e, data, out):
    judged_set(e, jsonl(f"{data}/cosqa/corpus.jsonl"), jsonl(f"{data}/cosqa/queries.dev.jsonl"),
               judged_of(f"{data}/cosqa/qrels/dev.tsv"), out, OTHERS)


def markdown_pairs(text):
    """Title to body and heading to section, links and markup taken off."""
    text = re.sub(r"<a [^>]*></a>|\\|\*\*", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    head, body = None, []
    for line in text.split("\n") + ["# end"]:
        m = re.match(r"#+\s+(.*)", line)
        if not m:
            body.append(line)
            continue
        words = " ".join(body).split()
        if head and len(words) >= 15:
            yield {"anchor": head, "positive": " ".join(words[:100])}
        head, body = clean(m.group(1)), []


def aws_pairs(e, data, out):
    root = f"{data}/aws-docs-full/docs"
    files = sorted(os.path.join(d, f) for d, _, names in os.walk(root) for f in names
                   if f.endswith(".md"))
    random.Random(SEED).shuffle(files)
    pairs, seen = [], set()
    for path in files:
        for p in markdown_pairs(open(path, encoding="utf-8", errors="replace").read()):
            if len(p["anchor"].split()) >= 3 and p["anchor"] not in seen:
                seen.add(p["anchor"])
                pairs.append(p)
        if len(pairs) >= 3 * e.rows:
            break
    similarity_rows(e, pairs[500:], pairs[:500], ["anchor", "positive"], out)
    root = f"{data}/aws-docs/docs"
    corpus = []
    for d, _, names in os.walk(root):
        for f in sorted(names):
            if f.endswith(".md"):
                path = os.path.join(d, f)
                corpus.append({"_id": os.path.relpath(path, root), "title": "",
                               "text": open(path, encoding="utf-8", errors="replace").read()[:4000]})
    corpus.sort(key=lambda d: d["_id"])
    judged = judged_of(f"{data}/aws-docs/qrels/dev.tsv")
    relevant = {d for _, d in judged}
    rest = [d for d in corpus if d["_id"] not in relevant]
    random.Random(SEED).shuffle(rest)
    write_beir(f"{out}/{e.search}",
               [d for d in corpus if d["_id"] in relevant] + rest[:OTHERS],
               jsonl(f"{data}/aws-docs/queries.dev.jsonl"), judged)


def held_out(rows, n):
    rows = list(rows)
    random.Random(SEED).shuffle(rows)
    return rows[n:], rows[:n]


def classification(e, data, out):
    train = rows_of(f"{data}/{e.name}/train.tsv")
    if os.path.exists(f"{data}/{e.name}/dev.tsv"):
        dev = rows_of(f"{data}/{e.name}/dev.tsv")
    else:
        train, dev = held_out(train, len(train) // 8)
    text = [c for c in ("sentence", "text", "question", "sentence1", "sentence2") if c in train[0]]
    for r in train + dev:
        if len(text) == 1:
            r["text"] = r[text[0]]
    columns = (["text"] if len(text) == 1 else text) + ["label"]
    write_tsv(f"{out}/train.tsv", columns, epochs_of(train, e))
    write_tsv(f"{out}/dev.tsv", columns, dev)
    return sorted({r["label"] for r in train})


def conll(path):
    sentences, words = [], []
    for line in open(path, encoding="utf-8").read().split("\n") + [""]:
        if line.strip():
            words.append(line.split("\t"))
        elif words:
            sentences.append(words)
            words = []
    return sentences


def entities(e, data, out):
    folder = {"wikiann": "wikiann-en"}.get(e.name, e.name)
    sides = {"train": epochs_of(conll(f"{data}/{folder}/train.conll"), e),
             "dev": conll(f"{data}/{folder}/dev.conll")[:4000]}
    for side, sentences in sides.items():
        with open(f"{out}/{side}.conll", "w", encoding="utf-8") as f:
            for s in sentences:
                f.write("".join("\t".join(w) + "\n" for w in s) + "\n")
    return sorted({w[-1] for s in sides["train"] for w in s})


def questions(e, data, out):
    articles = json.load(open(f"{data}/xquad/xquad.en.json", encoding="utf-8"))["data"]
    random.Random(SEED).shuffle(articles)
    held = max(1, len(articles) // 6)
    paragraphs = [p for a in articles[held:] for p in a["paragraphs"]]
    train = [{"title": "", "paragraphs": [p]} for p in epochs_of(paragraphs, e)]
    for n, a in enumerate(train):  # ids stay unique over the epochs
        a["paragraphs"] = [dict(p, qas=[dict(q, id=f"{q['id']}-{n}") for q in p["qas"]])
                           for p in a["paragraphs"]]
    for side, data_of in (("train", train), ("dev", articles[:held])):
        with open(f"{out}/{side}.json", "w", encoding="utf-8") as f:
            json.dump({"version": "1.1", "data": data_of}, f, ensure_ascii=False)
    return []


MAKERS = {"stsb": stsb, "scifact": scifact, "cosqa": cosqa, "aws-pairs": aws_pairs,
          "wikiann": entities, "wnut17": entities, "xquad": questions}


def base_with_head(e, model, labels, out):
    import torch
    import transformers as hf

    torch.manual_seed(SEED)
    options = {}
    if labels:
        options = {"num_labels": len(labels), "id2label": dict(enumerate(labels)),
                   "label2id": {name: i for i, name in enumerate(labels)}}
    kind = {"text-classification": hf.AutoModelForSequenceClassification,
            "token-classification": hf.AutoModelForTokenClassification,
            "question-answering": hf.AutoModelForQuestionAnswering}[e.task]
    kind.from_pretrained(model, **options).save_pretrained(f"{out}/base")
    hf.AutoTokenizer.from_pretrained(model).save_pretrained(f"{out}/base")


def main():
    data, model, target = sys.argv[1:4]
    for e in EXPERIMENTS:
        if sys.argv[4:] and e.name not in sys.argv[4:]:
            continue
        out = f"{target}/{e.name}"
        os.makedirs(out, exist_ok=True)
        labels = MAKERS.get(e.name, classification)(e, data, out)
        if e.base == "head":
            base_with_head(e, model, labels, out)
        print(f"{e.name}: prepared")


if __name__ == "__main__":
    main()
