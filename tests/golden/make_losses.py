#!/usr/bin/env python3
"""Makes tests/golden/train/losses.json and optim.json: what sentence-transformers, torch and
transformers compute for small random inputs. Needs sentence-transformers 5.7, torch, transformers.

    python tests/golden/make_losses.py

Every case of losses.json: {name, kind, options, n, columns, dim, x, label, anchor, text, teacher,
loss, dx}. The model of a loss is a stand-in that hands on its input (through Normalize when
`normalize` is set), so only the loss itself is measured. Losses are computed in float64 from
inputs that float32 holds exactly."""

import json
import os

import torch
import torch.nn.functional as F
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.losses import TripletDistanceMetric
from transformers.optimization import (
    get_constant_schedule,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "train")
random = torch.Generator().manual_seed(20)


def normal(*shape):
    return torch.randn(*shape, generator=random).float().double()


def numbers(t, digits=9):
    return [float(f"{v:.{digits}g}") for v in t.detach().double().flatten().tolist()]


class Hand(torch.nn.Module):
    """The stand-in for a model."""

    def __init__(self, normalize):
        super().__init__()
        self.normalize = normalize

    def forward(self, features):
        x = features["x"]
        return {"sentence_embedding": F.normalize(x, dim=-1) if self.normalize else x}

    def get_embedding_dimension(self):
        return DIM

    get_sentence_embedding_dimension = get_embedding_dimension


N, DIM = 7, 12
DISTANCE = {"euclidean": TripletDistanceMetric.EUCLIDEAN, "cosine": TripletDistanceMetric.COSINE,
            "manhattan": TripletDistanceMetric.MANHATTAN}


def make_loss(kind, o):
    model = Hand(o.get("normalize", True))
    if kind == "mnrl":
        extra = {}
        if o.get("symmetric"):
            extra = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
        return losses.MultipleNegativesRankingLoss(model, scale=o.get("scale", 20.0), **extra)
    if kind == "cosent":
        return losses.CoSENTLoss(model, scale=o.get("scale", 20.0))
    if kind == "cosine-mse":
        return losses.CosineSimilarityLoss(model)
    if kind == "contrastive":
        return losses.ContrastiveLoss(model, margin=o.get("margin", 0.5))
    if kind == "online-contrastive":
        return losses.OnlineContrastiveLoss(model, margin=o.get("margin", 0.5))
    if kind == "triplet":
        return losses.TripletLoss(model, distance_metric=DISTANCE[o.get("distance", "euclidean")],
                                  triplet_margin=o.get("margin", 5))
    if kind == "embedding-mse":
        return losses.MSELoss(model)
    raise ValueError(kind)


def masked_ranking(x, o, anchor, text):
    """MNRL whose false negatives are left out: there is no such option in the reference."""
    n = x[0].shape[0]
    a = F.normalize(x[0], dim=-1)
    c = F.normalize(torch.cat(x[1:]), dim=-1)
    s = o.get("scale", 20.0) * a @ c.T
    for i in range(n):
        known = {text[i], text[n + i]}
        known |= {text[n + j] for j in range(n) if anchor[j] == anchor[i]}
        for k in range(c.shape[0]):
            if k != i and text[n + k] in known:
                s[i, k] = float("-inf")
    loss = F.cross_entropy(s, torch.arange(n))
    if o.get("symmetric"):
        loss = (loss + F.cross_entropy(s[:, :n].T, torch.arange(n))) / 2
    return loss


def case(name, kind, columns=2, n=N, label=None, anchor=None, text=None, teacher=None, x=None, **o):
    x = x if x is not None else normal(columns, n, DIM)
    leaf = [x[c].clone().requires_grad_() for c in range(columns)]
    if o.get("mask_duplicates"):
        loss = masked_ranking(leaf, o, anchor, text)
    else:
        inner = make_loss(kind, o)
        f = inner
        if o.get("matryoshka"):
            f = losses.MatryoshkaLoss(inner.model, inner, matryoshka_dims=o["matryoshka"])
        labels = label
        if kind == "embedding-mse":
            labels = teacher.reshape(columns, n, DIM)[0] if columns == 1 else teacher
        loss = f([{"x": v} for v in leaf], labels)
    loss.backward()
    dx = torch.cat([v.grad if v.grad is not None else torch.zeros_like(v) for v in leaf])
    return {"name": name, "kind": kind, "options": o, "n": n, "columns": columns, "dim": DIM, "x": numbers(x),
            "label": numbers(label) if label is not None else None, "anchor": anchor, "text": text,
            "teacher": numbers(teacher) if teacher is not None else None, "loss": loss.item(), "dx": numbers(dx)}


