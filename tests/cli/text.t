Tokenize: ids, tokens, byte offsets; special-token strings are plain text.

  $ printf 'Ab c\n\n[SEP]\n' | semsearch tokenize
  {"schema":1,"ids":[2,43,84,45,3],"tokens":["[CLS]","a","##b","c","[SEP]"],"offsets":[[0,0],[0,1],[1,2],[3,4],[0,0]],"type_ids":[0,0,0,0,0]}
  {"schema":1,"ids":[2,3],"tokens":["[CLS]","[SEP]"],"offsets":[[0,0],[0,0]],"type_ids":[0,0]}
  {"schema":1,"ids":[2,37,61,87,98,39,3],"tokens":["[CLS]","[","s","##e","##p","]","[SEP]"],"offsets":[[0,0],[0,1],[1,2],[2,3],[3,4],[4,5],[0,0]],"type_ids":[0,0,0,0,0,0,0]}
  $ printf 'ab\tcd\n' | semsearch tokenize --pair
  {"schema":1,"ids":[2,43,84,3,45,86,3],"tokens":["[CLS]","a","##b","[SEP]","c","##d","[SEP]"],"offsets":[[0,0],[0,1],[1,2],[0,0],[0,1],[1,2],[0,0]],"type_ids":[0,0,0,0,1,1,1]}
  $ printf 'abcdef\n' | semsearch tokenize --max-length 4
  {"schema":1,"ids":[2,43,84,3],"tokens":["[CLS]","a","##b","[SEP]"],"offsets":[[0,0],[0,1],[1,2],[0,0]],"type_ids":[0,0,0,0]}
  $ printf 'abcdef\n' | semsearch tokenize --no-special | cut -c 1-30
  {"schema":1,"ids":[43,84,85,86
  $ printf 'no tab\n' | semsearch tokenize --pair
  semsearch: standard input, line 1: expected two texts with one TAB between
  [2]

The encoder and its tokenizer may lie in a folder of the model's.

  $ mkdir -p old/0_Transformer && cp -r "$SRC"/tests/data/models/tiny/*_Pooling old && cp "$SRC"/tests/data/models/tiny/*.* old/0_Transformer
  $ sed 's/"path": ""/"path": "0_Transformer"/' old/0_Transformer/modules.json > old/modules.json
  $ printf 'Ab c\n' | semsearch tokenize --model old | cut -c 1-36
  {"schema":1,"ids":[2,43,84,45,3],"to

Embed: blank lines are texts, a last line without an end counts, nothing in gives nothing out.

  $ printf 'a\n\nb' | semsearch embed | wc -l
  3
  $ printf '' | semsearch embed | wc -l
  0
  $ printf 'a\n' | semsearch embed | sed 's/"embedding.*//'
  {"schema":1,"index":0,"tokens":3,
  $ printf '{"text": "a"}\n{"txt": "b"}\n' | semsearch embed --input jsonl | wc -l
  semsearch: standard input, line 2: expected an object with a string "text"
  1
  $ printf '{"text": "a"}\n{"text" "b"}\n' | semsearch embed --input jsonl | wc -l
  semsearch: standard input, line 2: not valid JSON (column 11: ':' expected near '"b"')
  1
  $ printf 'a\n\nb\n' | semsearch embed --format npy -o v.npy && head -c 6 v.npy | tail -c 5; wc -c < v.npy
  NUMPY512
  $ semsearch embed --format npy < /dev/null
  semsearch: --format npy needs a file to write to
    add -o vectors.npy
  [2]
  $ semsearch embed --normalize --no-normalize < /dev/null
  semsearch: --normalize and --no-normalize exclude each other
  [2]
  $ semsearch embed nowhere.txt
  semsearch: cannot open 'nowhere.txt': No such file or directory
  [2]
  $ semsearch embed --precision int4 < /dev/null
  semsearch: 'int4' is no value for --precision
    did you mean 'int8'? (fp32|bf16|int8|auto)
  [2]

The vector of a text does not depend on its neighbours nor on the threads.

  $ printf 'one\ntwo words\nthree more words here\n' > t.txt
  $ semsearch embed --threads 1 t.txt | sed 's/"index":[0-9]*,//' > all
  $ while read -r l; do printf '%s\n' "$l" | semsearch embed --threads 3; done < t.txt | sed 's/"index":[0-9]*,//' | cmp - all

A failed run leaves no file.

  $ printf '{"txt": "b"}\n' | semsearch embed --input jsonl -o out.jsonl; ls out.jsonl* 2>/dev/null
  semsearch: standard input, line 1: expected an object with a string "text"
  [2]
  $ printf '{"text": "b"}\n{"text": "c"}\nd\n' | semsearch embed --input jsonl 2> err | cut -c 1-22; grep -c 'line 3' err
  {"schema":1,"index":0,
  {"schema":1,"index":1,
  1

Similarity: one cosine a line.

  $ printf 'same\tsame\n' | semsearch similarity
  1.000000
  $ printf 'same\tsame\n' | semsearch similarity --json
  {"schema":1,"similarities":[1]}
  $ printf 'x\ty\tz\n' | semsearch similarity
  semsearch: standard input, line 1: expected two texts with one TAB between
  [2]
  $ printf 'a\ta\nx\ty\tz\n' | semsearch similarity
  1.000000
  semsearch: standard input, line 2: expected two texts with one TAB between
  [2]

Models.

  $ semsearch model list | awk '{print $1, $2}'
  * tiny
  $ semsearch model show --json | tr ',' '\n' | grep -E 'family|layers|"dim|max_tokens|pooling|normalize|vocab'
  "family":"bert"
  "layers":2
  "vocab":109
  "max_tokens":128
  "dim":32
  "pooling":"mean"
  "normalize":true
  $ semsearch model show nobody
  semsearch: no model 'nobody': neither a registered name nor a folder
    `semsearch model list` shows the names; `semsearch model add DIR` registers a folder
  [2]
  $ semsearch model add .
  semsearch: cannot open the model '*/cwd': '*/cwd' is not a model folder: it has no config.json (glob)
    a model folder holds config.json, model.safetensors and tokenizer.json or vocab.txt
  [2]
  $ semsearch model add "$SRC/tests/data/models/tiny" --name second | head -1
  added second
  $ semsearch model show second --json | grep -o '"pooling":"[a-z]*"'
  "pooling":"mean"
  $ mkdir plain && cp "$SRC"/tests/data/models/tiny/*.* plain && rm plain/modules.json
  $ semsearch model add plain --pooling cls | head -1
  added plain
  $ semsearch model show plain --json | grep -o '"pooling":"[a-z]*"'
  "pooling":"cls"
  $ semsearch model remove plain
  removed plain
  $ semsearch model default second
  default is now second
  $ semsearch model add "$SRC/tests/data/models/tiny" --name 'a/b'
  semsearch: 'a/b' cannot be a model's name
  [2]
  $ semsearch model remove second
  removed second
  $ semsearch model list | awk '{print $1, $2}'
  * tiny

Where no default was chosen it is the first by name, whatever the order in the folder.

  $ export XDG_DATA_HOME="$PWD/several"; mkdir -p several/semsearch/models; for m in mu zeta beta omega alpha tau delta; do cp -r "$SRC/tests/data/models/tiny" several/semsearch/models/$m; done
  $ semsearch model list | awk '$1 == "*" {print $2}'
  alpha
  $ semsearch model default tau; rm -r several/semsearch/models/alpha; semsearch model list | awk '$1 == "*" {print $2}'
  default is now tau
  tau
  $ rm -r several/semsearch/models/tau; semsearch model remove tau; semsearch model list | awk '$1 == "*" {print $2}'
  removed tau
  beta
  $ export XDG_DATA_HOME="$HOME/share"

Eval of sentence similarity: Spearman and Pearson, and messages that name file and line.

  $ printf 'sentence1\tsentence2\tscore\nabc\tabc\t5\nabc\txyz\t1\nabc\tabd\t4\n' > d.tsv
  $ semsearch eval sentence-similarity --data d.tsv | sed 's/: .*//'
  tiny, 3 pairs
  $ printf 's1,s2,gold\n"a, b",c,1\nc,"d ""x""",0.5\n' > d.csv
  $ semsearch eval sentence-similarity --data d.csv --columns sentence1=s1 --columns sentence2=s2 --columns score=gold --json | grep -c '"pairs":2'
  1
  $ printf 'sentence1\tsentence2\tscore\na\tb\thigh\n' > bad.tsv; semsearch eval sentence-similarity --data bad.tsv
  semsearch: bad.tsv, line 2: 'high' in column 'score' is not a number
  [2]
  $ printf 'sentence1\tsentence2\tscore\na\tb\n' > bad.tsv; semsearch eval sentence-similarity --data bad.tsv
  semsearch: bad.tsv, line 2: 2 fields where the first line names 3
  [2]
  $ printf 'a\tb\n1\t2\n' > bad.tsv; semsearch eval sentence-similarity --data bad.tsv
  semsearch: bad.tsv, line 1: no column 'sentence1'
    it has: a, b; map a name with --columns sentence1=NAME
  [2]

  $ printf '{"q":"a","sentence2":"b","s":1}\n{"q":"c","sentence2":"d","s":0}\n' > odd.jsonl && semsearch eval sentence-similarity --data odd.jsonl --columns sentence1=q,score=s --json | cut -c1-65
  {"schema":1,"task":"sentence-similarity","model":"tiny","pairs":2
  $ printf 'question1\tquestion, 2\tsim\na\ta\t1\nb\tc d e f\t0\na b\ta b c\t0.9\n' > odd.tsv && semsearch eval sentence-similarity --data odd.tsv --columns 'sentence1=question1,sentence2=question, 2' --columns score=sim --json | cut -c1-70
  {"schema":1,"task":"sentence-similarity","model":"tiny","pairs":3,"spe

Where the output goes: a device is written to, not replaced; a reader that has gone ends the work.

  $ echo hi | semsearch embed -o - | cut -c1-35
  {"schema":1,"index":0,"tokens":4,"e
  $ echo hi | semsearch embed -o /dev/stdout | cut -c1-35
  {"schema":1,"index":0,"tokens":4,"e
  $ ln -s /dev/full full && echo hi | semsearch embed -o full; ls -l full | cut -c1
  semsearch: cannot write '*': write failed: No space left on device (glob)
  l
  $ for c in embed tokenize similarity; do yes 'a	b' | timeout 20 semsearch $c | head -n 1 > /dev/null; echo ${PIPESTATUS[1]}; done
  2
  2
  2

A signal while waiting for input ends the work as anywhere else.

  $ (sleep 1.5; echo) | (exec timeout --foreground --preserve-status -s INT 1 semsearch embed); echo $?
  semsearch: stopped
  130
