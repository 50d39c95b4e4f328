"""Makes tests/golden/gradients/: what PyTorch's autograd computes for the tiny models beside it.

usage: make_gradients.py GOLDEN          (needs torch, transformers 4.57; GOLDEN is tests/golden)

For each model of heads/ and some of models/: the gradients of every tensor, under its name in the model's
file, of the loss sum over k of sin(k + 1) out[k], where out is the packed output of all cases of its
golden.json one behind the other (row after row, of fill-mask the rows of the masked positions only), plus,
where the model has two outputs, sum of cos(k + 1) out2[k]. In double, dropout off, rounded to float at the
end. models/ are pooled as the name of the file says.
"""
import json
import os
import sys

import torch
import transformers as hf
from safetensors.torch import save_file

MODELS = {"bert-mean": ("bert", "mean"), "distilbert-weightedmean": ("distilbert", "weightedmean"),
          "roberta-max": ("roberta", "max")}


def pooled(hidden, mode):
    if mode == "max":
        return hidden.max(0).values
    w = torch.arange(1, len(hidden) + 1, dtype=torch.double) if mode == "weightedmean" else torch.ones(len(hidden)).double()
    return (hidden * w[:, None]).sum(0) / w.sum()


def outputs(model, task, ids, types, pick):
    more = {"token_type_ids": torch.tensor([types])} if model.config.model_type == "bert" else {}
    out = model(torch.tensor([ids]), **more)
    if task == "question-answering":
        return torch.stack([out.start_logits[0], out.end_logits[0]], 1), None
    if task == "fill-mask":
        return out.logits[0][pick], None
    if task == "pretraining":
        return out.prediction_logits[0][pick], out.seq_relationship_logits[0]
    return out.logits[0], None


def weighted(parts, wave):
    flat = torch.cat([p.reshape(-1) for p in parts])
    return (wave(torch.arange(1, len(flat) + 1, dtype=torch.double)) * flat).sum()


def save(model, loss, path):
    loss.backward()
    named = {n: p.grad.float().contiguous() for n, p in model.named_parameters() if p.grad is not None}
    save_file(named, path)


def main():
    golden = sys.argv[1]
    out = os.path.join(golden, "gradients")
    os.makedirs(out, exist_ok=True)
    for name in sorted(os.listdir(os.path.join(golden, "heads"))):
        folder = os.path.join(golden, "heads", name)
        if not os.path.isdir(folder):
            continue
        task = name.split("-", 1)[1]
        config = hf.AutoConfig.from_pretrained(folder)
        model = getattr(hf, config.architectures[0]).from_pretrained(folder).double().eval()
        both = [outputs(model, task, c["ids"], c["types"], c["pick"])
                for c in json.load(open(os.path.join(folder, "golden.json")))["cases"]]
        loss = weighted([a for a, _ in both], torch.sin)
        if task == "pretraining":
            loss = loss + weighted([b for _, b in both], torch.cos)
        save(model, loss, os.path.join(out, f"{name}.safetensors"))
    for name, (folder, mode) in MODELS.items():
        folder = os.path.join(golden, "models", folder)
        model = hf.AutoModel.from_pretrained(folder).double().eval()
        cases = json.load(open(os.path.join(folder, "golden.json")))["cases"]
        hidden = [model(torch.tensor([c["ids"]])).last_hidden_state[0] for c in cases]
        save(model, weighted([pooled(h, mode) for h in hidden], torch.sin), os.path.join(out, f"{name}.safetensors"))


main()
