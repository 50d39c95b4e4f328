Questions over the small corpus. The model is random: keyword mode says what must come out, the other modes that all fits together.

  $ cp -r "$SRC/corpora/small/docs" docs && cd docs && semsearch index --json 2>/dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["failed"], d["skipped"])'
  62 0 0
  $ semsearch query --mode keyword -k 1 "chlorophyll in leaves" | cut -d: -f1
  biology/autumn-leaves.md
  $ semsearch query --mode keyword -k 2 --paths "git reflog"
  software/git-undo.md
  $ semsearch query --mode keyword --json -k 1 "Mercator" | python3 -c 'import json,sys; d=json.load(sys.stdin); r=d["results"][0]; print(list(d)); print(list(r)); print(r["path"], r["kind"], r["signals"]["cosine"], r["byte_start"])'
  ['schema', 'query', 'mode', 'took_ms', 'model', 'results']
  ['rank', 'score', 'path', 'title', 'heading', 'page', 'line_start', 'line_end', 'byte_start', 'byte_end', 'kind', 'mtime', 'snippet', 'doc_id', 'chunk_id', 'signals']
  geography/map-projections.odt document None None
  $ semsearch query --mode vector --json -k 1 "Mercator" | python3 -c 'import json,sys; r=json.load(sys.stdin)["results"][0]; print(r["signals"]["keyword"], r["signals"]["keyword_rank"], r["signals"]["vector_rank"])'
  None None 1

Passages are exact bytes of text files.

  $ semsearch query --mode keyword --json -k 5 "soft reset commit" | python3 -c '
  > import json, sys
  > for r in json.load(sys.stdin)["results"]:
  >     if r["byte_start"] is not None:
  >         data = open(r["path"], "rb").read()
  >         part = data[r["byte_start"]:r["byte_end"]]
  >         assert part.strip() == part and part in data, r["path"]
  >         assert data[:r["byte_start"]].count(b"\n") + 1 == r["line_start"], r["path"]
  >         assert data[:r["byte_end"]].rstrip(b"\n").count(b"\n") + 1 == r["line_end"], r["path"]
  > print("exact")'
  exact

Results fall by score, every score is between 0 and 1, ids can be shown.

  $ for m in hybrid vector keyword; do semsearch query --mode $m --json -k 50 "why does the moon change" | python3 -c '
  > import json, sys
  > r = json.load(sys.stdin)["results"]
  > s = [x["score"] for x in r]
  > assert s == sorted(s, reverse=True) and all(0 <= x <= 1 for x in s) and [x["rank"] for x in r] == list(range(1, len(r) + 1))
  > print(len(r) > 5)'; done
  True
  True
  True
  $ id=$(semsearch query --mode keyword --json -k 1 "Rosetta" | python3 -c 'import json,sys; print(json.load(sys.stdin)["results"][0]["chunk_id"])'); semsearch show $id | head -n 1
  THE ROSETTA STONE
  $ semsearch show software/git-undo.md:1-3
  # Undoing things in git
  
  ## Undo the last commit, keep the changes
  $ semsearch show software/git-undo.md:999
  semsearch: 'software/git-undo.md' has 18 lines
  [2]
  $ semsearch show nowhere.md
  semsearch: 'nowhere.md' is not in the index
    give a path, a doc_id (d12) or a chunk_id (c34) of `semsearch query --json`
  [2]
  $ (cd .. && semsearch show --index docs docs/software/git-undo.md:1 && semsearch show --index docs software/git-undo.md:1 && semsearch why --index docs docs/software/git-undo.md | head -n 1)
  # Undoing things in git
  # Undoing things in git
  docs/software/git-undo.md: indexed, 8 passages (markdown)
  $ semsearch show --json geography/deserts.txt:1 | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["path"], d["line_start"], d["line_end"], repr(d["text"]))'
  geography/deserts.txt 1 1 'DESERTS ARE DRY, NOT HOT\n'

Filters act inside the search.

  $ semsearch query --mode keyword --kind pdf --paths "the"; semsearch query --mode keyword --kind pdf --paths "birds sun stars"
  biology/bird-migration.pdf
  history/silk-road.pdf
  safety/fire-alarm.pdf
  biology/bird-migration.pdf
  $ semsearch query --mode vector --kind sheet --kind slides --jsonl -k 100 "anything" | python3 -c 'import json,sys; print(sorted({json.loads(l)["kind"] for l in sys.stdin}))'
  ['sheet', 'slides']
  $ semsearch query --mode vector --path 'music/' --paths -k 100 "anything" | sort
  music/rehearsal.eml
  music/scales.md
  music/tuning.epub
  music/violin-care.txt
  $ semsearch query --mode vector --path '*.odt' --paths -k 100 "anything" | sort
  cooking/fermentation.odt
  gardening/tomatoes.odt
  geography/map-projections.odt
  $ semsearch query --since 2999-01-01 "anything"
  semsearch: nothing found
  [1]
  $ semsearch query --until 1980-01-01 --json "anything" 2>/dev/null | python3 -c 'import json,sys; print(json.load(sys.stdin)["results"])'
  []
  $ semsearch query --per-file 1 --mode keyword --paths -k 50 "moon" | sort | uniq -d

