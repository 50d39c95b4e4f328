#!/usr/bin/env python3
"""Makes tests/golden/train/runs/: small data of every task, and what torch, transformers and
sentence-transformers compute when a tiny model learns from it: loss, learning rate and gradient
norm of every update.

    python tests/golden/make_trainruns.py       (torch, transformers 4.57, sentence-transformers 5.7)

Dropout is 0 and the order is the file's. The bases are those of tests/golden/heads and
tests/data/models/tiny. The loop is the plain one: AdamW with the Trainer's parameter groups, its
schedules, clip_grad_norm_, and as the loss of an update the mean over all rows (labelled tokens,
windows, masked tokens) of its accumulated batches. Masks and next-sentence pairs are random in the
reference; here they are drawn as encoder/train/draw.h draws them, which is written down once more
below, so that both sides learn from the same holes."""

import json
import math
import os
import random

import torch
import torch.nn.functional as F
import transformers as hf
from sentence_transformers import SentenceTransformer
from sentence_transformers import losses as st
from transformers.trainer_pt_utils import get_parameter_names

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "train", "runs")
HEADS = os.path.join(HERE, "heads")
TINY = os.path.join(HERE, "..", "data", "models", "tiny")
WORDS = ("the of and to in is you that it he was for on are as with his they be at one have this "
         "from or had by hot word but what some we can out other were all there when up use your "
         "how said an each she").split()
rng = random.Random(20260301)


def sentence(low=3, high=9):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(low, high)))


def write(name, text):
    with open(os.path.join(OUT, name), "w", encoding="utf-8") as f:
        f.write(text)
    return name


# ---- draw.h once more -----------------------------------------------------------------------------

M64 = (1 << 64) - 1
WEYL = 0x9E3779B97F4A7C15
MASK, PAIR, CHUNK = 1, 2, 3


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M64
    return x ^ (x >> 31)


def stream(seed, purpose, a, b):
    x = mix((seed + WEYL * (purpose + 1)) & M64)
    x = mix((x + WEYL * (a + 1)) & M64)
    return mix((x + WEYL * (b + 1)) & M64)


def bits(s, i):
    return mix((s + WEYL * (i + 1)) & M64)


def unit(s, i):
    return (bits(s, i) >> 11) * 2.0**-53


def below(s, i, n):
    return (bits(s, i) * n) >> 64


def mask(ids, special, s, tok, p=0.15):
    """-> ids with holes, labels (-100 elsewhere)"""
    ids, labels = list(ids), [-100] * len(ids)
    for k, i in enumerate(ids):
        if special[k] or unit(s, 3 * k) >= p:
            continue
        labels[k] = i
        fate = unit(s, 3 * k + 1)
        if fate < 0.8:
            ids[k] = tok.mask_token_id
        elif fate < 0.9:
            ids[k] = below(s, 3 * k + 2, len(tok))
    return ids, labels


# ---- the loop -------------------------------------------------------------------------------------


def no_decay_split(model):
    keep = get_parameter_names(model, [torch.nn.LayerNorm],
                               ["bias", "layernorm", "rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"])
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [p for n, p in named if n in keep], [p for n, p in named if n not in keep]


def loop(model, epoch_batches, loss_of, run):
    """epoch_batches(epoch) -> list of batches; loss_of(group of batches) -> loss to go down from."""
    lr, accumulation, total = run["rate"], run.get("accumulation", 1), run["steps"]
    decayed, plain = no_decay_split(model)
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
                                  lr=lr, betas=(0.9, 0.999), eps=1e-8)
    warmup = math.ceil(0.1 * total)
    schedule = {"linear": lambda: hf.get_linear_schedule_with_warmup(optimizer, warmup, total),
                "cosine": lambda: hf.get_cosine_schedule_with_warmup(optimizer, warmup, total),
                "constant": lambda: hf.get_constant_schedule(optimizer)}[run.get("schedule", "linear")]()
    out = {"loss": [], "lr": [], "grad_norm": []}
    epoch = 0
    while len(out["loss"]) < total:
        batches = epoch_batches(epoch)
        for at in range(0, len(batches), accumulation):
            if len(out["loss"]) == total:
                break
            optimizer.zero_grad()
            loss = loss_of(batches[at:at + accumulation])
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
            out["lr"].append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
            out["loss"].append(float(loss))
            out["grad_norm"].append(float(norm))
        epoch += 1
    return out


def batched(rows, size):
    return [rows[i:i + size] for i in range(0, len(rows), size)]


