#!/usr/bin/env python3
"""The small corpus is whole: manifest, documents, questions and judgements agree, and the binaries are what make.py makes."""
import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path("corpora/small")


def main():
    manifest = json.loads((ROOT / "manifest.json").read_text(encoding="utf-8"))
    docs = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*") if p.is_file()}
    listed = {f["path"] for f in manifest["files"]}
    queries = [json.loads(line) for line in (ROOT / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    ids = {q["_id"] for q in queries}
    rows = [line.split("\t") for line in (ROOT / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    kinds = collections.Counter(f["kind"] for f in manifest["files"])
    checks = [
        ("manifest lists the documents", listed == docs),
        ("counts are right", manifest["documents"] == len(docs) and manifest["queries"] == len(queries)),
        ("at least 60 documents and questions", len(docs) >= 60 and len(queries) >= 60),
        ("at least ten subjects", len({f["subject"] for f in manifest["files"]}) >= 10),
        ("at least eleven kinds", len(kinds) >= 11),
        ("question ids are distinct", len(ids) == len(queries)),
        ("every question is judged", {r[0] for r in rows} == ids),
        ("every judged document exists", all(r[1] in docs for r in rows)),
        ("the binaries are up to date", subprocess.run([sys.executable, ROOT / "make.py", "--check"], check=False).returncode == 0),
    ]
    for what, ok in checks:
        print("ok  " if ok else "BAD ", what)
    return 0 if all(ok for _, ok in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
