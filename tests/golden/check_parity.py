"""Largest absolute difference of our unit vectors from sentence-transformers, over many texts.

usage: check_parity.py EMBED_DUMP MODEL [TEXTFILE...]     (needs torch and sentence-transformers)

EMBED_DUMP is the program of embed_dump.c. Each TEXTFILE gives one text a line (or one a record of
JSONL with "text"); edge cases are added, but no special-token strings, which the reference does not take for plain
text. Prints the figure for 1 and 2 threads and whether the two
are identical bit for bit; exits 1 above 1e-5.
"""
import json
import struct
import subprocess
import sys

import numpy as np

EDGE = ["", " ", "\n\t ", "a", ".", "word " * 600, "x" * 5000, "é" * 300,
        "日本語のテキスト", "\u200b", "\u00a0 spaced \u3000", "emoji 😀 test", "a\x00b", "Ünïcödé",
        "1234567890 " * 60, "\x1c odd \x1f", "tab\tand\nnewline", "unaffable " * 255]


def read(path):
    for line in open(path, encoding="utf-8", errors="ignore", newline="\n"):
        line = line.rstrip("\n")
        if path.endswith(".jsonl"):
            d = json.loads(line)
            line = (d.get("title", "") + " " + d["text"]).strip()
        yield line


def ours(program, model, texts, threads, role="default"):
    data = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in texts))
    run = subprocess.run([program, model, str(threads), role, "1"], input=data, stdout=subprocess.PIPE,
                         check=True)
    return np.frombuffer(run.stdout, dtype="<f4").reshape(len(texts), -1)


def main():
    program, model, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    texts = EDGE + [t for f in files for t in read(f)]
    a, b = ours(program, model, texts, 1), ours(program, model, texts, 2)
    from sentence_transformers import SentenceTransformer
    st = SentenceTransformer(model, device="cpu")
    ref = st.encode(texts, batch_size=32, normalize_embeddings=True, convert_to_numpy=True)
    diff = np.abs(a - ref).max(axis=1)
    worst = int(diff.argmax())
    print(f"texts {len(texts)}  largest difference {diff.max():.3g} (text {worst}: {texts[worst][:60]!r})  "
          f"smallest cosine {float((a * ref).sum(1).min()):.7f}  "
          f"1 and 2 threads identical: {a.tobytes() == b.tobytes()}")
    return 0 if diff.max() < 1e-5 and a.tobytes() == b.tobytes() else 1


sys.exit(main())
