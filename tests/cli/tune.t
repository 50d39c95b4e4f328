Tuning needs an index, and enough to learn from; what it would do can be seen first.

  $ semsearch tune
  semsearch: * (glob)
  * (glob)
  [4]
  $ mkdir notes && for i in 1 2 3 4 5; do printf '# Growing plant number %s in a pot\n\nPlant %s wants light, water and earth that lets the water through, and a pot that is larger than the roots are now.\n' $i $i > notes/$i.md; done
  $ semsearch index notes > /dev/null
  $ semsearch tune --dry-run --pairs pairs.tsv notes | head -1
  5 documents, * of them held out; pairs: 5 title* (glob)
  $ head -1 pairs.tsv && sed 1d pairs.tsv | grep -c title
  anchor	positive	kind	held_out
  * (glob)
  $ semsearch tune --json --dry-run notes | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["schema"], d["documents"], d["found"]["title"], d["switched"], d["ndcg@10"])'
  1 5 5 False None
  $ semsearch tune notes
  semsearch: too little to learn from: * (glob)
    index more documents that have titles and headings
  [2]
  $ ls notes/.semsearch | grep -c adapter
  0
  [1]
  $ semsearch tune --remove notes
  semsearch: this index has no query adapter
  [1]
  $ semsearch tune one two 2>&1 | head -1
  semsearch: expected at most one DIR

A damaged map is told, and search goes on without it.

  $ echo broken > notes/.semsearch/adapter && cd notes && semsearch query --paths "growing plant" 2>&1 | sort | uniq | grep -c 'md\|adapter'
  6

Enough to learn from: the map of questions, and the encoder itself. A tiny random model may or may not get better; what is said must be what was done.

  $ cd .. && mkdir -p large && python3 - <<'P'
  > import random
  > r, words = random.Random(5), [a + b for a in "ba ce di fo gu ha ki lo mu ne po ra".split() for b in "nel tor sim dak vus pir".split()]
  > text = lambda n: " ".join(r.choice(words) for _ in range(n))
  > for i in range(160):
  >     parts = []
  >     for head in range(3):
  >         t = text(30)
  >         parts.append("#" * (1 if head == 0 else 2) + " " + " ".join(r.sample(t.split(), 4)) + f"\n\n{t}.\n")
  >     open(f"large/{i:03}.md", "w").write("\n".join(parts))
  > P
  $ semsearch index large > /dev/null
  $ semsearch tune --json large > map.json && python3 - <<'P'
  > import json, os
  > d = json.load(open("map.json"))
  > print(list(d), d["questions"] >= 30, d["model"])
  > n = d["ndcg@10"]
  > better = bool(n) and n["hybrid"]["low"] > 0 and n["vector"]["high"] >= 0
  > print(d["better"] == better == d["switched"] == os.path.exists("large/.semsearch/adapter"))
  > P
  ['schema', 'documents', 'held_out_documents', 'found', 'left_out', 'trained_on', 'questions', 'passages', 'ndcg@10', 'better', 'switched', 'model', 'seconds'] True None
  True
  $ semsearch tune --full large > full.txt 2> told.txt; grep -c '^hybrid\|^vector\|^keyword' full.txt
  3
  $ python3 - <<'P'
  > import glob, json, os, subprocess
  > text = open("full.txt").read()
  > made = glob.glob(os.environ["HOME"] + "/share/semsearch/tuned/tiny-*")
  > used = json.loads(subprocess.run(["semsearch", "status", "--json", "--index", "large/.semsearch"], capture_output=True, text=True).stdout)["model"]["name"]
  > print(len(made), os.path.exists(made[0] + "/model.safetensors"), ("\nbetter:" in text) == (made[0].endswith(used)))
  > if "better:" not in text:  # asked again it measures only
  >     again = subprocess.run(["semsearch", "tune", "--full", "large"], capture_output=True, text=True)
  >     assert "already trained on these pairs" in again.stderr and again.returncode == 0, again
  > P
  1 True True

What was learned, on one's own judged questions: `eval search --index` takes the model of the index and its query adapter. Here one that no training makes, so that it surely shows.

  $ mkdir -p set/qrels && python3 - <<'P'
  > import json
  > with open("set/corpus.jsonl", "w") as c, open("set/queries.jsonl", "w") as q, open("set/qrels/test.tsv", "w") as j:
  >     j.write("query-id\tcorpus-id\tscore\n")
  >     for i in range(60):
  >         lines = open(f"large/{i:03}.md").read().split("\n")
  >         c.write(json.dumps({"_id": f"d{i}", "title": "", "text": lines[2]}) + "\n")
  >         q.write(json.dumps({"_id": f"q{i}", "text": lines[0][2:]}) + "\n")
  >         j.write(f"q{i}\td{i}\t1\n")
  > P
  $ semsearch index notes > /dev/null 2>&1; rm -f notes/.semsearch/adapter
  $ semsearch eval search --data set --json | sed 's/,"latency.*//' > plain.json
  $ semsearch eval search --data set --json --index notes/.semsearch | sed 's/,"latency.*//' | cmp - plain.json
  semsearch: this index has no query adapter of the model 'tiny'
  $ echo broken > notes/.semsearch/adapter; semsearch eval search --data set --index notes/.semsearch | head -n 1
  semsearch: *adapter* (glob)
  semsearch: this index has no query adapter of the model 'tiny'
  tiny: 60 queries over 60 documents
  $ "$(dirname "$(command -v semsearch)")"/tests/cli/put_adapter notes/.semsearch 32 $(semsearch model show --json | grep -o '"fingerprint":"[0-9a-f]*' | cut -d '"' -f 4)
  $ semsearch eval search --data set --json --index notes/.semsearch > mapped.json; python3 - <<'P'
  > import json
  > a, b = json.load(open("mapped.json")), json.loads(open("plain.json").read() + "}")
  > print(a["adapter"], b["adapter"], a["model"], *(a["modes"][m] == b["modes"][m] for m in ("keyword", "vector", "hybrid")))
  > P
  True False tiny True False False
  $ semsearch eval search --data set --index notes/.semsearch | head -n 1
  tiny, questions through the query adapter: 60 queries over 60 documents
  $ semsearch eval search --data set --index nowhere
  semsearch: no index at 'nowhere'
    make one: semsearch index --index 'nowhere' DIR
  [4]
