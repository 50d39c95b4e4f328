Attention: tokens, offsets and one matrix a head; every row adds up to 1.

  $ semsearch attention a b | cut -c 1-128
  {"schema":1,"model":"tiny","tokens":["[CLS]","a","b","[SEP]"],"offsets":[[0,0],[0,1],[2,3],[0,0]],"layers":[{"layer":1,"heads":[
  $ cat > rows.py <<'X'
  > import json, sys
  > d = json.load(sys.stdin)
  > n = len(d["tokens"])
  > rows = [r for l in d["layers"] for h in l["heads"] for r in h]
  > assert all(len(r) == n and abs(sum(r) - 1) < 1e-4 for r in rows)
  > print([l["layer"] for l in d["layers"]], [len(l["heads"]) for l in d["layers"]], n, d.get("head"))
  > X
  $ semsearch attention "Ab c" | python3 rows.py
  [1, 2] [2, 2] 5 None
  $ semsearch attention --layer 2 --head 1 "Ab c" --text-pair d | python3 rows.py
  [2] [1] 7 1
  $ semsearch attention --max-length 3 "Ab c" | python3 rows.py
  [1, 2] [2, 2] 3 None

The page is one file that fetches nothing; no text can end its script.

  $ semsearch attention --html page.html "</script><script>alert(1)//"
  semsearch: page.html: 29 tokens, 2 layers of 2 heads; open it in a browser
  $ grep -c '</script>' page.html; grep -c 'DATA' page.html; grep -cE '(src|href)=' page.html || true
  1
  0
  0
  $ semsearch attention --html page.html --quiet --json a | python3 rows.py
  [1, 2] [2, 2] 3 None

What cannot be.

  $ semsearch attention
  semsearch: which text?
    semsearch attention "the cat sat on the mat" --html cat.html
  [2]
  $ semsearch attention --layer 3 a
  semsearch: --layer 3: the model has 2
  [2]
  $ semsearch attention --html none/page.html a
  semsearch: cannot write 'none/page.html': No such file or directory
  [2]
