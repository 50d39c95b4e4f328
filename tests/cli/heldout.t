Held-out questions over a whole collection, in the layout of BEIR.

  $ mkdir -p set/qrels && python3 - <<'P'
  > import json, random
  > r, words = random.Random(9), "the of and to in is you that it he was for on are as with his they be at one have this from or had by hot word but what".split()
  > text = lambda n: " ".join(r.choice(words) for _ in range(n))
  > docs = [{"_id": f"d{i}", "title": text(2) if i % 2 else "", "text": text(9)} for i in range(60)]
  > write = lambda name, rows: open(name, "w").writelines(json.dumps(x) + "\n" for x in rows)
  > write("set/corpus.jsonl", docs)
  > # a question has words of its document; the last two have none that is right
  > asked = [{"_id": f"q{i}", "text": " ".join(r.sample(docs[i]["text"].split(), 5))} for i in range(22)]
  > write("set/queries.jsonl", asked)
  > with open("set/qrels/test.tsv", "w") as f:
  >     f.write("query-id\tcorpus-id\tscore\n")
  >     for i in range(20):
  >         f.write(f"q{i}\td{i}\t1\n")
  >         if i % 3 == 0:
  >             f.write(f"q{i}\td{i + 30}\t1\nq{i}\td{i + 31}\t0\n")
  > with open("pairs.tsv", "w") as f:
  >     f.write("anchor\tpositive\n")
  >     for i in range(48):
  >         t = text(9)
  >         f.write(" ".join(r.sample(t.split(), 5)) + f"\t{t}\n")
  > P

The figures are those of `eval search` by vectors: all 60 texts are searched, 20 questions count.

  $ semsearch train sentence-similarity --data pairs.tsv --eval-data set --max-steps 1 --json --out a > a.json
  semsearch: step 1: ndcg@10 * (glob)
  $ semsearch eval search --data set --json > search.json 2> /dev/null
  $ python3 - <<'P'
  > import json
  > a, s = json.load(open("a.json")), json.load(open("search.json"))
  > b, v = a["eval_before"], s["modes"]["vector"]
  > print(b["n"], b["questions"], b["texts"], s["queries"], s["documents"], a["shared_rows"])
  > print(abs(b["ndcg@10"] - v["ndcg@10"]) < .02, abs(b["mrr@10"] - v["mrr@10"]) < .02, abs(b["recall@10"] - v["recall@10"]) < .02)
  > P
  27 20 60 20 60 0
  True True True

A first update under warm-up has the rate 0: nothing has changed, and that is what is said. Learning helps, and harm is told.

  $ run() { semsearch train sentence-similarity --data pairs.tsv --eval-data set --overwrite --out a --lr-scheduler constant "$@" 2>/dev/null; }
  $ python3 -c 'import json; a = json.load(open("a.json")); print(a["verdict"], a["difference"], a["difference_95"])'
  no difference 0 [0, 0]
  $ run --learning-rate 1e-3 --epochs 12 --batch-size 16 | grep before | sed 's/0\.[0-9]*/N/g'
  ndcg@10 N before, N after: the new model is better (difference +N, 95% interval +N to +N)
  $ run --learning-rate 1 --max-steps 6 | grep before | sed 's/0\.[0-9]*/N/g'
  ndcg@10 N before, N after: the new model is WORSE (difference -N, 95% interval -N to -N)
  $ run --learning-rate 1e-1 --max-steps 20 --eval-steps 2 --load-best --json | python3 -c 'import json, sys
  > a = json.load(sys.stdin)
  > evals = [json.loads(x) for x in open("a/metrics.jsonl") if "eval" in x]
  > best = max(evals, key=lambda e: e["eval"]["ndcg@10"])
  > print(len(evals), a["best_step"] == best["step"] < 20, abs(a["eval"]["ndcg@10"] - best["eval"]["ndcg@10"]) < 1e-5)
  > t = json.load(open("a/training.json")); print([e["file"] for e in t["eval_data"]])'
  10 True True
  ['set']

What does not fit is told before anything is written.

  $ semsearch train sentence-similarity --data pairs.tsv --eval-data set --eval-data pairs.tsv --out b
  semsearch: 'set' is a folder
    --eval-data takes one judged collection, or files
  [2]
  $ printf 'text\tlabel\na\tx\nb\ty\n' > classes.tsv
  $ semsearch train text-classification --data classes.tsv --eval-data set --out b
  semsearch: 'set' is a folder
    only sentence-similarity is scored on a judged collection; give files
  [2]
  $ mkdir empty && semsearch train sentence-similarity --data pairs.tsv --eval-data empty --out b
  semsearch: cannot open 'empty/corpus.jsonl': No such file or directory
    a judged collection is a folder with corpus.jsonl, queries.jsonl and qrels/
  [2]
  $ cp -r set broken && printf 'q1\td99\t1\n' >> broken/qrels/test.tsv
  $ semsearch train sentence-similarity --data pairs.tsv --eval-data broken --out b
  semsearch: 'broken/qrels/test.tsv' line 36 judges document 'd99', which is not in the corpus
    judgements and corpus.jsonl must be of the same collection
  [2]
  $ sed -n 3p set/corpus.jsonl | python3 -c 'import json, sys; d = json.loads(sys.stdin.read()); print("anchor\tpositive\nsome words\t" + (d["title"] + " " + d["text"]).strip())' > leak.tsv; cat pairs.tsv | sed 1d >> leak.tsv
  $ semsearch train sentence-similarity --data leak.tsv --eval-data set --max-steps 1 --out c 2>&1 | head -1
  semsearch: warning: 1 of 27 rows of the evaluation data share a text with the training data ('what this from on is'): what is measured on them is no evidence about new texts
  $ ls -d b
  ls: cannot access 'b': No such file or directory
  [2]
