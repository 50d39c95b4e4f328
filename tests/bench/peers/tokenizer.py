#!/usr/bin/env python3
"""Times the Hugging Face `tokenizers` library and our bench program on the same texts, one thread.

    tokenizer.py BENCH_PROGRAM MODEL_DIR FILE_OR_FOLDER...

Folders give one text a paragraph-sized piece of each file; .jsonl files one text a line (title and
text). `encode_batch_fast` leaves offsets out, `encode_batch` has them, as ours always does.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from texts import texts_of  # noqa: E402


def best_of(repeats, run):
    best = 1e18
    for _ in range(repeats):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


def main(program, model, *paths):
    texts = [t for p in paths for t in texts_of(p)]
    with tempfile.NamedTemporaryFile(delete=False) as f:
        f.write(b"".join(t.encode() + b"\0" for t in texts))
    size = os.path.getsize(f.name)
    peer = tokenizers.Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    peer.encode_special_tokens = True
    peer.no_truncation()
    peer.no_padding()
    load = best_of(3, lambda: tokenizers.Tokenizer.from_file(os.path.join(model, "tokenizer.json")))
    n_tokens = sum(len(e.ids) for e in peer.encode_batch_fast(texts))
    fast = best_of(3, lambda: peer.encode_batch_fast(texts))
    full = best_of(3, lambda: peer.encode_batch(texts))
    ours = json.loads(subprocess.check_output([program, model, f.name, "7"]))
    os.unlink(f.name)
    assert ours["tokens"] == n_tokens, (ours["tokens"], n_tokens)
    mb = size / 1e6
    print(json.dumps({"texts": len(texts), "mb": round(mb, 2), "tokens": n_tokens,
                      "ours_mb_per_s": ours["mb_per_s"], "ours_load_ms": ours["load_ms"],
                      "ours_load_blob_ms": ours["load_blob_ms"],
                      "peer": "tokenizers " + tokenizers.__version__,
                      "peer_fast_mb_per_s": round(mb / fast, 2),
                      "peer_offsets_mb_per_s": round(mb / full, 2),
                      "peer_load_ms": round(load * 1e3, 1),
                      "ratio_fast": round(ours["mb_per_s"] / (mb / fast), 1),
                      "ratio_offsets": round(ours["mb_per_s"] / (mb / full), 1)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
