"""Makes tests/golden/metrics.json: what seqeval, scikit-learn, scipy and SQuAD's rules give for random labels and answers.

usage: make_metrics.py OUT          (needs seqeval, scikit-learn, scipy)

SQuAD's evaluate-v2.0.py is no package: its normalisation and counting are written out below as it has them (re and
string only). The seed is fixed.
"""
import collections
import json
import random
import re
import string
import sys

from scipy.stats import pearsonr, spearmanr
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

rng = random.Random(17)
WORDS = ["the", "The", "a", "An", "cat", "cats", "sat", "on", "mat.", "U.S.", "-", "don't", "1,000", "Thé", "\u201cthe\u201d", "x",
         "x", "\u00a0", "the-cat", "a.", "(an)", "\u4e2d\u6587", "", "$5", "\u0130stanbul", "\u00df"]


def normalise(s):
    s = "".join(c for c in s.lower() if c not in set(string.punctuation))
    return " ".join(re.compile(r"\b(a|an|the)\b", re.UNICODE).sub(" ", s).split())


def f1(gold, found):
    g, f = normalise(gold).split(), normalise(found).split()
    same = sum((collections.Counter(g) & collections.Counter(f)).values())
    if not g or not f:
        return float(g == f)
    return 0.0 if same == 0 else 2 * (same / len(f)) * (same / len(g)) / (same / len(f) + same / len(g))


def answers():
    rows = []
    for _ in range(150):
        gold = " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, 4)))
        found = gold.upper() + rng.choice(["", ".", " the", "!"]) if rng.random() < .3 else \
            " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, 4)))
        rows.append({"gold": gold, "found": found, "exact": float(normalise(gold) == normalise(found)), "f1": f1(gold, found)})
    return rows


def entities():
    tags = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-LOC", "S-PER", "E-PER", "S-LOC"]
    rows = []
    for i in range(150):
        few = tags[:6] if i < 100 else tags
        gold = [rng.choice(few) for _ in range(rng.randint(1, 9))]
        found = [t if rng.random() < .7 else rng.choice(few) for t in gold]
        g, f = set(get_entities(gold)), set(get_entities(found))
        rows.append({"gold": gold, "found": found, "counts": [len(g), len(f), len(g & f)]})
    return rows


def classes():
    rows = []
    for n in (2, 2, 3, 5):
        for _ in range(6):
            gold = [rng.randrange(n) for _ in range(30)]
            found = [g if rng.random() < .6 else rng.randrange(n) for g in gold]
            row = {"n": n, "gold": gold, "found": found, "accuracy": accuracy_score(gold, found),
                   "macro_f1": f1_score(gold, found, average="macro"), "mcc": matthews_corrcoef(gold, found)}
            if n == 2:
                row["f1"] = f1_score(gold, found)
            rows.append(row)
    rows.append({"n": 3, "gold": [0, 0, 1], "found": [0, 0, 0], "accuracy": 2 / 3,
                 "macro_f1": f1_score([0, 0, 1], [0, 0, 0], average="macro"), "mcc": 0.0})
    return rows


def correlations():
    rows = []
    for _ in range(10):
        x = [rng.choice([0, 1, 2, 2.5, rng.random()]) for _ in range(25)]
        y = [a + rng.random() * 2 if rng.random() < .8 else rng.choice([0, 1]) for a in x]
        rows.append({"x": x, "y": y, "spearman": float(spearmanr(x, y)[0]), "pearson": float(pearsonr(x, y)[0])})
    return rows


def main(out):
    with open(out, "w") as f:
        f.write("{")
        for i, (name, rows) in enumerate((("answers", answers()), ("entities", entities()), ("classes", classes()),
                                          ("correlations", correlations()))):
            f.write((",\n" if i else "\n") + json.dumps(name) + ": [\n" + ",\n".join("  " + json.dumps(r) for r in rows) + "\n]")
        f.write("\n}\n")


main(sys.argv[1])
