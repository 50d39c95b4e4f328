"""Makes tests/golden/heads/: tiny random task models with what transformers computes for them.

usage: make_heads.py OUT          (needs torch, transformers 4.57, seqeval)

Every folder is a task model as save_pretrained writes it, and beside it golden.json: for each case the
token ids, segments, masked positions and the logits (of the masked positions only, where the head gives
words). One text at a time, so nothing is padded. Norms and biases are random. Seeds are fixed.
"""
import json
import os
import sys

import torch
import transformers as hf
from seqeval.metrics.sequence_labeling import get_entities

from make_models import VOCAB, fresh, randomise, tokenizer

CASES = [("the word is hot", None, [2]), ("they said that all the people could see him", None, [3, 4, 7]),
         ("how many words would you like to write", "many of them", [1, 10]), ("", None, [0]),
         ("a", "make thing", [4])]
ENDINGS = {"text-classification": "ForSequenceClassification", "token-classification": "ForTokenClassification",
           "question-answering": "ForQuestionAnswering", "fill-mask": "ForMaskedLM",
           "next-sentence": "ForNextSentencePrediction", "pretraining": "ForPreTraining"}
LABELS = {"text-classification": ["neg", "neutral", "pos"], "token-classification": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]}
SIZES = dict(vocab_size=len(VOCAB), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24)


def config_of(family, labels):
    more = {}
    if labels:
        more = {"id2label": dict(enumerate(labels)), "label2id": {x: i for i, x in enumerate(labels)}}
    if family == "bert":
        return hf.BertConfig(**SIZES, max_position_embeddings=40, layer_norm_eps=1e-5, hidden_act="gelu_new", **more)
    if family == "roberta":
        return hf.RobertaConfig(**SIZES, max_position_embeddings=42, type_vocab_size=1, pad_token_id=1,
                                layer_norm_eps=1e-5, hidden_act="relu", **more)
    return hf.DistilBertConfig(vocab_size=len(VOCAB), dim=16, n_layers=1, n_heads=2, hidden_dim=24,
                               max_position_embeddings=40, **more)


def numbers(x):
    return [float(f"{v:.9g}") for v in x.flatten()]


def case(model, task, family, tok, text, pair, picks):
    enc = tok(text, pair) if pair is not None else tok(text)
    ids, types = enc["input_ids"], enc["token_type_ids"]
    more = {"token_type_ids": torch.tensor([types])} if family == "bert" else {}
    picks = [p for p in picks if p < len(ids)]
    out = model(torch.tensor([ids]), **more)
    one = {"text": text, "pair": pair, "ids": ids, "types": types, "pick": picks}
    if task == "question-answering":
        one["out"] = numbers(torch.stack([out.start_logits[0], out.end_logits[0]], 1))
    elif task == "fill-mask":
        one["out"] = numbers(out.logits[0][picks])
    elif task == "pretraining":
        one["out"] = numbers(out.prediction_logits[0][picks])
        one["out2"] = numbers(out.seq_relationship_logits[0])
    else:
        one["out"] = numbers(out.logits[0])
    return one


LONG = ("thé people said that all the words could be made by him and the number is one and there was no time but she "
        "could do more long day by day when the hot word is up and how would you like to write about many of these "
        "things, so look at him and see what the people do if they will go")


def bytes_at(text, at):
    return len(text[:at].encode())


def predict_classes(model, tok, **row):
    texts = [row["text"]] + ([row["pair"]] if "pair" in row else [])
    enc = tok(*texts, return_tensors="pt")
    if model.config.model_type != "bert":
        enc.pop("token_type_ids", None)
    return {"scores": numbers(model(**enc).logits[0].softmax(0))}


def predict_answer(model, tok, question, context, longest=30, stride=8):
    """The windows of transformers' own overflow; every span of every window."""
    enc = tok(question, context, truncation="only_second", max_length=40, stride=stride, return_overflowing_tokens=True,
              return_offsets_mapping=True)
    best, null = (-1e9, 0, 0), 1e9
    for w, ids in enumerate(enc["input_ids"]):
        more = {"token_type_ids": torch.tensor([enc["token_type_ids"][w]])} if model.config.model_type == "bert" else {}
        out = model(torch.tensor([ids]), **more)
        s, e = out.start_logits[0].tolist(), out.end_logits[0].tolist()
        inside = [i for i, x in enumerate(enc.sequence_ids(w)) if x == 1]
        null = min(null, s[0] + e[0])
        for i in inside:
            for j in inside:
                if i <= j < i + longest and s[i] + e[j] > best[0]:
                    best = (s[i] + e[j], enc["offset_mapping"][w][i][0], enc["offset_mapping"][w][j][1])
    return {"score": best[0], "start": bytes_at(context, best[1]), "end": bytes_at(context, best[2]), "null_score": null,
            "windows": len(enc["input_ids"])}


