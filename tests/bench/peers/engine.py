#!/usr/bin/env python3
"""One peer in a process of its own, so that thread pools and settings do not meet.

    engine.py ENGINE PRECISION MODEL_DIR CACHE_DIR THREADS [TEXTS]

Answers requests on standard input (JSON, a line each) on standard output:

    {"do": "ids", "tokens": 128, "texts": 64, "seconds": 1}   uniform ids, the same as bench_encoder's
    {"do": "file", "path": ..., "seconds": 1}                 texts, from UTF-8 to unit vectors
    {"do": "one", "tokens": 16, "seconds": 1}                 one text a call

The first request of a kind tries the engine's settings (ways of threading, batch sizes) and keeps
the fastest; its name comes with every answer. A setting that does not run is left out.
"""
import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NVPL_BLAS_DEBUG_CPU_TYPE", "MKL_DEBUG_CPU_TYPE"):
    os.environ.pop(name, None)  # a forced core would slow the peers down
os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512" if "avx512f" in open("/proc/cpuinfo").read() else "AVX2")
os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import models  # noqa: E402


def uniform(tokens, n):
    k, out = 0, []
    for _ in range(n):
        ids = [1000 + (k + i) * 7919 % 20000 for i in range(tokens - 2)]
        k += tokens - 2
        out.append([101] + ids + [102])
    return out


def padded(rows):
    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for r, row in enumerate(rows):
        ids[r, :len(row)] = row
        mask[r, :len(row)] = 1
    return ids, mask


def in_batches(ids, size):
    """Sorted by length, so that padding is short."""
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    return [padded([ids[i] for i in order[at:at + size]]) for at in range(0, len(order), size)]


def pooled(hidden, mask):
    weight = mask[:, :, None].astype(np.float32)
    mean = (hidden * weight).sum(1) / np.maximum(weight.sum(1), 1e-9)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)


class Onnx:
    """ONNX Runtime: one session on all threads, or a session a thread; the plain or the fused graph."""

    def __init__(self, precision, folder, cache, threads, texts):
        import onnxruntime as ort
        self.ort, self.threads = ort, threads
        graphs = {"": models.onnx_fp32(folder, cache)} if precision == "fp32" else \
            {"": models.onnx_int8(folder, cache)}
        if precision == "fp32":
            try:
                graphs[" fused"] = models.onnx_fused(folder, cache)
            except Exception as e:  # the optimiser is picky about versions
                print("fused graph:", e, file=sys.stderr)
        self.graphs, self.sessions, self.pool = graphs, {}, ThreadPoolExecutor(threads)
        self.version = "onnxruntime " + ort.__version__

    def ways(self, single):
        for g in self.graphs:
            yield "one session" + g
            if self.threads > 1 and not single:
                yield "a session a thread" + g

    def session(self, way):
        if way not in self.sessions:
            o = self.ort.SessionOptions()
            o.intra_op_num_threads = self.threads if way.startswith("one") else 1
            o.inter_op_num_threads = 1
            o.graph_optimization_level = self.ort.GraphOptimizationLevel.ORT_ENABLE_ALL
            o.add_session_config_entry("session.set_denormal_as_zero", "1")
            path = self.graphs[" fused" if way.endswith("fused") else ""]
            n = 1 if way.startswith("one") else self.threads
            self.sessions[way] = [self.ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
                                  for _ in range(n)]
        return self.sessions[way]

    def run(self, way, batches):
        s = self.session(way)

        def part(i):
            return [s[i].run(["vectors"], {"ids": a, "mask": m})[0] for a, m in batches[i::len(s)]]
        if len(s) == 1:
            return part(0)
        return list(self.pool.map(part, range(len(s))))


