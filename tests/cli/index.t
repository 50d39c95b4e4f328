A folder is indexed, and again: nothing to do.

  $ mkdir -p notes/sub && cd notes
  $ printf '# Bread\n\nFlour and water.\n' > bread.md
  $ printf 'The cat sat on the mat.\n' > sub/cat.txt
  $ printf 'ignored.log\n*.tmp\n' > .gitignore && echo x > ignored.log && echo y > a.tmp && echo h > .hidden
  $ head -c 3000 /dev/zero > zeros.bin && : > empty.txt && ln -s bread.md link.md
  $ semsearch index --json . | sed 's/"seconds":[^,]*/"seconds":S/'
  {"schema":1,"indexed":2,"unchanged":0,"removed":0,"skipped":3,"failed":0,"chunks":2,"tokens":41,"seconds":S,"complete":true,"failures":[]}
  $ semsearch index | sed 's/, [0-9.]* s)/, S s)/'
  0 indexed, 2 unchanged, 0 removed, 3 skipped, 0 failed (0 passages, 0 tokens, S s)
  $ ls -A .semsearch | grep -v cache
  .gitignore
  index.db
  index.db-shm
  index.db-wal
  lock
  $ semsearch files
  indexed  bread.md
  skipped  empty.txt  empty
  skipped  link.md  symbolic link (not followed)
  indexed  sub/cat.txt
  skipped  zeros.bin  binary file
  $ semsearch files --json | python3 -c 'import json,sys; print([(f["path"], f["state"], f["kind"]) for f in json.load(sys.stdin)["files"]])'
  [('bread.md', 'indexed', 'markdown'), ('empty.txt', 'skipped', None), ('link.md', 'skipped', None), ('sub/cat.txt', 'indexed', 'text'), ('zeros.bin', 'skipped', None)]
  $ semsearch status --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["documents"], d["chunks"], d["skipped"], d["failed"], d["model"]["dim"], d["ann"]["stale"])'
  2 2 3 0 32 False

Why a file is not there.

  $ semsearch why ignored.log
  ignored.log: not indexed
    ignored by the rule 'ignored.log' (.gitignore:1)
  $ semsearch why a.tmp --json
  {"schema":1,"path":"a.tmp","state":"ignored","taken":false,"reason":"ignored by the rule '*.tmp'","hint":null,"rule":"*.tmp","file":".gitignore","line":2,"at":"a.tmp"}
  $ semsearch why .hidden
  .hidden: not indexed
    hidden: its name begins with a dot (--hidden takes such files)
  $ semsearch why zeros.bin
  zeros.bin: skipped: binary file
    no rule leaves it out
  $ semsearch why bread.md
  bread.md: indexed, 1 passage (markdown)
    no rule leaves it out
  $ semsearch why sub
  sub: a folder; `semsearch files --path` lists what is below it
    no rule leaves it out
  $ semsearch why gone.md --json | cut -c1-73
  {"schema":1,"path":"gone.md","state":"missing","taken":false,"reason":"ca
  $ semsearch why link.md
  link.md: skipped: symbolic link (not followed)
    symbolic link (not followed)

A renamed file costs nothing, a changed one its passages; one that is gone leaves.

  $ mv bread.md dough.md && semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["removed"], d["tokens"])'
  1 1 0
  $ echo 'And the dog.' >> sub/cat.txt && semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["unchanged"], d["tokens"] > 0)'
  1 1 True
  $ touch dough.md && semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["unchanged"], d["tokens"])'
  0 2 0
  $ echo new > new.txt && semsearch status --check --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["disk"])'
  {'changed': 0, 'added': 1, 'gone': 0}
  $ rm sub/cat.txt && semsearch index --dry-run --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["removed"])'
  1 1
  $ semsearch index --no-prune --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["removed"])'
  1 0
  $ semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["removed"])'
  0 1

From a sub-folder the index above is used; only what lies below is looked at.

  $ mkdir -p sub && cd sub && echo 'sub text' > s.txt && echo 'top text' > ../top.txt
  $ semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["removed"])'
  1 0
  $ semsearch files --paths
  ../dough.md
  ../empty.txt
  ../link.md
  ../new.txt
  s.txt
  ../zeros.bin
  $ cd .. && semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["removed"])'
  1 0

Taking out lasts until the next run.

  $ semsearch rm sub
  1 removed from the index
  $ semsearch files --paths
  dough.md
  empty.txt
  link.md
  new.txt
  top.txt
  zeros.bin
  $ semsearch rm nowhere.txt
  semsearch: 'nowhere.txt' is not in the index
  [2]
  $ semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"])'
  1

A file that cannot be read as what it is: exit 3, named, and again at every run until it is mended.

  $ printf 'PK\003\004 broken' > broken.docx
  $ semsearch index | sed 's/, [0-9.]* s)/, S s)/'; echo "exit ${PIPESTATUS[0]}"
  semsearch: failed: broken.docx: broken or cut short
  0 indexed, 4 unchanged, 0 removed, 3 skipped, 1 failed (0 passages, 0 tokens, S s)
  exit 3
  $ semsearch index --json 2>/dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["failed"], d["unchanged"], d["failures"][0]["path"])'
  1 4 broken.docx
  $ rm broken.docx && semsearch index > /dev/null

