#!/usr/bin/env python3
"""Draws the results of encoder.py: DIR/bench.svg and the tables DIR/bench.md.

    chart.py RESULTS.json DIR

One panel a case, one bar an engine and precision: texts a second as a share of what the roof of that
precision allows (the machine's multiply-add peak, measured around each sample), the number beside it.
"""
import json
import os
import sys

COLOR = {"fp32": "#4269a5", "bf16": "#3f8f6b", "int8": "#b0713a"}
PALE = {"fp32": "#b9c6dd", "bf16": "#b5d6c7", "int8": "#e0c8b2"}
WIDTH, LEFT, BAR, ROW, PANEL = 860, 190, 13, 17, 34
PRECISIONS = ("fp32", "bf16", "int8")


def escape(s):
    return str(s).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Svg:
    """Just enough of a writer: rectangles, lines, text."""

    def __init__(self):
        self.parts, self.y = [], 0

    def text(self, x, y, s, size=11, anchor="start", weight="normal", color="#222"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
                          f'font-weight="{weight}" fill="{color}">{escape(s)}</text>')

    def rect(self, x, y, w, h, color):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 0):.1f}" height="{h:.1f}" fill="{color}"/>')

    def line(self, x1, y1, x2, y2, color="#ccc"):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>')

    def finish(self, height):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
                f'viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, Arial, sans-serif">\n'
                f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


def machine_line(r):
    m = r["machine"]
    return f"{m['vendor']} family {m['family']} model {m['model']}, {m['cores']} cores, {r['isa']}; {r['date']}"


def cases_of(rows):
    """(model, case) -> rows, in order of first sight, rows by precision and speed."""
    cases = {}
    for row in rows:
        if "missing" not in row and "of_roof" in row and row["do"] == "ids":
            cases.setdefault((row["model"], row["case"]), []).append(row)
    for group in cases.values():
        group.sort(key=lambda r: (PRECISIONS.index(r["precision"]), r["engine"] != "semsearch", -r["median_texts_s"]))
    return cases


def chart(r):
    svg, y = Svg(), 46
    scale = (WIDTH - LEFT - 120) / 100
    svg.text(16, 22, "Encoder throughput, share of the measured roof (texts a second beside each bar)", 14, weight="bold")
    svg.text(16, 38, machine_line(r), 10, color="#666")
    for (model, case), rows in cases_of(r["rows"]).items():
        y += PANEL
        svg.text(16, y - 10, f"{model}, {case}, {rows[0]['threads']} threads", 12, weight="bold")
        bottom = y + ROW * len(rows)
        for percent in range(0, 101, 20):
            svg.line(LEFT + percent * scale, y - 4, LEFT + percent * scale, bottom)
            svg.text(LEFT + percent * scale, bottom + 11, f"{percent}%", 9, "middle", color="#666")
        for row in rows:
            ours = row["engine"] == "semsearch"
            share = min(row["of_roof"] * 100, 110)
            svg.text(LEFT - 8, y + 10, f"{row['engine']} {row['precision']}", 11, "end", "bold" if ours else "normal")
            svg.rect(LEFT, y, share * scale, BAR, (COLOR if ours else PALE)[row["precision"]])
            svg.text(LEFT + share * scale + 5, y + 10, f"{row['median_texts_s']:.1f}/s  {row['of_roof'] * 100:.0f}%", 10)
            y += ROW
        y += 10
    return svg.finish(y + 20)


def table(rows, against):
    out = ["| engine | precision | texts/s (min - max) | tokens/s | of roof | setting |", "|---|---|---|---|---|---|"]
    for row in rows:
        if "missing" in row:
            out.append(f"| {row['engine']} | {row['precision']} | not on this machine | | | |")
            continue
        note = row.get("setting", "")
        if against in row:
            note = f"{row[against]:.2f} x " + ("the best peer" if "peer" in against else "sentence-transformers fp32")
        roof = f"{row['of_roof'] * 100:.0f} %" if "of_roof" in row else ""
        out.append(f"| {row['engine']} | {row['precision']} | {row['median_texts_s']:.1f} ({min(row['texts_s']):.1f} - "
                   f"{max(row['texts_s']):.1f}) | {row['median_tokens_s']:.0f} | {roof} | {note} |")
    return out


def one_text_table(rows):
    out = ["| engine | precision | ms, median |", "|---|---|---|"]
    return out + [f"| {r['engine']} | {r['precision']} | {r['median_ms']:.2f} |" for r in rows if "missing" not in r]


def tokenizer_lines(t):
    lines = ["", "## Tokenizer, one thread", "",
             f"{t['mb']} MB, {t['tokens']} tokens: semsearch {t['ours_mb_per_s']} MB/s, {t['peer']} "
             f"{t['peer_fast_mb_per_s']} MB/s ({t['ratio_fast']} x)"]
    if "flash_mb_per_s" in t:
        lines[-1] += (f", flash-tokenizer {t['flash_mb_per_s']} MB/s as called, {t['flash_without_lists_mb_per_s']} "
                      f"without making Python lists ({t['ratio_flash_without_lists']} x)")
    return lines


def index_lines(runs):
    out = ["", "## Indexing, from files to a finished index", "",
           "| precision | passages | tokens/s | arithmetic, of wall x threads | arithmetic, of processor time | peak memory |",
           "|---|---|---|---|---|---|"]
    for r in runs:
        s = r["steps"]["arithmetic"]
        out.append(f"| {r['precision']} | {r['passages']} | {r['tokens'] / r['seconds']:.0f} | {s['of_wall'] * 100:.0f} % | "
                   f"{s['of_cpu'] * 100:.0f} % | {r['peak_mb']:.0f} MB |")
    return out


def page(r):
    versions = sorted({row["version"] for row in r["rows"] if row.get("version")})
    out = ["# Speed", "", "Made by `scripts/bench --peers VENV --publish` from one run; figures are ratios to others and to the "
           "measured", "multiply-add peak in that run, because clocks and neighbours differ. Every peer runs at its best "
           "setting.", "", f"Machine: {machine_line(r)}. Peers: {', '.join(versions)}.", "", "![texts a second](bench.svg)"]
    groups = {}
    for row in r["rows"]:
        groups.setdefault((row["model"], row["case"], row["do"]), []).append(row)
    for (model, case, do), rows in groups.items():
        out += ["", f"## {model}, {case}", ""]
        out += one_text_table(rows) if do == "one" else \
            table(rows, "against_best_peer" if do == "ids" else "against_sentence_transformers_fp32")
    if r.get("tokenizer"):
        out += tokenizer_lines(r["tokenizer"])
    if r.get("index"):
        out += index_lines(r["index"])
    return "\n".join(out) + "\n"


def main(results, folder):
    with open(results, encoding="utf-8") as f:
        r = json.load(f)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "bench.svg"), "w", encoding="utf-8") as f:
        f.write(chart(r))
    with open(os.path.join(folder, "bench.md"), "w", encoding="utf-8") as f:
        f.write(page(r))


if __name__ == "__main__":
    main(*sys.argv[1:])