class OpenVino:
    """OpenVINO: throughput streams or latency mode, dynamic or static shapes."""

    def __init__(self, precision, folder, cache, threads, texts):
        import openvino as ov
        self.ov, self.threads, self.precision = ov, threads, precision
        self.core = ov.Core()
        self.path = models.openvino_int8(folder, cache, texts) if precision == "int8" else \
            models.onnx_fp32(folder, cache)
        self.queues = {}
        self.version = "openvino " + ov.__version__.split("-")[0]

    def ways(self, single):
        hints = ["latency"] if single else ["streams"]
        for hint in hints:
            yield hint
            yield hint + " static"

    def queue(self, way, shape):
        key = (way, shape if way.endswith("static") else None)
        if key not in self.queues:
            model = self.core.read_model(self.path)
            if way.endswith("static"):
                model.reshape({"ids": list(shape), "mask": list(shape)})
            many = way.startswith("streams")
            config = {"PERFORMANCE_HINT": "THROUGHPUT" if many else "LATENCY",
                      "INFERENCE_NUM_THREADS": self.threads,
                      "NUM_STREAMS": self.threads if many else 1,
                      "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32"}
            compiled = self.core.compile_model(model, "CPU", config)
            self.queues[key] = self.ov.AsyncInferQueue(compiled, self.threads * 2 if many else 1)
        return self.queues[key]

    def run(self, way, batches):
        used = set()
        for a, m in batches:
            q = self.queue(way, a.shape)
            q.start_async({"ids": a, "mask": m}, share_inputs=True)
            used.add(q)
        for q in used:
            q.wait_all()


