"""The table of reproductions: what is trained, on which prepared files, and which figure counts.

Both sides (semsearch and PyTorch) start from the same folder of weights (heads included), see the
same rows in the same order (shuffled once by prepare.py, epochs written one after the other) and
drop nothing out, so their figures may be compared to fractions of a point.
"""

from dataclasses import dataclass, field


@dataclass
class Experiment:
    name: str
    task: str
    epochs: int
    rate: float
    batch: int
    length: int
    figure: str  # the key of the eval command's JSON
    base: str = "model"  # "model": the sentence encoder as it is; "head": with a new head
    loss: str = ""
    rows: int = 0  # of the training set; 0: all
    search: str = ""  # a BEIR folder among the prepared files, scored by `eval search`
    note: str = ""
    options: list = field(default_factory=list)


EXPERIMENTS = [
    Experiment("stsb", "sentence-similarity", 1, 2e-5, 32, 64, "spearman", loss="cosent"),
    Experiment("aws-pairs", "sentence-similarity", 1, 2e-5, 32, 128, "ndcg@10", loss="mnrl",
               rows=1600, search="aws",
               note="title to body and heading to section of other guides; judged questions"),
    Experiment("scifact", "sentence-similarity", 1, 2e-5, 32, 200, "ndcg@10", loss="mnrl",
               search="scifact-held",
               note="no relevant abstract on both sides"),
    Experiment("cosqa", "sentence-similarity", 2, 2e-5, 32, 128, "ndcg@10", loss="mnrl",
               search="cosqa-held", note="no relevant function on both sides"),
    Experiment("sst2", "text-classification", 1, 5e-5, 32, 64, "accuracy", base="head", rows=6000),
    Experiment("mrpc", "text-classification", 2, 5e-5, 32, 128, "f1", base="head", rows=1600),
    Experiment("rte", "text-classification", 2, 5e-5, 32, 128, "accuracy", base="head", rows=1200),
    Experiment("trec6", "text-classification", 2, 1e-4, 32, 64, "accuracy", base="head"),
    Experiment("banking77", "text-classification", 1, 2e-4, 32, 64, "accuracy", base="head"),
    Experiment("wikiann", "token-classification", 1, 1e-4, 32, 96, "f1", base="head", rows=6000),
    Experiment("wnut17", "token-classification", 2, 1e-4, 32, 128, "f1", base="head"),
    Experiment("xquad", "question-answering", 12, 1e-4, 16, 256, "f1", base="head",
               note="held out by article"),
]