def padded(lists, fill):
    n = max(len(x) for x in lists)
    return torch.tensor([list(x) + [fill] * (n - len(x)) for x in lists])


# ---- sentence-similarity --------------------------------------------------------------------------


def embedder():
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = SentenceTransformer(TINY, device="cpu", config_kwargs=off)
    return model.float().train()


def sentence_run(run, rows, columns, make_loss):
    model = embedder()
    loss = make_loss(model)
    labels = [c for c in columns if c in ("score", "label")]

    def one(batch):
        features = [model.tokenize([r[i] for r in batch]) for i, c in enumerate(columns) if c not in labels]
        y = torch.tensor([float(r[-1]) for r in batch]) if labels else None
        return loss(features, y)

    def group(batches):
        n = sum(len(b) for b in batches)
        return sum(one(b) * (len(b) / n) for b in batches)

    return loop(model, lambda epoch: batched(rows, run["batch"]), group, run)


def tsv(name, columns, rows):
    return write(name, "\t".join(columns) + "\n" + "".join("\t".join(map(str, r)) + "\n" for r in rows))


def sentences():
    n = 60
    triples = [(f"{sentence()} {i}", f"{sentence()} p{i}", f"{sentence()} n{i}") for i in range(n)]
    scored = [(sentence(), sentence(), f"{rng.randint(0, 50) / 10:.1f}") for _ in range(n)]
    binary = [(sentence(), sentence(), rng.randint(0, 1)) for _ in range(n)]
    three, pair = ("anchor", "positive", "negative"), ("sentence1", "sentence2")
    tsv("triples.tsv", three, triples)
    tsv("pairs.tsv", three[:2], [t[:2] for t in triples])
    tsv("scored.tsv", pair + ("score",), scored)
    tsv("binary.tsv", pair + ("label",), binary)
    unit_scored = [(a, b, float(s) / 5) for a, b, s in scored]
    cos = torch.nn.MSELoss()
    for name, data, rows, columns, loss, more in [
        ("mnrl", "triples.tsv", triples, three, lambda m: st.MultipleNegativesRankingLoss(m), {}),
        ("mnrl-symmetric", "pairs.tsv", [t[:2] for t in triples], three[:2],
         lambda m: st.MultipleNegativesSymmetricRankingLoss(m), {"symmetric": True, "accumulation": 2, "batch": 6}),
        ("cosent", "scored.tsv", scored, pair + ("score",), lambda m: st.CoSENTLoss(m), {"schedule": "cosine"}),
        ("cosine-mse", "scored.tsv", unit_scored, pair + ("score",), lambda m: st.CosineSimilarityLoss(m, cos),
         {"loss_name": "cosine-mse", "score_scale": [0, 5], "schedule": "constant"}),
        ("contrastive", "binary.tsv", binary, pair + ("label",), lambda m: st.ContrastiveLoss(m), {"loss_name": "contrastive"}),
        ("online-contrastive", "binary.tsv", binary, pair + ("label",), lambda m: st.OnlineContrastiveLoss(m),
         {"loss_name": "online-contrastive"}),
        ("triplet", "triples.tsv", triples, three, lambda m: st.TripletLoss(m), {"loss_name": "triplet"}),
        ("matryoshka", "pairs.tsv", [t[:2] for t in triples], three[:2],
         lambda m: st.MatryoshkaLoss(m, st.MultipleNegativesRankingLoss(m), [32, 16, 8]), {"matryoshka": [32, 16, 8]}),
    ]:
        run = {"name": name, "task": "sentence-similarity", "base": "tests/data/models/tiny", "data": data,
               "batch": 8, "steps": 24, "rate": 2e-4, **more}
        yield run, sentence_run(run, rows, columns, loss)


# ---- heads ----------------------------------------------------------------------------------------


def task_model(name, kind):
    d = os.path.join(HEADS, name)
    model = kind.from_pretrained(d, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).float().train()
    return model, hf.BertTokenizer.from_pretrained(d)


def inputs(encoded, tok):
    return {"input_ids": padded([e["input_ids"] for e in encoded], tok.pad_token_id),
            "token_type_ids": padded([e["token_type_ids"] for e in encoded], 0),
            "attention_mask": padded([[1] * len(e["input_ids"]) for e in encoded], 0)}