Words, phrases, exclusions; nothing is a syntax error.

  $ semsearch query --mode keyword --paths '"sixteen rules"'
  language/interview.eml
  $ semsearch query --mode keyword --paths '"rules sixteen"'
  semsearch: nothing found
  [1]
  $ for id in $(semsearch query --mode keyword --jsonl -k 50 'moon -eclipse' | python3 -c 'import json,sys; [print(json.loads(l)["chunk_id"]) for l in sys.stdin]'); do semsearch show $id; done | grep -ci eclipse
  0
  [1]
  $ for q in 'NEAR(' '"' 'a" OR "b' '*' '""' '(((' "'; DROP TABLE x; --" 'C++' ; do semsearch query --mode keyword -q --json -- "$q" > ../out.json; code=$?; python3 -m json.tool ../out.json > /dev/null && echo $code; done | sort | uniq -c | tr -s ' '
   4 0
   4 1
  $ semsearch query --mode keyword --paths '津波'
  language/loanwords.md
  $ semsearch query --mode keyword --paths 'ring_put'
  software/ring_buffer.c
  home/router-setup.ipynb
  cooking/knife-safety.html
  safety/cpr.docx
  cooking/eggs.txt
  safety/fire-alarm.pdf
  astronomy/planets.csv
  $ semsearch query --mode keyword --paths -- '--link-dest'
  software/backup.sh

Several questions; blank lines are skipped.

  $ printf 'moon\n\nbread\n' | semsearch query --mode keyword -k 1 --json - | python3 -c 'import json,sys; d=json.load(sys.stdin); print(list(d), [q["query"] for q in d["queries"]])'
  ['schema', 'queries'] ['moon', 'bread']
  $ semsearch query --mode keyword -k 1 --jsonl moon bread | python3 -c 'import json,sys; print([(list(json.loads(l))[0], json.loads(l)["query"]) for l in sys.stdin])'
  [('schema', 'moon'), ('schema', 'bread')]

Nothing found is an answer.

  $ semsearch query --mode keyword zzzzqqqq
  semsearch: nothing found
  [1]
  $ semsearch query --mode keyword --min-score 1 moon | wc -l
  semsearch: nothing found; the closest is astronomy/moon-phases.md with a score of 1.00
  0

Context, explanation, similar passages.

  $ semsearch query --mode keyword -k 1 -C 1 "Rule of 72"
   1. money/compound-interest.md:6  0.99  Compound interest > Rule of 72
        5- 
        6: ## Rule of 72
        7: 
        8: Divide 72 by the rate in per cent to estimate the years in which money doubles: at 6 % about twelve years. The same holds for debts: at 18 % a credit card balance
        9- doubles in four.
  $ semsearch query --mode keyword -k 1 --explain "Rule of 72" | tail -n 1 | cut -c 1-12
      BM25 5.2
  $ semsearch similar music/scales.md --paths -k 3 | grep -c scales
  0
  [1]
  $ semsearch similar music/scales.md:3 -k 3 --jsonl | wc -l
  3
  $ semsearch similar nowhere.md
  semsearch: 'nowhere.md' is not in the index
    `semsearch why 'nowhere.md'` says why; `semsearch index` takes in what is new
  [2]

From another folder paths are relative to it, and can be opened.

  $ cd music && f=$(semsearch query --mode keyword --paths -k 1 "reflog") && echo $f && head -n 1 "$f"
  ../software/git-undo.md
  # Undoing things in git

A cache that is broken or gone is never trusted, and never needed.

  $ cd .. && semsearch query --mode keyword --paths -k 3 "moon tides" > ../before; for f in .semsearch/cache/*; do head -c 200 /dev/urandom > "$f"; done; semsearch query --mode keyword --paths -k 3 "moon tides" | cmp - ../before
  $ semsearch verify > /dev/null; echo $?
  semsearch: 1 problem; `semsearch verify --repair` mends what can be mended
  2
  $ semsearch verify --repair > /dev/null && semsearch verify
  the index is sound
  $ rm -r .semsearch/cache; semsearch query --mode keyword --paths -k 3 "moon tides" | cmp - ../before; semsearch verify
  the index is sound

A database that is no database: said, not crashed on.

  $ cp -r .semsearch keep; head -c 5000 /dev/urandom > .semsearch/index.db; rm -f .semsearch/index.db-*
  $ semsearch query moon 2>&1 | grep -c index.db
  1
  $ semsearch query moon 2> /dev/null; echo $?
  2
  $ semsearch verify --json 2> /dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["ok"], [(p["part"], p["repairable"]) for p in d["problems"]])'
  False [('database', True)]
  $ semsearch verify --repair > /dev/null; semsearch verify && semsearch index --json 2> /dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["failed"])'
  the index is sound
  62 0
  $ semsearch query --mode keyword --paths -k 3 "moon tides" | cmp - ../before
  $ cd music && semsearch similar scales.md --mode vector --paths -k 1 > ../../a.out; semsearch similar music/scales.md --mode vector --paths -k 1 | cmp - ../../a.out && cd ..

Questions written on another system end in CR LF; whoever has read enough ends an endless list.

  $ printf 'moon\r\n\r\nbread\r\n' | semsearch query --mode keyword -k 1 --json - | python3 -c 'import json,sys; print([q["query"] for q in json.load(sys.stdin)["queries"]])'
  ['moon', 'bread']
  $ yes moon | timeout 20 semsearch query --mode keyword -k 1 --paths - | head -n 1; echo ${PIPESTATUS[1]}
  astronomy/moon-phases.md
  2
