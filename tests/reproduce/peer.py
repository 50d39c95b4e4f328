"""The same training in PyTorch: one plain loop, the same rows, recipe and start.

usage: peer.py PREPARED MODEL NAME OUT

PREPARED is what prepare.py wrote. Writes the trained folder OUT and OUT/peer.json (losses,
seconds, tokens, peak memory). Needs torch, transformers, sentence-transformers.
"""

import csv
import json
import math
import os
import resource
import sys
import time

import torch
import transformers as hf

from experiments import EXPERIMENTS

torch.set_num_threads(int(os.environ.get("THREADS", "2")))


def read_tsv(path):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def no_duplicate_batches(rows, size):
    """Batches of pairs without a text twice; what does not fit waits for the next batch."""
    waiting = list(rows)
    while waiting:
        batch, seen, later = [], set(), []
        for r in waiting:
            texts = {r["anchor"], r["positive"]}
            if len(batch) < size and not texts & seen:
                batch.append(r)
                seen |= texts
            else:
                later.append(r)
        waiting = later
        yield batch


def in_turn(rows, size):
    for i in range(0, len(rows), size):
        yield rows[i : i + size]


class Similarity:
    def __init__(self, e, prepared, model):
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(model, device="cpu")
        self.window = self.model.max_seq_length
        self.model.max_seq_length = e.length
        self.e = e
        rows = read_tsv(f"{prepared}/train.tsv")
        self.steps = list(no_duplicate_batches(rows, e.batch) if e.loss == "mnrl"
                          else in_turn(rows, e.batch))

    def embed(self, texts):
        features = self.model.tokenize(texts)
        self.tokens = int(features["attention_mask"].sum())
        return self.model(features)["sentence_embedding"]

    def loss(self, batch):
        if self.e.loss == "mnrl":
            a = torch.nn.functional.normalize(self.embed([r["anchor"] for r in batch]))
            n = self.tokens
            p = torch.nn.functional.normalize(self.embed([r["positive"] for r in batch]))
            self.tokens += n
            return torch.nn.functional.cross_entropy(a @ p.T * 20.0, torch.arange(len(batch)))
        a = torch.nn.functional.normalize(self.embed([r["sentence1"] for r in batch]))
        n = self.tokens
        b = torch.nn.functional.normalize(self.embed([r["sentence2"] for r in batch]))
        self.tokens += n
        y = torch.tensor([float(r["score"]) for r in batch])
        s = (a * b).sum(1) * 20.0
        z = (s[:, None] - s[None, :])[y[:, None] < y[None, :]]
        return torch.logsumexp(torch.cat([torch.zeros(1), z]), 0)

    def save(self, out):
        self.model.max_seq_length = self.window  # that of the training goes for the training alone
        self.model.save_pretrained(out)


class Classes:
    def __init__(self, e, prepared, _):
        self.tokenizer = hf.AutoTokenizer.from_pretrained(f"{prepared}/base")
        self.model = hf.AutoModelForSequenceClassification.from_pretrained(f"{prepared}/base")
        self.e = e
        self.steps = list(in_turn(read_tsv(f"{prepared}/train.tsv"), e.batch))

    def loss(self, batch):
        texts = ([r["text"] for r in batch],) if "text" in batch[0] else (
            [r["sentence1"] for r in batch], [r["sentence2"] for r in batch])
        x = self.tokenizer(*texts, truncation=True, max_length=self.e.length, padding=True,
                           return_tensors="pt")
        self.tokens = int(x["attention_mask"].sum())
        y = torch.tensor([self.model.config.label2id[r["label"]] for r in batch])
        return self.model(**x, labels=y).loss

    def save(self, out):
        self.model.save_pretrained(out)
        self.tokenizer.save_pretrained(out)