def classes(name, data, pairs, head="bert-text-classification", regression=False):
    model, tok = task_model(head, hf.BertForSequenceClassification)
    labels = ["neg", "neutral", "pos"]
    rows = [(sentence(), sentence(), f"{rng.uniform(0, 2):.2f}" if regression else rng.choice(labels)) for _ in range(60)]
    if not pairs:
        rows = [(r[0], r[2]) for r in rows]
    tsv(data, (("sentence1", "sentence2") if pairs else ("text",)) + ("label",), rows)

    def group(batches):
        rows = [r for b in batches for r in b]
        out = model(**inputs([tok(*r[:-1], truncation=True, max_length=40) for r in rows], tok)).logits
        if regression:
            return F.mse_loss(out.squeeze(-1), torch.tensor([float(r[-1]) for r in rows]))
        return F.cross_entropy(out, torch.tensor([labels.index(r[-1]) for r in rows]))

    run = {"name": name, "task": "text-classification", "base": f"tests/golden/heads/{head}", "data": data,
           "batch": 8, "steps": 24, "rate": 5e-4, "accumulation": 2 if pairs else 1}
    return run, loop(model, lambda e: batched(rows, 8), group, run)


def words():
    model, tok = task_model("bert-token-classification", hf.BertForTokenClassification)
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    rows = [[(w + rng.choice(["", "", "ing", "s"]), rng.choice(tags)) for w in sentence(4, 12).split()] for _ in range(60)]
    write("words.conll", "".join("".join(f"{w}\t{t}\n" for w, t in r) + "\n" for r in rows))

    def encode(row):
        ids, labels = [tok.cls_token_id], [-100]
        for w, t in row:
            pieces = tok(w, add_special_tokens=False)["input_ids"]
            ids += pieces
            labels += [tags.index(t)] + [-100] * (len(pieces) - 1)
        ids, labels = ids[:39] + [tok.sep_token_id], labels[:39] + [-100]
        return {"input_ids": ids, "token_type_ids": [0] * len(ids), "labels": labels}

    def group(batches):
        encoded = [encode(r) for b in batches for r in b]
        out = model(**inputs(encoded, tok)).logits
        return F.cross_entropy(out.flatten(0, 1), padded([e["labels"] for e in encoded], -100).flatten())

    run = {"name": "words", "task": "token-classification", "base": "tests/golden/heads/bert-token-classification",
           "data": "words.conll", "batch": 4, "steps": 24, "rate": 5e-4, "accumulation": 2}
    return run, loop(model, lambda e: batched(rows, 4), group, run)


def questions():
    model, tok = task_model("bert-question-answering", hf.BertForQuestionAnswering)
    tok = hf.BertTokenizerFast.from_pretrained(os.path.join(HEADS, "bert-question-answering"))
    paragraphs, n = [], 0
    for _ in range(8):
        context = sentence(20, 50)
        qas = []
        for _ in range(3):
            w = context.split()
            a = rng.randrange(len(w) - 2)
            text = " ".join(w[a:a + rng.randint(1, 2)])
            start = len(" ".join(w[:a])) + (a > 0)
            n += 1
            impossible = rng.random() < 0.2
            qas.append({"id": str(n), "question": sentence(3, 14), "is_impossible": impossible,
                        "answers": [] if impossible else [{"text": text, "answer_start": start}]})
        paragraphs.append({"context": context, "qas": qas})
    write("questions.json", json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}, indent=1) + "\n")
    windows = []
    for p in paragraphs:
        for q in p["qas"]:
            ask = tok(q["question"], add_special_tokens=False)["input_ids"][:10]
            context = tok(p["context"], add_special_tokens=False, return_offsets_mapping=True)
            ids, offsets = context["input_ids"], context["offset_mapping"]
            room = 40 - 3 - len(ask)
            at = 0
            while True:
                end = min(at + room, len(ids))
                begin_at = end_at = 0
                if q["answers"]:
                    a = q["answers"][0]
                    lo, hi = a["answer_start"], a["answer_start"] + len(a["text"])
                    if offsets[at][0] <= lo and offsets[end - 1][1] >= hi:
                        i = max(k for k in range(at, end) if offsets[k][0] <= lo)
                        j = min(k for k in range(at, end) if offsets[k][1] >= hi)
                        begin_at, end_at = i - at + len(ask) + 2, j - at + len(ask) + 2
                windows.append({"input_ids": [tok.cls_token_id, *ask, tok.sep_token_id, *ids[at:end], tok.sep_token_id],
                                "token_type_ids": [0] * (len(ask) + 2) + [1] * (end - at + 1), "span": (begin_at, end_at)})
                if end == len(ids):
                    break
                at += room - 8

    def group(batches):
        encoded = [w for b in batches for w in b]
        x = inputs(encoded, tok)
        out = model(**x)
        gone = x["attention_mask"] == 0  # padding has no place in a packed batch
        loss = 0
        for logits, k in ((out.start_logits, 0), (out.end_logits, 1)):
            loss = loss + F.cross_entropy(logits.masked_fill(gone, -1e30), torch.tensor([e["span"][k] for e in encoded]))
        return loss / 2

    run = {"name": "questions", "task": "question-answering", "base": "tests/golden/heads/bert-question-answering",
           "data": "questions.json", "batch": 8, "steps": 24, "rate": 5e-4, "doc_stride": 8, "max_query_length": 10}
    return run, loop(model, lambda e: batched(windows, 8), group, run)


