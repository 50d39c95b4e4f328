#!/usr/bin/env python3
"""Makes tests/data/models/tiny: a BERT sentence encoder with random weights, in sentence-transformers layout.

Its vocabulary is the printable ASCII characters, so every English word becomes its letters and different texts get different
vectors; it knows nothing of meaning. For tests of everything but quality. Only Python's own library; same bytes at every run.
"""
import json
import pathlib
import random
import struct

OUT = pathlib.Path(__file__).parent / "tiny"
HIDDEN, LAYERS, HEADS, INNER, WINDOW = 32, 2, 2, 64, 128


def main():
    rng = random.Random(20260301)
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    words = [c for c in letters if c.isalnum()]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters + ["##" + w for w in words]
    shapes = [("embeddings.word_embeddings.weight", (len(vocab), HIDDEN)),
              ("embeddings.position_embeddings.weight", (WINDOW, HIDDEN)),
              ("embeddings.token_type_embeddings.weight", (2, HIDDEN)),
              ("embeddings.LayerNorm.weight", (HIDDEN,)), ("embeddings.LayerNorm.bias", (HIDDEN,))]
    for n in range(LAYERS):
        p = f"encoder.layer.{n}."
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes += [(f"{p}{part}.weight", (HIDDEN, HIDDEN)), (f"{p}{part}.bias", (HIDDEN,))]
        shapes += [(p + "attention.output.LayerNorm.weight", (HIDDEN,)), (p + "attention.output.LayerNorm.bias", (HIDDEN,)),
                   (p + "intermediate.dense.weight", (INNER, HIDDEN)), (p + "intermediate.dense.bias", (INNER,)),
                   (p + "output.dense.weight", (HIDDEN, INNER)), (p + "output.dense.bias", (HIDDEN,)),
                   (p + "output.LayerNorm.weight", (HIDDEN,)), (p + "output.LayerNorm.bias", (HIDDEN,))]
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in shapes:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        norm = name.endswith("LayerNorm.weight")
        # word rows differ much, positions little: then texts differ by their letters
        scale = 1.0 if "word_emb" in name else 0.05 if "embeddings." in name else 0.15
        values = [(1.0 if norm else 0.0) + rng.gauss(0, 0.02 if norm else scale) for _ in range(count)]
        raw = struct.pack(f"<{count}e", *values)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    (OUT / "1_Pooling").mkdir(parents=True, exist_ok=True)
    (OUT / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    (OUT / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    files = {
        "config.json": {"architectures": ["BertModel"], "model_type": "bert", "vocab_size": len(vocab), "hidden_size": HIDDEN,
                        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER, "hidden_act": "gelu",
                        "max_position_embeddings": WINDOW, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0},
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": WINDOW},
        "sentence_bert_config.json": {"max_seq_length": WINDOW, "do_lower_case": False},
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                         {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                         {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}],
        "1_Pooling/config.json": {"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": False,
                                  "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False,
                                  "pooling_mode_mean_sqrt_len_tokens": False},
    }
    for name, content in files.items():
        (OUT / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