def predict_words(model, tok, words):
    """Tags of given words, with our rule for long texts: windows that share a quarter, each word where it has most context."""
    ids, first = [], {}
    for k, w in enumerate(words):
        own = tok(w, add_special_tokens=False)["input_ids"]
        if own:
            first[len(ids)] = k
        ids += own
    room, best, at = 38, {}, 0
    while ids:
        part = ids[at:at + room]
        p = model(torch.tensor([[tok.cls_token_id] + part + [tok.sep_token_id]])).logits[0].softmax(1)
        for i in range(len(part)):
            if at + i in first:
                left = i if at else 10 ** 9
                right = len(part) - 1 - i if at + room < len(ids) else 10 ** 9
                k, margin = first[at + i], min(left, right)
                if k not in best or margin > best[k][0]:
                    best[k] = (margin, int(p[1 + i].argmax()), float(p[1 + i].max()))
        if at + room >= len(ids):
            break
        at += room - room // 4
    labels = model.config.id2label
    tags = [labels[best[k][1]] if k in best else "O" for k in range(len(words))]
    found = []
    for kind, a, b in get_entities(tags):
        p = [best[k][2] for k in range(a, b + 1)]
        found.append({"label": kind, "start": a, "end": b + 1, "score": sum(p) / len(p)})
    return {"tags": tags, "entities": found}


def predict_masks(model, tok, text, top=3):
    enc = tok(text, return_tensors="pt")
    ids = enc["input_ids"][0].tolist()
    z = model(enc["input_ids"]).logits[0]
    masks = []
    for i in [i for i, x in enumerate(ids) if x == tok.mask_token_id]:
        t = z[i].softmax(0).topk(top)
        masks.append([[a, b] for a, b in zip(t.indices.tolist(), t.values.tolist())])
    return {"masks": masks}


def predictions(out):
    rows = []

    def add(family, task, function, **row):
        d = os.path.join(out, f"{family}-{task}")
        model = getattr(hf, {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}[family] + ENDINGS[task])
        with torch.no_grad():
            expect = function(model.from_pretrained(d).eval(), hf.AutoTokenizer.from_pretrained(d), **row)
        rows.append({"model": f"{family}-{task}", "input": row, "expect": expect})

    for family in ("bert", "roberta", "distilbert"):
        add(family, "text-classification", predict_classes, text="the word is hot")
        add(family, "text-classification", predict_classes, text="the word is hot", pair="many of them")
        add(family, "question-answering", predict_answer, question="what would they do?", context=LONG)
        add(family, "question-answering", predict_answer, question="who", context="the people could see him", longest=2)
        for text in ("the people could see him", "one", LONG, "they  \u200b looking"):
            add(family, "token-classification", predict_words, words=text.split(" "))
        add(family, "fill-mask", predict_masks, text="the [MASK] is hot and [MASK]")
    with open(os.path.join(out, "predict.json"), "w") as f:
        f.write("[\n" + ",\n".join("  " + json.dumps(r) for r in rows) + "\n]\n")


def main(out):
    seed = 100
    for family, name in (("bert", "Bert"), ("roberta", "Roberta"), ("distilbert", "DistilBert")):
        for task, ending in ENDINGS.items():
            if task in ("next-sentence", "pretraining") and family != "bert":
                continue
            seed += 1
            d = fresh(out, f"{family}-{task}")
            vocab = ["[UNK]", "[PAD]"] + VOCAB[2:] if family == "roberta" else VOCAB
            tok = tokenizer(d, vocab, kind="DistilBertTokenizer" if family == "distilbert" else "BertTokenizer")
            model = randomise(getattr(hf, name + ending)(config_of(family, LABELS.get(task))), seed)
            model.save_pretrained(d)
            with torch.no_grad():
                cases = [case(model, task, family, tok, *c) for c in CASES]
            with open(os.path.join(d, "golden.json"), "w") as f:
                f.write('{"cases": [\n' + ",\n".join("  " + json.dumps(c) for c in cases) + "\n]}\n")
    predictions(out)


if __name__ == "__main__":
    main(sys.argv[1])