class Entities(Classes):
    def __init__(self, e, prepared, _):
        self.tokenizer = hf.AutoTokenizer.from_pretrained(f"{prepared}/base")
        self.model = hf.AutoModelForTokenClassification.from_pretrained(f"{prepared}/base")
        self.e = e
        blocks = open(f"{prepared}/train.conll", encoding="utf-8").read().strip().split("\n\n")
        rows = [[line.split("\t") for line in b.split("\n")] for b in blocks]
        self.steps = list(in_turn(rows, e.batch))

    def loss(self, batch):
        x = self.tokenizer([[w[0] for w in s] for s in batch], is_split_into_words=True,
                           truncation=True, max_length=self.e.length, padding=True,
                           return_tensors="pt")
        self.tokens = int(x["attention_mask"].sum())
        y = torch.full(x["input_ids"].shape, -100)
        for i, s in enumerate(batch):
            last = None
            for j, w in enumerate(x.word_ids(i)):
                if w is not None and w != last:
                    y[i, j] = self.model.config.label2id[s[w][1]]
                last = w
        return self.model(**x, labels=y).loss


class Spans(Classes):
    def __init__(self, e, prepared, _):
        self.tokenizer = hf.AutoTokenizer.from_pretrained(f"{prepared}/base")
        self.model = hf.AutoModelForQuestionAnswering.from_pretrained(f"{prepared}/base")
        self.e = e
        windows = []
        for a in json.load(open(f"{prepared}/train.json", encoding="utf-8"))["data"]:
            for p in a["paragraphs"]:
                for q in p["qas"]:
                    windows += self.windows(q["question"], p["context"], q["answers"][0])
        self.steps = list(in_turn(windows, e.batch))

    def windows(self, question, context, answer):
        x = self.tokenizer(question, context, truncation="only_second", max_length=self.e.length,
                           stride=128, return_overflowing_tokens=True, return_offsets_mapping=True)
        begin, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
        for i, offsets in enumerate(x["offset_mapping"]):
            ids = x.sequence_ids(i)
            inside = [j for j, s in enumerate(ids) if s == 1]
            lo = hi = 0
            if inside and offsets[inside[0]][0] <= begin and offsets[inside[-1]][1] >= end:
                lo = max(j for j in inside if offsets[j][0] <= begin)
                hi = min(j for j in inside if offsets[j][1] >= end)
            yield {"input_ids": x["input_ids"][i], "token_type_ids": x["token_type_ids"][i],
                   "lo": lo, "hi": hi}

    def loss(self, batch):
        x = self.tokenizer.pad([{k: w[k] for k in ("input_ids", "token_type_ids")} for w in batch],
                               return_tensors="pt")
        self.tokens = int(x["attention_mask"].sum())
        out, pad = self.model(**x), x["attention_mask"] == 0
        # transformers lets padding take part in this softmax; nothing is padded on the other side
        return sum(torch.nn.functional.cross_entropy(z.masked_fill(pad, -torch.inf), torch.tensor([w[k] for w in batch]))
                   for z, k in ((out.start_logits, "lo"), (out.end_logits, "hi"))) / 2


def groups(model, decay):
    plain = [n for n, _ in model.named_parameters() if "bias" in n or "LayerNorm" in n]
    return [{"params": [p for n, p in model.named_parameters() if n not in plain],
             "weight_decay": decay},
            {"params": [p for n, p in model.named_parameters() if n in plain], "weight_decay": 0.0}]


def train(run, e):
    for m in run.model.modules():
        if isinstance(m, torch.nn.Dropout):
            m.p = 0.0
        if hasattr(m, "dropout_prob"):  # attention by SDPA drops by a number of its own
            m.dropout_prob = 0.0
    run.model.train()
    optimiser = torch.optim.AdamW(groups(run.model, 0.01), lr=e.rate)
    total = len(run.steps)
    schedule = hf.get_linear_schedule_with_warmup(optimiser, math.ceil(0.1 * total), total)
    losses, tokens, begin = [], 0, time.time()
    for batch in run.steps:
        loss = run.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        tokens += run.tokens
    return {"losses": losses, "tokens": tokens, "seconds": time.time() - begin,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main():
    prepared, model, name, out = sys.argv[1:5]
    e = next(x for x in EXPERIMENTS if x.name == name)
    kind = {"sentence-similarity": Similarity, "text-classification": Classes,
            "token-classification": Entities, "question-answering": Spans}[e.task]
    run = kind(e, f"{prepared}/{name}", model)
    result = train(run, e)
    run.save(out)
    with open(f"{out}/peer.json", "w") as f:
        json.dump(result, f)


if __name__ == "__main__":
    main()