def embedding_cases():
    scores = torch.tensor([0.0, 1.5, 3.25, 3.25, 5.0, 0.5, 1.5]).double()
    unit = scores / 5
    binary = torch.tensor([1.0, 0, 1, 0, 0, 1, 1]).double()
    close = normal(N, DIM)
    # pairs that are near each other, so that margins bite
    pairs = torch.stack([close, close + 0.7 * normal(N, DIM)])
    dims = [12, 8, 3]
    out = [
        case("mnrl", "mnrl"),
        case("mnrl hard negatives", "mnrl", columns=4),
        case("mnrl scale", "mnrl", columns=3, scale=5.0),
        case("mnrl symmetric", "mnrl", symmetric=True),
        case("mnrl symmetric hard negatives", "mnrl", columns=3, symmetric=True),
        case("mnrl one pair", "mnrl", n=1),
        case("mnrl masked", "mnrl", columns=3, mask_duplicates=True, anchor=[1, 2, 1, 3, 4, 4, 5],
             text=[1, 2, 1, 3, 4, 4, 5] + [11, 12, 13, 14, 15, 15, 16] + [12, 20, 21, 13, 15, 22, 5]),
        case("mnrl masked symmetric", "mnrl", columns=3, mask_duplicates=True, symmetric=True,
             anchor=[1, 2, 1, 3, 4, 4, 5],
             text=[1, 2, 1, 3, 4, 4, 5] + [11, 12, 13, 2, 15, 15, 16] + [12, 20, 21, 13, 15, 22, 5]),
        case("mnrl matryoshka", "mnrl", columns=3, matryoshka=dims),
        case("mnrl symmetric matryoshka", "mnrl", symmetric=True, matryoshka=dims),
        case("cosent", "cosent", label=scores),
        case("cosent scale", "cosent", label=scores, scale=100.0, x=pairs),
        case("cosent ties", "cosent", label=torch.ones(N).double()),
        case("cosent matryoshka", "cosent", label=scores, matryoshka=dims),
        case("cosine-mse", "cosine-mse", label=unit),
        case("cosine-mse matryoshka", "cosine-mse", label=unit, matryoshka=dims),
        case("contrastive", "contrastive", label=binary, x=pairs),
        case("contrastive margin", "contrastive", label=binary, margin=1.2),
        case("contrastive matryoshka", "contrastive", label=binary, x=pairs, matryoshka=dims),
        case("online-contrastive", "online-contrastive", label=binary, x=pairs),
        case("online-contrastive far", "online-contrastive", label=binary, margin=1.2),
        case("online-contrastive one negative", "online-contrastive", x=pairs,
             label=torch.tensor([1.0, 1, 1, 0, 1, 1, 1]).double()),
        case("online-contrastive one positive", "online-contrastive", x=pairs,
             label=torch.tensor([0.0, 0, 0, 0, 1, 0, 0]).double()),
        case("online-contrastive positives only", "online-contrastive", x=pairs, label=torch.ones(N).double()),
        case("online-contrastive matryoshka", "online-contrastive", label=binary, x=pairs, matryoshka=dims),
    ]
    for d in DISTANCE:
        out.append(case(f"triplet {d}", "triplet", columns=3, distance=d))
        out.append(case(f"triplet {d} margin", "triplet", columns=3, distance=d, margin=0.1))
        out.append(case(f"triplet {d} raw", "triplet", columns=3, distance=d, normalize=False))
        out.append(case(f"triplet {d} matryoshka", "triplet", columns=3, distance=d, margin=0.3, matryoshka=dims))
    for name, o in (("", {}), (" raw", {"normalize": False}), (" matryoshka", {"matryoshka": dims})):
        out.append(case("embedding-mse" + name, "embedding-mse", columns=1, teacher=F.normalize(normal(N, DIM), dim=-1), **o))
    return out


