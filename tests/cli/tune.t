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
