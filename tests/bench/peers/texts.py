"""Texts to measure with: passages of the files of a folder, or the lines of a .jsonl file."""
import json
import os

PIECE = 1000  # bytes, about a chunk of an index


def pieces(text):
    out = ""
    for paragraph in text.split("\n\n"):
        out += paragraph + "\n\n"
        if len(out) >= PIECE:
            yield out
            out = ""
    if out:
        yield out


def texts_of(path):
    if os.path.isdir(path):
        for folder, folders, files in os.walk(path):
            folders.sort()
            for name in sorted(files):
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                    yield from pieces(f.read().replace("\0", ""))
    elif path.endswith(".jsonl"):
        with open(path, encoding="utf-8") as f:
            for line in f:
                row = json.loads(line)
                yield (row.get("title", "") + " " + row.get("text", "")).replace("\0", "")
    else:
        with open(path, encoding="utf-8", errors="replace") as f:
            yield from pieces(f.read().replace("\0", ""))
