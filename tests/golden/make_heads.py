"""Makes tests/golden/heads/: tiny random task models with what transformers computes for them.

usage: make_heads.py OUT          (needs torch, transformers 4.57)

Every folder is a task model as save_pretrained writes it, and beside it golden.json: for each case the
token ids, segments, masked positions and the logits (of the masked positions only, where the head gives
words). One text at a time, so nothing is padded. Norms and biases are random. Seeds are fixed.
"""
import json
import os
import sys

import torch
import transformers as hf

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


if __name__ == "__main__":
    main(sys.argv[1])
