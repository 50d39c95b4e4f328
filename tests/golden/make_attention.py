#!/usr/bin/env python3
"""Makes tests/golden/attention.json: the attention weights that transformers computes (attn_implementation eager) for
small models of tests/golden/models. Needs torch and transformers.

    python tests/golden/make_attention.py
"""

import json
import os

import torch
from transformers import AutoModel

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = [("bert", [2, 15, 40, 7, 99, 33, 3], [0] * 7), ("bert", [2, 15, 40, 3, 99, 33, 3], [0, 0, 0, 0, 1, 1, 1]),
         ("distilbert", [2, 50, 51, 52, 3], [0] * 5), ("bert", [2], [0])]

out = []
for name, ids, types in CASES:
    model = AutoModel.from_pretrained(os.path.join(HERE, "models", name), attn_implementation="eager").eval()
    extra = {} if name == "distilbert" else {"token_type_ids": torch.tensor([types])}
    with torch.no_grad():
        weights = model(input_ids=torch.tensor([ids]), output_attentions=True, **extra).attentions
    flat = torch.stack([w[0] for w in weights])
    out.append({"model": name, "ids": ids, "types": types, "layers": flat.shape[0], "heads": flat.shape[1],
                "weights": [float(f"{v:.7g}") for v in flat.flatten().tolist()]})
with open(os.path.join(HERE, "attention.json"), "w") as f:
    json.dump(out, f, separators=(",", ":"))
    f.write("\n")