def masked_loss(model, encoded, tok):
    out = model(**inputs(encoded, tok))
    logits = out.logits if hasattr(out, "logits") else out.prediction_logits
    return out, F.cross_entropy(logits.flatten(0, 1), padded([e["labels"] for e in encoded], -100).flatten())


def holes():
    model, tok = task_model("bert-fill-mask", hf.BertForMaskedLM)
    documents = ["\n".join(sentence(4, 14) for _ in range(rng.randint(1, 6))) for _ in range(30)]
    write("documents.txt", "\n\n".join(documents) + "\n")
    windows = []
    for text in documents:
        ids = tok(text, add_special_tokens=False)["input_ids"]
        windows += [[tok.cls_token_id, *ids[k:k + 38], tok.sep_token_id] for k in range(0, len(ids), 38)]

    def epoch_batches(epoch):
        rows = []
        for i, ids in enumerate(windows):
            special = [1] + [0] * (len(ids) - 2) + [1]
            holed, labels = mask(ids, special, stream(42, MASK, epoch, i), tok)
            rows.append({"input_ids": holed, "token_type_ids": [0] * len(ids), "labels": labels})
        return batched(rows, 8)

    run = {"name": "holes", "task": "fill-mask", "base": "tests/golden/heads/bert-fill-mask", "data": "documents.txt",
           "batch": 8, "steps": 24, "rate": 5e-4, "accumulation": 2}
    return run, loop(model, epoch_batches, lambda g: masked_loss(model, [w for b in g for w in b], tok)[1], run)


def distillation():
    """DistilBERT's three losses (distiller.py): KL of words over all tokens, masked words, cosine of states."""
    model, tok = task_model("bert-fill-mask", hf.BertForMaskedLM)
    teacher = hf.DistilBertForMaskedLM.from_pretrained(os.path.join(HEADS, "distilbert-fill-mask")).float().eval()
    with open(os.path.join(OUT, "documents.txt"), encoding="utf-8") as f:
        documents = f.read().strip().split("\n\n")
    windows = []
    for text in documents:
        ids = tok(text, add_special_tokens=False)["input_ids"]
        windows += [[tok.cls_token_id, *ids[k:k + 38], tok.sep_token_id] for k in range(0, len(ids), 38)]

    def epoch_batches(epoch):
        rows = []
        for i, ids in enumerate(windows):
            holed, labels = mask(ids, [1] + [0] * (len(ids) - 2) + [1], stream(42, MASK, epoch, i), tok)
            rows.append({"input_ids": holed, "token_type_ids": [0] * len(ids), "labels": labels})
        return batched(rows, 8)

    def group(batches):
        encoded = [w for b in batches for w in b]
        x = inputs(encoded, tok)
        real = x["attention_mask"] == 1
        s = model(**x, output_hidden_states=True)
        with torch.no_grad():
            t = teacher(input_ids=x["input_ids"], attention_mask=x["attention_mask"], output_hidden_states=True)
        kl = F.kl_div(F.log_softmax(s.logits[real] / 2, -1), F.softmax(t.logits[real] / 2, -1), reduction="batchmean") * 4
        ce = F.cross_entropy(s.logits.flatten(0, 1), padded([e["labels"] for e in encoded], -100).flatten())
        a, b = s.hidden_states[-1][real], t.hidden_states[-1][real]
        cos = F.cosine_embedding_loss(a, b, torch.ones(len(a)))
        return 5 * kl + 2 * ce + cos

    run = {"name": "distillation", "task": "fill-mask", "base": "tests/golden/heads/bert-fill-mask", "data": "documents.txt",
           "teacher": "tests/golden/heads/distilbert-fill-mask", "batch": 8, "steps": 24, "rate": 5e-4}
    return run, loop(model, epoch_batches, group, run)


