"""Loads the folders that a learner writes in transformers and sentence-transformers, and compares outputs with ours.

usage: check_export.py EXPORT_DUMP SEMSEARCH [MODEL]     (needs torch, transformers 4.57, sentence-transformers)

EXPORT_DUMP is the program of export_dump.c. Every head of every family in tests/golden/heads is opened for training, saved,
and loaded by its AutoModelFor... class, which must find every tensor and no other; then the same texts go through
`semsearch predict` and through the library. New heads on bases without one, models from random weights, and sentence
encoders (against `semsearch embed`) likewise; MODEL adds a sentence encoder of real size. Exits 1 on any difference.
"""
import json
import logging
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers as hf
from sentence_transformers import SentenceTransformer

HERE = os.path.dirname(os.path.abspath(__file__))
HEADS, MODELS = os.path.join(HERE, "heads"), os.path.join(HERE, "models")
AUTO = {"text-classification": hf.AutoModelForSequenceClassification, "token-classification": hf.AutoModelForTokenClassification,
        "question-answering": hf.AutoModelForQuestionAnswering, "fill-mask": hf.AutoModelForMaskedLM,
        "next-sentence": hf.AutoModelForNextSentencePrediction, "pretraining": hf.AutoModelForPreTraining}
TEXTS = ["the word is hot", "they said that all the people could see him", "make it so", "unknown zebra, what?"]
PAIRS = [("the word is hot", "many of them"), ("who", "they said that all the people could see him")]
seen = []


class Catch(logging.Handler):
    def emit(self, record):
        if "Default prompt name" not in record.getMessage():
            seen.append(record.getMessage())


def run(*args, **more):
    return subprocess.run(args, check=True, capture_output=True, text=True, **more).stdout


def predict(program, folder, rows, *more):
    env = dict(os.environ, XDG_CACHE_HOME=os.path.join(os.path.dirname(folder), "cache"))
    out = run(program, "predict", "--model", folder, *more, input="".join(json.dumps(r) + "\n" for r in rows), env=env)
    return [json.loads(line) for line in out.splitlines()]


def inputs(tok, model, *texts):
    enc = tok(*texts, return_tensors="pt")
    if model.config.model_type != "bert":
        enc.pop("token_type_ids", None)
    return enc


def worst(pairs):
    return max((abs(a - b) for a, b in pairs), default=0.0)


def compare(program, folder, task, model, tok):
    """The largest difference between a number of ours and the library's."""
    label = model.config.id2label
    if task == "text-classification":
        ours = predict(program, folder, [{"text": t} for t in TEXTS] + [{"text": a, "text_pair": b} for a, b in PAIRS])
        pairs = []
        for one, text in zip(ours, [(t,) for t in TEXTS] + PAIRS):
            z = model(**inputs(tok, model, *text)).logits[0]
            if model.config.problem_type == "regression":
                pairs.append((one["score"], z.item()))
            else:
                pairs += [(one["scores"][label[i]], p) for i, p in enumerate(z.softmax(0).tolist())]
        return worst(pairs)
    if task == "token-classification":
        pairs = []
        for one, text in zip(predict(program, folder, [{"tokens": t.split()} for t in TEXTS]), TEXTS):
            enc = tok(text.split(), is_split_into_words=True, return_tensors="pt")
            words = enc.word_ids()
            if model.config.model_type != "bert":
                enc.pop("token_type_ids", None)
            best = model(**enc).logits[0].argmax(1).tolist()
            first = [label[best[words.index(i)]] for i in range(len(text.split()))]
            pairs += [(a != b, 0) for a, b in zip(one["tags"], first)]
        return worst(pairs)
    if task == "question-answering":
        pairs = []
        for one, (q, c) in zip(predict(program, folder, [{"question": q, "context": c} for q, c in PAIRS]), PAIRS):
            enc = inputs(tok, model, q, c)
            out = model(**enc)
            s, e = out.start_logits[0].tolist(), out.end_logits[0].tolist()
            where = [i for i, x in enumerate(enc.sequence_ids(0)) if x == 1]
            best = max(s[i] + e[j] for i in where for j in where if i <= j)
            pairs += [(one["score"], best), (one["null_score"], s[0] + e[0])]
        return worst(pairs)
    pairs = []
    if task != "next-sentence":
        for one in predict(program, folder, [{"text": "the [MASK] is hot"}], "--top", "3"):
            enc = inputs(tok, model, "the [MASK] is hot")
            out = model(**enc)
            z = (out.logits if task == "fill-mask" else out.prediction_logits)[0, 2].softmax(0)
            top = z.topk(3)
            got = one["masks"][0]
            pairs += [(g["id"], i) for g, i in zip(got, top.indices.tolist())]
            pairs += [(g["score"], p) for g, p in zip(got, top.values.tolist())]
    if task in ("next-sentence", "pretraining"):
        for one, (a, b) in zip(predict(program, folder, [{"text": a, "text_pair": b} for a, b in PAIRS], "--task",
                                       "next-sentence"), PAIRS):
            out = model(**inputs(tok, model, a, b))
            z = out.logits if task == "next-sentence" else out.seq_relationship_logits
            pairs.append((one["score"], z[0].softmax(0)[0].item()))
    return worst(pairs)


