Hard negatives: an index of short texts, one a file, and pairs whose positives are some of them.

  $ mkdir notes && python3 - <<'P'
  > import random
  > r, words = random.Random(7), "the of and to in is you that it he was for on are as with his they be at one have this from or had by hot word but what".split()
  > texts = [" ".join(r.choice(words) for _ in range(12)) for _ in range(40)]
  > for i, t in enumerate(texts):
  >     open(f"notes/{i:02}.txt", "w").write(t + "\n")
  > with open("pairs.tsv", "w") as f:
  >     f.write("question\tpositive\n")
  >     for i in range(12):
  >         q = " ".join(r.choice(words) for _ in range(4))
  >         f.write(f"{q}\t{texts[i]}\n")
  >         if i % 4 == 0:  # a question with two right answers
  >             f.write(f"{q}\t{texts[i + 20]}\n")
  > P
  $ semsearch index --precision fp32 notes > /dev/null
  $ semsearch train sentence-similarity --data pairs.tsv --columns anchor=question --mine-negatives 3 --mine-margin 0 --index notes/.semsearch --max-steps 1 --out y > /dev/null 2> y.told
  $ semsearch train sentence-similarity --data pairs.tsv --columns anchor=question --mine-negatives 3 --mine-margin 0.02 --index notes/.semsearch --max-steps 1 --out z > /dev/null 2> z.told
  $ grep -c mined.jsonl y/training.json
  1

What is taken is what a search says, worked out again from `query` and `similarity`.

  $ python3 - <<'P'
  > import json, re, subprocess
  > run = lambda *a, **k: subprocess.run(["semsearch", *a], capture_output=True, text=True, **k).stdout
  > pairs = [tuple(line.rstrip("\n").split("\t")) for line in open("pairs.tsv")][1:]
  > near = dict(zip(pairs, map(float, run("similarity", input="".join(f"{a}\t{b}\n" for a, b in pairs)).split())))
  > for folder, margin in (("y", 0), ("z", .02)):
  >     found = passed = close = filled = 0
  >     rows = [json.loads(line) for line in open(f"{folder}/mined.jsonl")]
  >     assert sorted((r["question"], r["positive"]) for r in rows) == sorted(pairs)
  >     for q in sorted({a for a, _ in pairs}):
  >         mine = [b for a, b in pairs if a == q]
  >         most = min(near[q, b] for b in mine)
  >         most -= margin * max(most, 0)
  >         hits = json.loads(run("query", "--index", "notes/.semsearch", "--json", "--mode", "vector", "--exact", "-k", str(30 + len(mine)), q))["results"]
  >         want = []
  >         for h in hits:
  >             text = open("notes/" + h["path"]).read().strip()
  >             if len(want) == 3:
  >                 break
  >             if text in mine:
  >                 passed += 1
  >             elif h["signals"]["cosine"] > most:
  >                 close += 1
  >             else:
  >                 want.append(text)
  >         found += len(want)
  >         for r in rows:
  >             if r["question"] != q:
  >                 continue
  >             got = [r[f"negative_{i}"] for i in (1, 2, 3)]
  >             assert got[:len(want)] == want, (folder, q, got, want)
  >             assert not set(got) & set(mine)
  >             filled += 3 - len(want)
  >     told = open(f"{folder}.told").readline()
  >     assert [int(x) for x in re.findall(r"\d+", told)] == [found, 15, passed, close, filled], told
  >     assert found > 15 and filled < 25, told
  > P

Other wishes.

  $ mine() { semsearch train sentence-similarity --data pairs.tsv --columns anchor=question --index notes/.semsearch --out w "$@" 2>&1 | head -3; }
  $ mine --mine-negatives 0
  semsearch: '0' is no value for --mine-negatives
    expected a whole number from 1
  $ mine --mine-negatives 99
  semsearch: --mine-negatives 99: from 1 to 16
  $ mine --mine-margin 0.1
  semsearch: --mine-margin is for --mine-negatives
  $ mine --mine-negatives 1 --mine-margin 2
  semsearch: --mine-margin 2: from 0 to 1
  $ mine --mine-negatives 2 --loss triplet
  semsearch: --loss triplet takes one negative a row, not 2
  $ mine --mine-negatives 2 --index nowhere
  semsearch: no index at 'nowhere'
    make one: semsearch index --index 'nowhere' DIR
  $ mine --mine-negatives 2 --out y
  semsearch: the folder 'y' is not empty
    add --overwrite, or choose another folder
  $ semsearch train sentence-similarity --data y/mined.jsonl --columns anchor=question --mine-negatives 2 --index notes/.semsearch --out w
  semsearch: --mine-negatives: 'y/mined.jsonl' has negatives already
  [2]
  $ semsearch train fill-mask --data pairs.tsv --mine-negatives 2 --index notes/.semsearch --out w
  semsearch: the options of losses over embeddings: not for fill-mask
    `semsearch train --help` says which task each option is for
  [2]
  $ ls -d w
  ls: cannot access 'w': No such file or directory
  [2]

A run that is gone on with has its rows, whatever became of the index.

  $ semsearch train sentence-similarity --data pairs.tsv --columns anchor=question --mine-negatives 3 --index notes/.semsearch --max-steps 4 --save-steps 2 -q --out a > /dev/null
  $ cp -r a b && rm -r b/checkpoint-4 b/model.safetensors && rm notes/?0.txt && semsearch index notes > /dev/null
  $ semsearch train sentence-similarity --data pairs.tsv --columns anchor=question --mine-negatives 3 --index notes/.semsearch --max-steps 4 --save-steps 2 --resume b 2>&1 | head -1
  semsearch: the negatives are those that '*/b/mined.jsonl' holds (glob)
  $ cmp a/model.safetensors b/model.safetensors