def pretraining():
    model, tok = task_model("bert-pretraining", hf.BertForPreTraining)
    with open(os.path.join(OUT, "documents.txt"), encoding="utf-8") as f:
        documents = [[tok(line, add_special_tokens=False)["input_ids"] for line in d.split("\n") if line]
                     for d in f.read().strip().split("\n\n")]
    most, chunks = 40 - 3, []
    for d, lines in enumerate(documents):
        s = stream(0, CHUNK, d, 0)
        target = most if unit(s, 0) >= 0.1 else 2 + below(s, 1, most - 1)
        mine, begin, tokens = [], 0, 0
        for k, line in enumerate(lines):
            tokens += len(line)
            have = k + 1 - begin
            if k + 1 < len(lines) and (tokens < target or have < 2):
                continue
            if have >= 2:
                mine.append([d, begin, have, target])
            elif mine:
                mine[-1][2] += have
            begin, tokens = k + 1, 0
        chunks += mine

    def example(epoch, i):
        d, first, n, target = chunks[i]
        s = stream(42, PAIR, epoch, i)
        label = 0 if unit(s, 0) < 0.5 else 1
        cut = first + 1 + below(s, 1, n - 1)
        flat = lambda lines: [t for line in lines for t in line]
        a = flat(documents[d][first:cut])
        if label == 0:
            b = flat(documents[d][cut:first + n])
        else:
            want = max(target - len(a), 1)
            other = below(s, 2, len(documents) - 1)
            other += other >= d
            lines = documents[other]
            at = below(s, 3, len(lines))
            last = at + 1
            while last < len(lines) and len(flat(lines[at:last])) < want:
                last += 1
            b = flat(lines[at:last])
        k = 8
        while len(a) + len(b) > most:
            longer = a if len(a) > len(b) else b
            longer.pop(0 if bits(s, k) >> 63 else -1)
            k += 1
        ids = [tok.cls_token_id, *a, tok.sep_token_id, *b, tok.sep_token_id]
        special = [1] + [0] * len(a) + [1] + [0] * len(b) + [1]
        holed, labels = mask(ids, special, stream(42, MASK, epoch, i), tok)
        return {"input_ids": holed, "token_type_ids": [0] * (len(a) + 2) + [1] * (len(b) + 1), "labels": labels, "next": label}

    def group(batches):
        encoded = [w for b in batches for w in b]
        out, loss = masked_loss(model, encoded, tok)
        return loss + F.cross_entropy(out.seq_relationship_logits, torch.tensor([e["next"] for e in encoded]))

    run = {"name": "pretraining", "task": "pretraining", "base": "tests/golden/heads/bert-pretraining",
           "data": "documents.txt", "batch": 8, "steps": 24, "rate": 5e-4}
    return run, loop(model, lambda e: batched([example(e, i) for i in range(len(chunks))], 8), group, run)


def regression_base():
    d = os.path.join(OUT, "regression-base")
    source = os.path.join(HEADS, "bert-text-classification")
    torch.manual_seed(5)
    model = hf.BertForSequenceClassification.from_pretrained(source, num_labels=1, problem_type="regression",
                                                             ignore_mismatched_sizes=True)
    torch.nn.init.normal_(model.classifier.weight, std=0.3)
    model.save_pretrained(d)
    for name in ("vocab.txt", "tokenizer_config.json"):
        with open(os.path.join(source, name), encoding="utf-8") as f, open(os.path.join(d, name), "w", encoding="utf-8") as g:
            g.write(f.read())
    return "../train/runs/regression-base"


def main():
    torch.set_num_threads(1)
    os.makedirs(OUT, exist_ok=True)
    runs = [*sentences(), classes("classes", "classes.tsv", False), classes("pair-classes", "pair-classes.tsv", True),
            words(), questions(), holes(), pretraining(), distillation()]
    run, result = classes("regression", "regression.tsv", False, regression_base(), True)
    run["base"] = "tests/golden/train/runs/regression-base"
    runs.append((run, result))
    lines = []
    for run, result in runs:
        print(f"{run['name']:20} {result['loss'][0]:.4f} -> {result['loss'][-1]:.4f}")
        lines.append(json.dumps({**run, **{k: [float(f"{v:.8g}") for v in x] for k, x in result.items()}}))
    write("runs.json", '{"runs": [\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
