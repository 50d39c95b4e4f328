Bench: every precision, beside the peak of the same run; a table for people.

  $ semsearch bench --time-limit 0.2 --threads 2 | sed -n '1s/,.*//p; 3p; /^fp32/p' | cut -c 1-17
  tiny
  precision  tokens
  fp32           16
  fp32          128
  fp32           16
  fp32          128
  $ semsearch bench --time-limit 0.2 --precision fp32 --threads 1 --json > out.json
  $ python3 - << 'END'
  > import json
  > r = json.load(open("out.json"))
  > print(r["schema"], r["model"], r["threads"], r["query"], r["missing"])
  > for e in r["encode"]:
  >     fine = e["texts_per_s"] > 0 and e["tokens_per_s"] >= e["texts_per_s"] and e["peak_gops"] >= 0 and e["of_peak"] >= 0
  >     print(e["precision"], e["tokens"], e["threads"], fine)
  > print([(o["precision"], o["tokens"], 0 < o["median_ms"] <= o["p95_ms"]) for o in r["one_text"]])
  > END
  1 tiny 1 None []
  fp32 16 1 True
  fp32 128 1 True
  [('fp32', 16, True)]

A precision that this CPU lacks is a row that says so; asked for by name it is an error.

  $ SEMSEARCH_ISA=scalar semsearch bench --time-limit 0.2 --threads 1 | grep -c 'not on this machine'
  2
  $ SEMSEARCH_ISA=scalar semsearch bench --time-limit 0.2 --precision int8
  semsearch: cannot open the model *: precision int8 needs * (glob)
  ...
  [2]

Questions go to the current index.

  $ mkdir docs && printf 'The last change is undone with revert.\n' > docs/a.txt && semsearch index docs > /dev/null
  $ cd docs && semsearch bench --time-limit 0.2 --precision fp32 --threads 1 | tail -n 1
  a question to 1 passages in * ms (p95 *) (glob)
  $ semsearch bench extra
  semsearch: unexpected argument 'extra'
  ...
  [2]
