#!/usr/bin/env python3
"""Which folder may include which: the layer rules of ARCHITECTURE.md, checked against every #include.

A folder may include itself, what its row names, and of other folders only the doors. Run from the root of the tree; prints
what breaks a rule and exits 1.
"""
import pathlib
import re
import sys

# folder: folders it may include (any header there). The longest folder that holds a file decides.
MAY = {
    "src/base": [],
    "src/kernels": ["src/base"],
    "encoder": ["src/base", "src/kernels", "encoder/tokenizer"],
    "encoder/tokenizer": ["src/base"],
    "encoder/weights": ["src/base"],
    "encoder/tape": ["src/base", "src/kernels"],
    "encoder/model": ["src/base", "src/kernels", "encoder", "encoder/tokenizer", "encoder/weights", "encoder/tape"],
    "encoder/train": ["src/base", "src/kernels", "encoder", "encoder/tokenizer", "encoder/weights", "encoder/tape",
                      "encoder/model"],
    "index": ["src/base", "src/kernels", "index/extract", "index/store", "index/ann", "index/keyword", "index/search",
              "index/eval", "index/tune"],
    "index/extract": ["src/base", "index"],
    "index/store": ["src/base", "index"],
    "index/ann": ["src/base", "src/kernels", "index", "index/store"],
    "index/keyword": ["src/base", "src/kernels", "index", "index/store"],
    "index/search": ["src/base", "src/kernels", "index", "index/store", "index/keyword", "index/ann"],
    "index/eval": ["src/base", "src/kernels", "index", "index/store", "index/search"],
    "index/tune": ["src/base", "src/kernels", "index", "index/store"],
    "cli": ["src/base"],
}
# What anybody may include of a folder that is not in its row, by who asks.
DOORS = {
    "cli": {"encoder/encoder.h", "encoder/tokenizer/tokenizer.h", "encoder/train/train.h", "index/index.h",
            "src/kernels/kernels.h"},
}


def folder_of(path):
    parts = path.split("/")[:-1]
    while parts and "/".join(parts) not in MAY:
        parts.pop()
    return "/".join(parts)


def main():
    bad = []
    files = [p for top in ("src", "encoder", "index", "cli") for p in pathlib.Path(top).rglob("*")
             if p.suffix in (".c", ".h", ".inc", ".cpp")]
    for file in sorted(files):
        me = folder_of(file.as_posix())
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            hit = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not hit:
                continue
            target = hit.group(1)
            if not pathlib.Path(target).exists():
                bad.append(f"{file}:{number}: '{target}' is not a path from the root of the tree")
                continue
            other = folder_of(target)
            if other == me or other in MAY[me] or target in DOORS.get(me, ()):
                continue
            bad.append(f"{file}:{number}: {me} must not include {target}")
    for line in bad:
        print(line)
    print(f"layers: {len(files)} files, {len(bad)} broken rules")
    return 1 if bad or len(files) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
