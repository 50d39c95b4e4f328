"""What the peers run: one model folder exported once for each of them, kept in a cache folder.

    models.py base FOLDER DIR     writes a model of BERT-base's shape with random weights to DIR,
                                  with the tokenizer of FOLDER

ONNX graphs take ids and mask and give unit vectors: mean pooling and normalisation are part of the
graph, so that every engine does the same work. Quantised forms follow each peer's own advice:
ONNX Runtime dynamic, per channel, matrix products only; OpenVINO by NNCF with the transformer
preset (SmoothQuant inside), calibrated on texts where there are some.
"""
import os
import shutil
import sys

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json",
                   "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")


def once(path, make):
    """`path`, made by make(temporary path) where it is not there yet."""
    if not os.path.exists(path):
        part = os.path.join(os.path.dirname(path), "part-" + os.path.basename(path))
        shutil.rmtree(part, ignore_errors=True)
        make(part)
        os.rename(part, path)
    return path


def base(folder, out):
    """A folder of BERT-base's shape, weights random, the tokenizer and modules of another."""
    def make(part):
        import torch
        from transformers import AutoConfig, BertConfig, BertModel
        torch.manual_seed(1)
        vocab = AutoConfig.from_pretrained(folder).vocab_size
        BertModel(BertConfig(vocab_size=vocab)).save_pretrained(part)
        for name in TOKENIZER_FILES:
            if os.path.exists(os.path.join(folder, name)):
                shutil.copy(os.path.join(folder, name), part)
        os.makedirs(os.path.join(part, "1_Pooling"))
        with open(os.path.join(folder, "1_Pooling", "config.json"), encoding="utf-8") as f:
            text = f.read().replace('"word_embedding_dimension": 384', '"word_embedding_dimension": 768')
        with open(os.path.join(part, "1_Pooling", "config.json"), "w", encoding="utf-8") as f:
            f.write(text)
    return once(out, make)


def onnx_fp32(folder, cache):
    def make(part):
        import torch
        from transformers import AutoModel

        class Embedder(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

            def forward(self, ids, mask):
                hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
                weight = mask.unsqueeze(-1).to(hidden.dtype)
                mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
                return torch.nn.functional.normalize(mean, p=2.0, dim=1)

        os.makedirs(part)
        ids = torch.ones(2, 8, dtype=torch.long)
        axes = {0: "n", 1: "t"}
        torch.onnx.export(Embedder(), (ids, ids), os.path.join(part, "model.onnx"), dynamo=False,
                          opset_version=17, input_names=["ids", "mask"], output_names=["vectors"],
                          dynamic_axes={"ids": axes, "mask": axes, "vectors": {0: "n"}})
    return os.path.join(once(os.path.join(cache, "onnx"), make), "model.onnx")


def onnx_fused(folder, cache):
    """The graph after ONNX Runtime's own transformer optimiser (Attention, SkipLayerNorm, BiasGelu)."""
    plain = onnx_fp32(folder, cache)

    def make(part):
        from onnxruntime.transformers import optimizer
        from transformers import AutoConfig
        config = AutoConfig.from_pretrained(folder)
        os.makedirs(part)
        m = optimizer.optimize_model(plain, model_type="bert", num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size, opt_level=1)
        m.save_model_to_file(os.path.join(part, "model.onnx"))
    return os.path.join(once(os.path.join(cache, "onnx-fused"), make), "model.onnx")


def onnx_int8(folder, cache):
    plain = onnx_fp32(folder, cache)

    def make(part):
        from onnxruntime.quantization import QuantType, quantize_dynamic
        os.makedirs(part)
        quantize_dynamic(plain, os.path.join(part, "model.onnx"), weight_type=QuantType.QInt8,
                         per_channel=True, reduce_range=False, op_types_to_quantize=["MatMul"])
    return os.path.join(once(os.path.join(cache, "onnx-int8"), make), "model.onnx")


def openvino_int8(folder, cache, texts):
    plain = onnx_fp32(folder, cache)

    def make(part):
        import nncf
        import openvino as ov
        from transformers import AutoTokenizer
        tok = AutoTokenizer.from_pretrained(folder)

        def sample(text):
            e = tok(text, truncation=True, max_length=128, return_tensors="np")
            return {"ids": e["input_ids"], "mask": e["attention_mask"]}
        few = texts[:64] if texts else ["a sample of text to calibrate on, number %d" % i for i in range(64)]
        m = nncf.quantize(ov.Core().read_model(plain), nncf.Dataset(few, sample),
                          model_type=nncf.ModelType.TRANSFORMER, subset_size=len(few))
        os.makedirs(part)
        ov.save_model(m, os.path.join(part, "model.xml"), compress_to_fp16=False)
    return os.path.join(once(os.path.join(cache, "openvino-int8"), make), "model.xml")


def ctranslate2_dir(folder, cache):
    def make(part):
        import ctranslate2
        ctranslate2.converters.TransformersConverter(folder).convert(part)
    return once(os.path.join(cache, "ctranslate2"), make)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] != "base":
        sys.exit(__doc__)
    base(sys.argv[2], sys.argv[3])