def check_head(program, dump, out, name, base, task, *labels):
    folder = os.path.join(out, name)
    run(dump, base, task, folder, *labels)
    seen.clear()
    model, info = AUTO[task].from_pretrained(folder, output_loading_info=True)
    tok = hf.AutoTokenizer.from_pretrained(folder)
    model.eval()
    lists = {k: v for k, v in info.items() if v}
    with torch.no_grad():
        d = compare(program, folder, task, model, tok)
    arch = json.load(open(os.path.join(folder, "config.json")))["architectures"][0]
    good = not lists and not seen and d < 2e-5 and type(model).__name__ == arch
    print(f"{'ok ' if good else 'BAD'} {name:44} {arch:38} difference {d:.2g} {lists or ''} {seen or ''}")
    return good


def check_sentence(program, dump, out, name, base, texts=TEXTS):
    folder = os.path.join(out, name)
    run(dump, base, "sentence-similarity", folder)
    seen.clear()
    st = SentenceTransformer(folder, device="cpu")
    role = "query" if (st.prompts or {}).get("query") else None
    ref = st.encode(texts, prompt_name=role, convert_to_numpy=True)
    more = ["--role", "query"] if role else []
    env = dict(os.environ, XDG_CACHE_HOME=os.path.join(out, "cache"))
    rows = run(program, "embed", "--model", folder, *more, input="".join(t + "\n" for t in texts), env=env).splitlines()
    ours = np.array([json.loads(r)["embedding"] for r in rows])
    d = float(np.abs(ours - ref).max())
    good = not seen and d < 2e-5 * max(1.0, float(np.abs(ref).max()))
    print(f"{'ok ' if good else 'BAD'} {name:44} {'SentenceTransformer':38} difference {d:.2g} window {st.max_seq_length} {seen or ''}")
    return good


def main():
    dump, program = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    for name in ("transformers", "sentence_transformers"):
        logger = logging.getLogger(name)
        logger.addHandler(Catch(logging.WARNING))
        logger.propagate = False
    good = True
    with tempfile.TemporaryDirectory() as out:
        for name in sorted(os.listdir(HEADS)):
            family, task = name.split("-", 1)
            good &= check_head(program, dump, out, name, os.path.join(HEADS, name), task)
        for family in ("bert", "roberta", "distilbert"):
            base = os.path.join(MODELS, family)
            good &= check_head(program, dump, out, f"new-{family}-classes", base, "text-classification", "no", "yes", "maybe")
            good &= check_head(program, dump, out, f"new-{family}-regression", base, "text-classification", "score")
            good &= check_head(program, dump, out, f"new-{family}-tokens", base, "token-classification", "O", "B-X", "I-X")
            good &= check_head(program, dump, out, f"new-{family}-answers", base, "question-answering")
            good &= check_head(program, dump, out, f"new-{family}-words", base, "fill-mask")
            random = f"{HEADS}/{family}-fill-mask/config.json,{HEADS}/{family}-fill-mask"
            good &= check_head(program, dump, out, f"random-{family}-words", random, "fill-mask")
            good &= check_sentence(program, dump, out, f"random-{family}-sentence", random)
        good &= check_head(program, dump, out, "new-bert-pretraining", os.path.join(MODELS, "bert"), "pretraining")
        for name in sorted(os.listdir(MODELS)):
            good &= check_sentence(program, dump, out, "sentence-" + name, os.path.join(MODELS, name))
        for path in sys.argv[3:]:
            good &= check_sentence(program, dump, out, "sentence-" + os.path.basename(os.path.dirname(path)), path,
                                   TEXTS * 25)
    return 0 if good else 1


sys.exit(main())