class Ctranslate2:
    """CTranslate2: replicas (inter) or threads in one (intra)."""

    def __init__(self, precision, folder, cache, threads, texts):
        import ctranslate2
        self.ct2, self.threads = ctranslate2, threads
        self.path = models.ctranslate2_dir(folder, cache)
        self.type = "int8_float32" if precision == "int8" else "float32"
        self.encoders, self.pool = {}, ThreadPoolExecutor(threads)
        self.version = "ctranslate2 " + ctranslate2.__version__

    def ways(self, single):
        yield "intra"
        if self.threads > 1 and not single:
            yield "inter"

    def run(self, way, batches):
        if way not in self.encoders:
            inter = self.threads if way == "inter" else 1
            self.encoders[way] = self.ct2.Encoder(self.path, compute_type=self.type, inter_threads=inter,
                                                  intra_threads=self.threads // inter)
        e = self.encoders[way]

        def part(i):
            for a, m in batches[i::self.threads if way == "inter" else 1]:
                rows = [row[:n].tolist() for row, n in zip(a, m.sum(1))]
                pooled(np.array(e.forward_batch(rows).last_hidden_state), m)
        if way == "intra":
            part(0)
        else:
            list(self.pool.map(part, range(self.threads)))


class Torch:
    """PyTorch, eager, scaled dot-product attention."""

    def __init__(self, precision, folder, cache, threads, texts):
        import torch
        from transformers import AutoModel
        torch.set_num_threads(threads)
        self.torch = torch
        self.model = AutoModel.from_pretrained(folder, attn_implementation="sdpa").eval()
        if precision == "bf16":
            self.model = self.model.bfloat16()
        self.version = "torch " + torch.__version__.split("+")[0]

    def ways(self, single):
        yield "eager"

    def run(self, way, batches):
        t = self.torch
        with t.inference_mode():
            for a, m in batches:
                mask = t.from_numpy(m)
                full = bool(m.all())
                h = self.model(t.from_numpy(a), None if full else mask).last_hidden_state
                w = mask.unsqueeze(-1).to(h.dtype)
                t.nn.functional.normalize((h * w).sum(1) / w.sum(1), dim=1).float().numpy()


class Sentence:
    """sentence-transformers as its users call it: texts in, vectors out; it sorts by length itself."""

    def __init__(self, precision, folder, cache, threads, texts):
        import sentence_transformers
        import torch
        torch.set_num_threads(threads)
        kwargs = {"torch_dtype": torch.bfloat16} if precision == "bf16" else {}
        self.model = sentence_transformers.SentenceTransformer(folder, device="cpu", model_kwargs=kwargs)
        self.version = "sentence-transformers " + sentence_transformers.__version__

    def embed(self, texts, size):
        return self.model.encode(texts, batch_size=size, normalize_embeddings=True, show_progress_bar=False)


ENGINES = {"onnxruntime": Onnx, "openvino": OpenVino, "ctranslate2": Ctranslate2, "torch": Torch,
           "sentence-transformers": Sentence}


class Timer:
    """Settings tried once, then samples with the best."""

    def __init__(self, engine):
        self.engine, self.best = engine, {}

    def sample(self, run, n, seconds):
        done, start = 0, time.perf_counter()
        took = []
        while not took or time.perf_counter() - start < seconds:
            t = time.perf_counter()
            run()
            took.append(time.perf_counter() - t)
            done += n
        return done / (time.perf_counter() - start), statistics.median(took) * 1e3

    def answer(self, key, candidates, n, tokens, seconds, trial):
        """candidates: (name, trial run, run); each trial runs once to warm up, then for `trial` s."""
        if key not in self.best:
            best = 0
            for name, short, run in candidates():
                try:
                    short()
                    rate, _ = self.sample(short, n, trial)
                except Exception as e:
                    print(f"{name}: {e}", file=sys.stderr)
                    continue
                if rate > best:
                    best, self.best[key] = rate, (name, run)
            self.best[key][1]()
        name, run = self.best[key]
        rate, ms = self.sample(run, n, seconds)
        return {"texts_s": rate, "tokens_s": rate * tokens / n, "ms": ms, "setting": name}

    def ids(self, tokens, n, seconds, few):
        rows = uniform(tokens, n)

        def candidates():
            for way in self.engine.ways(n == 1):
                if few and way.endswith(("static", "fused", "intra")):
                    continue
                for size in (1, 2, 4, 8, 16, 32, 64):
                    total = size * tokens
                    if n > 1 and way.endswith("static") and not 512 <= total <= 2048:
                        continue  # each shape is compiled anew
                    if n == 1 and size == 1 or n > 1 and size <= n and (256 if few else 128) <= total <= \
                            (1024 if few else 4096):
                        batches = in_batches(rows, size)
                        run = lambda w=way, b=batches: self.engine.run(w, b)  # noqa: E731
                        yield f"{way}, batch {size}", run, run
        return self.answer(("ids", tokens, n), candidates, n, tokens * n, seconds, 0.15)

    def file(self, path, seconds):
        """Settings are tried on a quarter of the texts."""
        texts = read_texts(path)
        tokens = sum(map(len, token_ids(texts)))

        def whole(size, texts):
            return lambda: self.engine.embed(texts, size)

        def by_length(way, size, texts):
            def run():
                self.engine.run(way, in_batches(token_ids(texts), size))
            return run

        def candidates():
            some = texts[::4]
            if isinstance(self.engine, Sentence):
                for size in (8, 16, 32, 64, 128):
                    yield f"batch {size}", whole(size, some), whole(size, texts)
                return
            for way in self.engine.ways(False):
                if not way.endswith(("static", "fused", "intra")):
                    for size in (2, 4, 8, 16, 32):
                        yield f"{way}, batch {size}", by_length(way, size, some), by_length(way, size, texts)
        return self.answer(("file", path), candidates, len(texts), tokens, seconds, 0)


def token_ids(texts):
    return [e.ids for e in TOKENIZER.encode_batch_fast(texts)]


def read_texts(path):
    with open(path, encoding="utf-8") as f:
        return f.read().rstrip("\0").split("\0")


def main(engine, precision, folder, cache, threads, path=None):
    global TOKENIZER
    import tokenizers  # and not transformers, which would load torch into every engine
    TOKENIZER = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    TOKENIZER.enable_truncation(256)
    TOKENIZER.no_padding()
    talk = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries that print
    e = ENGINES[engine](precision, folder, cache, int(threads), read_texts(path) if path else None)
    timer = Timer(e)
    print(json.dumps({"ready": True, "version": e.version}), file=talk)
    for line in sys.stdin:
        q = json.loads(line)
        if q["do"] == "file":
            a = timer.file(q["path"], q["seconds"])
        else:
            a = timer.ids(q["tokens"], q.get("texts", 1), q["seconds"], q.get("few", False))
        print(json.dumps(a), file=talk)


if __name__ == "__main__":
    main(*sys.argv[1:])