def row_cases():
    out = []
    z = normal(9, 11)
    label = [3, -100, 0, 10, 5, -100, 7, 7, 2]
    leaf = z.clone().requires_grad_()
    loss = F.cross_entropy(leaf, torch.tensor(label))
    loss.backward()
    out.append({"name": "cross-entropy", "x": numbers(z), "rows": 9, "cols": 11, "labels": label, "loss": loss.item(),
                "dx": numbers(leaf.grad), "right": int((z.argmax(1) == torch.tensor(label)).sum())})

    z, y = normal(13), normal(13)
    leaf = z.clone().requires_grad_()
    loss = F.mse_loss(leaf, y)
    loss.backward()
    out.append({"name": "mse", "x": numbers(z), "label": numbers(y), "loss": loss.item(), "dx": numbers(leaf.grad)})

    start, begin, end = [0, 5, 6, 14], [2, 0, 1], [4, 0, 7]
    z = normal(14, 2)
    leaf = z.clone().requires_grad_()
    loss = 0
    for s in range(3):
        w = leaf[start[s]:start[s + 1]]
        loss = loss + (F.cross_entropy(w[None, :, 0], torch.tensor(begin[s:s + 1]))
                       + F.cross_entropy(w[None, :, 1], torch.tensor(end[s:s + 1]))) / 2
    loss = loss / 3
    loss.backward()
    out.append({"name": "span", "x": numbers(z), "start": start, "begin": begin, "end": end, "loss": loss.item(),
                "dx": numbers(leaf.grad)})

    z, y = normal(5, 11), normal(5, 11)
    leaf = z.clone().requires_grad_()
    loss = F.kl_div(F.log_softmax(leaf / 2, -1), F.softmax(y / 2, -1), reduction="batchmean") * 4
    loss.backward()
    out.append({"name": "kl", "x": numbers(z), "teacher": numbers(y), "rows": 5, "cols": 11, "loss": loss.item(),
                "dx": numbers(leaf.grad)})

    z, y = normal(5, 8), normal(5, 8)
    leaf = z.clone().requires_grad_()
    loss = F.cosine_embedding_loss(leaf, y, torch.ones(5))
    loss.backward()
    out.append({"name": "cosine", "x": numbers(z), "teacher": numbers(y), "rows": 5, "cols": 8, "loss": loss.item(),
                "dx": numbers(leaf.grad)})
    return out


def optim_case(name, steps=6, lr=0.01, decay=0.01, max_norm=None, betas=(0.9, 0.999), eps=1e-8):
    """A matrix, a vector (no decay), a matrix without gradients in some steps' values (zeros)."""
    shapes = {"layer.0.ffn_in.weight": (3, 4), "layer.0.ffn_in.bias": (1, 3), "embed.word": (5, 2)}
    p = {k: torch.nn.Parameter(normal(*s).float()) for k, s in shapes.items()}
    first = {k: numbers(v) for k, v in p.items()}
    groups = [{"params": [v for k, v in p.items() if "bias" not in k], "weight_decay": decay},
              {"params": [v for k, v in p.items() if "bias" in k], "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps)
    schedule = get_linear_schedule_with_warmup(adam, 2, steps)
    log = []
    for step in range(steps):
        grads = {k: (normal(*s) * (0 if k == "embed.word" and step % 2 else 1)).float() for k, s in shapes.items()}
        for k, v in p.items():
            v.grad = grads[k].clone()
        norm = torch.nn.utils.clip_grad_norm_(p.values(), max_norm if max_norm else float("inf"))
        rate = schedule.get_last_lr()[0]
        adam.step()
        schedule.step()
        log.append({"lr": rate, "norm": norm.item(), "grad": {k: numbers(v) for k, v in grads.items()},
                    "w": {k: numbers(v) for k, v in p.items()}})
    return {"name": name, "shapes": {k: list(s) for k, s in shapes.items()}, "lr": lr, "decay": decay, "max_norm": max_norm,
            "beta1": betas[0], "beta2": betas[1], "eps": eps, "warmup": 2, "first": first, "steps": log}


def schedule_cases():
    out = []
    for kind, make in (("linear", lambda a, w, n: get_linear_schedule_with_warmup(a, w, n)),
                       ("cosine", lambda a, w, n: get_cosine_schedule_with_warmup(a, w, n)),
                       ("constant", lambda a, w, n: get_constant_schedule(a))):
        for warmup, total in ((0, 5), (3, 11), (11, 11), (1, 2)):
            adam = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            s = make(adam, warmup, total)
            factors = []
            for _ in range(total + 2):
                factors.append(s.get_last_lr()[0])
                adam.step()
                s.step()
            out.append({"kind": kind, "warmup": warmup, "total": total, "factor": factors})
    return out


def write(name, value):
    with open(os.path.join(OUT, name), "w") as f:
        json.dump(value, f, separators=(",", ":"))
        f.write("\n")


os.makedirs(OUT, exist_ok=True)
write("losses.json", {"embeddings": embedding_cases(), "rows": row_cases()})
write("optim.json", {"adamw": [optim_case("decay"), optim_case("no decay", decay=0.0),
                               optim_case("clip", max_norm=1.0),
                               optim_case("strong", decay=0.1, lr=0.1, betas=(0.8, 0.95), eps=1e-6)],
                     "schedule": schedule_cases()})
