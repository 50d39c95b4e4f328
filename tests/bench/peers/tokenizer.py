#!/usr/bin/env python3
"""Times `tokenizers`, `flash-tokenizer` and our bench program on the same texts, one thread.

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


def flash(model, texts, expected):
    """flash-tokenizer, by its compiled core. It hands over Python lists: what making such lists takes
    is measured by copying them and taken off, in its favour. None: not installed."""
    try:
        from flash_tokenizer import _core
    except ImportError:
        return None
    t = _core.FlashBertTokenizer(os.path.join(model, "vocab.txt"), True, 1 << 20, True)

    def run():
        return [t.encode(x, "none", 1 << 20) for x in texts]
    ids = run()
    same = sum(a == b for a, b in zip(ids, expected))
    took, lists = best_of(5, run), best_of(5, lambda: [[int(i) for i in x] for x in ids])
    return {"s": took, "s_without_lists": max(took - lists, took / 10), "same_ids": round(same / len(texts), 4)}


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
    expected = [e.ids for e in peer.encode_batch_fast(texts)]
    n_tokens = sum(map(len, expected))

    def ours_now():
        return json.loads(subprocess.check_output([program, model, f.name, "5"]))
    before = ours_now()
    fast = best_of(3, lambda: peer.encode_batch_fast(texts))
    full = best_of(3, lambda: peer.encode_batch(texts))
    other = flash(model, texts, expected)
    after = ours_now()
    os.unlink(f.name)
    assert before["tokens"] == n_tokens, (before["tokens"], n_tokens)
    mb = size / 1e6
    ours = (before["mb_per_s"] + after["mb_per_s"]) / 2
    result = {"texts": len(texts), "mb": round(mb, 2), "tokens": n_tokens, "ours_mb_per_s": round(ours, 1),
              "ours_load_ms": before["load_ms"], "ours_load_blob_ms": before["load_blob_ms"],
              "peer": "tokenizers " + tokenizers.__version__, "peer_fast_mb_per_s": round(mb / fast, 2),
              "peer_offsets_mb_per_s": round(mb / full, 2), "peer_load_ms": round(load * 1e3, 1),
              "ratio_fast": round(ours / (mb / fast), 1), "ratio_offsets": round(ours / (mb / full), 1)}
    if other:
        result |= {"flash_mb_per_s": round(mb / other["s"], 2),
                   "flash_without_lists_mb_per_s": round(mb / other["s_without_lists"], 2),
                   "flash_same_ids": other["same_ids"],
                   "ratio_flash": round(ours * other["s"] / mb, 2),
                   "ratio_flash_without_lists": round(ours * other["s_without_lists"] / mb, 2)}
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