Names of any kind.

  $ mkdir odd && echo one > 'odd/-dash.txt' && echo two > $'odd/new\nline.txt' && echo three > $'odd/bad\xff.txt' && echo four > "odd/quo'te\".txt"
  $ semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["failed"])'
  4 0
  $ semsearch files --jsonl --path odd | python3 -c 'import json,sys; print(sorted(json.loads(l)["path"] for l in sys.stdin))'
  ['odd/-dash.txt', 'odd/bad�.txt', 'odd/new\nline.txt', 'odd/quo\'te".txt']
  $ cd odd && semsearch files --path odd --paths -0 | tr '\0' '\n' | head -n 2 && cd ..
  ./-dash.txt
  bad�.txt

Another model is refused, unless all is to be embedded anew.

  $ cp -r "$SRC/tests/data/models/tiny" ../other && printf '[MORE]\n' >> ../other/vocab.txt && python3 - <<'PY'
  > import json
  > p = "../other/sentence_bert_config.json"
  > json.dump({"max_seq_length": 64}, open(p, "w"))
  > PY
  $ cp "$SRC/tests/data/models/tiny/vocab.txt" ../other/vocab.txt
  $ semsearch index --model ../other
  semsearch: the index is of the model 'tiny'
    use that model, or --reembed to compute all vectors anew
  [4]
  $ semsearch query --model ../other bread
  semsearch: the index was made with another model than 'other', or by another version of semsearch
    ask with the model of the index, or index again with --reembed
  [4]
  $ semsearch index --model ../other --reembed --json 2> /dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["failed"], d["tokens"] > 0)'
  0 True
  $ semsearch index --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["tokens"])'
  0 0

The same model under another name, or in another place, is the same model; when its folder is gone, a registered one serves.

  $ mkdir ../same && cp -r "$SRC/tests/data/models/tiny" ../moved && cd ../same && echo one > one.txt && semsearch index -q --model ../moved > /dev/null && echo two > two.txt
  $ semsearch index --model tiny --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["unchanged"])'
  1 1
  $ semsearch index --model ../moved > /dev/null && semsearch status --json | grep -o '"name":"[a-z]*"' && rm -r ../moved && semsearch query -k 1 --mode vector --paths two && cd ../notes
  "name":"moved"
  two.txt

The index is sound; git never sees it.

  $ semsearch verify
  the index is sound
  $ semsearch verify --json
  {"schema":1,"ok":true,"problems":[]}
  $ cat .semsearch/.gitignore
  *

Damage in the middle of the file is named as problems, and mended; what was dropped comes back.

  $ cp -r ../notes ../hurt && cd ../hurt && python3 -c '
  > p = ".semsearch/index.db"
  > b = bytearray(open(p, "rb").read())
  > at = b.index(b"new.txt")
  > b[at] ^= 1
  > open(p, "wb").write(b)'
  $ semsearch verify --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["ok"], list(d["problems"][0]), d["problems"][0]["repairable"])'
  semsearch: * problem*; `semsearch verify --repair` mends what can be mended (glob)
  False ['part', 'where', 'what', 'repairable'] True
  $ semsearch verify --repair > /dev/null && semsearch index > /dev/null && semsearch verify && cd ../notes
  the index is sound

Several folders need a name for their index.

  $ cd .. && mkdir a b && echo aa > a/1.txt && echo bb > b/2.txt
  $ semsearch index a b
  semsearch: 2 folders, and no index above the first of them
    name one index for all: semsearch index --index INDEX DIR...
  [2]
  $ semsearch index --index both a b --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["indexed"])'
  2
  $ semsearch files --index both --paths
  a/1.txt
  b/2.txt

Such an index is of these folders only, until another one is named; it can be moved with them.

  $ semsearch index --index both --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["unchanged"], d["removed"])'
  0 2 0
  $ semsearch status --index both --check --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["disk"])'
  {'changed': 0, 'added': 0, 'gone': 0}
  $ mkdir c && echo cc > c/3.txt && semsearch index --index both c --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["removed"])'
  1 0
  $ rm -r b && semsearch index --index both --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["unchanged"], d["removed"])'
  0 2 1
  $ mkdir elsewhere && mv a c both elsewhere && cd elsewhere && semsearch index --index both --json | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["indexed"], d["unchanged"], d["removed"])'
  0 2 0
  $ mkdir ../far && semsearch index --index ../far/idx a > /dev/null && mv a z && semsearch index --index ../far/idx
  semsearch: the folder of this index, '*/a', is gone (glob)
    put it back (searching works meanwhile), or make a new index of it
  [2]

When the folder of an index's model has moved, a registered model of the same numbers serves, pooled as that index is.

  $ mkdir ../moved && cd ../moved && mkdir was docs && cp "$SRC"/tests/data/models/tiny/*.* was && rm was/modules.json && echo bread > docs/1.txt
  $ semsearch index --model was --pooling cls docs > /dev/null && mv was now && semsearch model add now | head -1 && cd docs && semsearch query --mode vector --paths bread
  added now
  1.txt
