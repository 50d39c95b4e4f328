"""Makes tests/golden/models/: tiny random encoders with what the reference libraries compute for them.

usage: make_models.py OUT          (needs torch, transformers 4.57, sentence-transformers 5.7)

Every folder is a model as people have them, and beside it golden.json: for each case the text, the
role, the token ids and the vector of SentenceTransformer.encode (one text at a time, so nothing is
padded); `hidden` has the activations of the first case after the embedding norm and each layer. All
norms and biases are random, for their usual 1 and 0 hide mistakes. Seeds are fixed.
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import (BertConfig, BertForPreTraining, BertModel, BertTokenizerFast, DistilBertConfig,
                          DistilBertModel, RobertaConfig, RobertaModel)

WORDS = ("the a of to and in is it you that he was for on are with as his they be at one have this from "
         "or had by hot word but what some we can out other were all there when up use your how said an "
         "each she which do their time if will way about many then them write would like so these her "
         "long make thing see him two has look more day could go come did number sound no most people "
         "##s ##ing ##ed ##er ##ly : ? . , query passage note").split()
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS
TEXTS = ["the word is hot", "", "they said that all the people could see him", "unknown zebra, what?",
         "a", "  how many words would you like to write, and when will they come?  ", "make making lookers",
         "the the the of of of to to to and and and in in in is is is it it it you you you that that he he he"]


def randomise(model, seed, std=0.25):
    gen = torch.Generator().manual_seed(seed)
    for name, p in model.state_dict().items():
        if not p.is_floating_point():
            continue
        noise = torch.randn(p.shape, generator=gen) * std
        norm_gain = "norm" in name.lower() and name.endswith("weight")
        p.copy_(1 + noise if norm_gain else noise)
    return model.eval()


def tokenizer(folder, vocab=VOCAB, max_length=40, kind="BertTokenizer"):
    path = os.path.join(folder, "vocab.txt")
    with open(path, "w") as f:
        f.write("\n".join(vocab) + "\n")
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": kind, "do_lower_case": True, "model_max_length": max_length,
                   "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
                   "mask_token": "[MASK]"}, f)
    return BertTokenizerFast(path)


def dump(folder, name, value):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(value, f, indent=1)


def config(**more):
    return BertConfig(vocab_size=len(VOCAB), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                      intermediate_size=40, max_position_embeddings=40, **more)


OLD = "sentence_transformers.models."
NEW = {"Transformer": "sentence_transformers.base.modules.transformer.Transformer",
       "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
       "Normalize": "sentence_transformers.sentence_transformer.modules.normalize.Normalize",
       "Dense": "sentence_transformers.base.modules.dense.Dense"}


def modules(folder, names, new):
    rows = []
    for i, n in enumerate(names):
        rows.append({"idx": i, "name": str(i), "path": f"{i}_{n}" if i else "",
                     "type": NEW[n] if new else OLD + n})
    dump(folder, "modules.json", rows)


def old_pooling(folder, hidden, modes, **more):
    flags = {f"pooling_mode_{m}": m in modes for m in
             ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]}
    dump(folder, "1_Pooling/config.json", {"word_embedding_dimension": hidden, **flags, **more})


def linear(folder, n_in, n_out, act, seed, bias=True):
    gen = torch.Generator().manual_seed(seed)
    w = {"linear.weight": torch.randn(n_out, n_in, generator=gen) * 0.3}
    if bias:
        w["linear.bias"] = torch.randn(n_out, generator=gen) * 0.3
    dump(folder, "config.json", {"in_features": n_in, "out_features": n_out, "bias": bias,
                                 "activation_function": "torch.nn.modules." + act})
    save_file(w, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


def save_half(folder, dtype):
    path = os.path.join(folder, "model.safetensors")
    save_file({k: v.to(dtype) for k, v in load_file(path).items()}, path, metadata={"format": "pt"})


def golden(folder, hidden_model=None, roles=("default",)):
    """hidden_model: a plain encoder whose activations go into the file."""
    st = SentenceTransformer(folder, device="cpu").float().eval()
    tok, prompts, cases = st.tokenizer, st.prompts or {}, []

    def prompt_of(role):
        if role == "query" and prompts.get("query"):
            return prompts["query"]
        if role == "passage":
            for n in ("passage", "document", "corpus"):
                if prompts.get(n):
                    return prompts[n]
        return prompts.get(st.default_prompt_name) or "" if st.default_prompt_name else ""

    with torch.no_grad():
        for role in roles:
            for text in TEXTS:
                p = prompt_of(role)
                v = st.encode([text], prompt=p if p else "", convert_to_tensor=True)[0]
                ids = tok(p + text.strip(), truncation=True, max_length=st.max_seq_length)["input_ids"]
                cases.append({"role": role, "text": text, "ids": ids, "vector": [float(f"{x:.9g}") for x in v]})
        hidden = []
        if hidden_model is not None:
            h = hidden_model(torch.tensor([cases[0]["ids"]]), output_hidden_states=True).hidden_states
            hidden = [[float(f"{x:.9g}") for x in s[0].flatten()] for s in h]
    with open(os.path.join(folder, "golden.json"), "w") as f:
        f.write('{"dim": %d,\n "hidden": %s,\n "cases": [\n' % (len(cases[0]["vector"]), json.dumps(hidden)))
        f.write(",\n".join("  " + json.dumps(c) for c in cases) + "\n ]}\n")


def fresh(out, name):
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def main(out):
    # sentence-transformers 5.7's spelling, prompts, mean, Normalize; heads of 16
    d = fresh(out, "bert")
    tokenizer(d)
    cfg = BertConfig(vocab_size=len(VOCAB), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                     intermediate_size=48, max_position_embeddings=40, layer_norm_eps=1e-5)
    m = randomise(BertModel(cfg), 1)
    m.save_pretrained(d)
    modules(d, ["Transformer", "Pooling", "Normalize"], new=True)
    dump(d, "1_Pooling/config.json", {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True})
    dump(d, "config_sentence_transformers.json",
         {"model_type": "SentenceTransformer", "prompts": {"query": "query: ", "document": "", "passage": "passage: "},
          "default_prompt_name": None, "similarity_fn_name": "cosine"})
    golden(d, m, ("default", "query", "passage"))

    # the older spelling, all six poolings side by side, a short window, tanh-GELU, no Normalize
    d = fresh(out, "poolings")
    tokenizer(d)
    m = randomise(BertModel(config(hidden_act="gelu_new")), 2)
    m.save_pretrained(d)
    modules(d, ["Transformer", "Pooling"], new=False)
    old_pooling(d, 24, ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"])
    dump(d, "sentence_bert_config.json", {"max_seq_length": 12, "do_lower_case": False})
    golden(d, m)

    # half floats, two Dense modules, LayerNorm, Normalize, ReLU inside
    d = fresh(out, "dense_f16")
    tokenizer(d)
    randomise(BertModel(config(hidden_act="relu")), 3).save_pretrained(d)
    save_half(d, torch.float16)
    modules(d, ["Transformer", "Pooling", "Dense", "LayerNorm", "Dense", "Normalize"], new=False)
    old_pooling(d, 24, ["cls_token", "max_tokens"])
    linear(os.path.join(d, "2_Dense"), 48, 20, "activation.Tanh", 31)
    gen = torch.Generator().manual_seed(32)
    dump(d, "3_LayerNorm/config.json", {"dimension": 20})
    save_file({"norm.weight": 1 + 0.3 * torch.randn(20, generator=gen), "norm.bias": 0.3 * torch.randn(20, generator=gen)},
              os.path.join(d, "3_LayerNorm/model.safetensors"), metadata={"format": "pt"})
    linear(os.path.join(d, "4_Dense"), 20, 28, "linear.Identity", 33, bias=False)
    golden(d)

    # a pre-training checkpoint as it was written long ago: prefix, gamma and beta, heads, int64 buffer; bfloat16
    d = fresh(out, "plain_bf16")
    tokenizer(d)
    m = randomise(BertForPreTraining(config()), 4)
    m.save_pretrained(d)
    path = os.path.join(d, "model.safetensors")
    w = {}
    for k, v in load_file(path).items():
        k = k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        w[k] = v.to(torch.bfloat16)
    w["bert.embeddings.position_ids"] = torch.arange(40).unsqueeze(0)
    save_file(w, path, metadata={"format": "pt"})
    golden(d)

    # the prompt goes through the encoder but not into the mean; a default prompt; two shards
    d = fresh(out, "prompt_shards")
    tokenizer(d)
    m = randomise(BertModel(config()), 5)
    m.save_pretrained(d, max_shard_size="25KB")
    modules(d, ["Transformer", "Pooling"], new=False)
    old_pooling(d, 24, ["cls_token", "mean_tokens", "weightedmean_tokens"], include_prompt=False)
    dump(d, "sentence_bert_config.json", {"max_seq_length": 20, "do_lower_case": False})
    dump(d, "config_sentence_transformers.json",
         {"prompts": {"query": "the query is: ", "corpus": "note: "}, "default_prompt_name": "query"})
    golden(d, m, ("default", "passage"))

    # positions begin after the padding id; types of one row
    d = fresh(out, "roberta")
    tokenizer(d, ["[UNK]", "[PAD]"] + VOCAB[2:], 30)
    cfg = RobertaConfig(vocab_size=len(VOCAB), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
                        intermediate_size=40, max_position_embeddings=32, type_vocab_size=1, pad_token_id=1,
                        layer_norm_eps=1e-5)
    m = randomise(RobertaModel(cfg, add_pooling_layer=False), 6)
    m.save_pretrained(d)
    golden(d, m)

    d = fresh(out, "distilbert")
    tokenizer(d, kind="DistilBertTokenizer")
    cfg = DistilBertConfig(vocab_size=len(VOCAB), dim=24, n_layers=2, n_heads=3, hidden_dim=40,
                           max_position_embeddings=40)
    m = randomise(DistilBertModel(cfg), 7)
    m.save_pretrained(d)
    golden(d, m)


if __name__ == "__main__":
    main(sys.argv[1])
