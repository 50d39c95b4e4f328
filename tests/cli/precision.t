What a CPU lacks is refused; here every CPU is one that has nothing.

  $ SEMSEARCH_ISA=scalar semsearch embed --precision int8 < /dev/null
  semsearch: cannot open the model '*/tiny': precision int8 needs VNNI (or on ARM: dot product) instructions, which the forced SEMSEARCH_ISA lacks (glob)
    it has fp32; auto takes the fastest that suits the model
  [2]
  $ SEMSEARCH_ISA=scalar semsearch index --precision bf16 --json 2> /dev/null | sed 's/open the.*tiny/.../'
  {"schema":1,"error":{"kind":"usage","message":"cannot ...': precision bf16 needs AVX512-BF16 instructions* (glob)
  $ ls -A
  $ SEMSEARCH_ISA=scalar semsearch model show tiny | tail -2
  bf16        not on this machine
  int8        not on this machine

The fastest of this machine; the vectors of both kinds are near each other.

  $ best=fp32; for p in bf16 int8; do semsearch embed --precision $p < /dev/null > /dev/null 2>&1 && best=$p; done
  $ printf 'a cat\tthe cat sat\n' > pair.tsv && semsearch similarity pair.tsv > exact && semsearch similarity --precision $best pair.tsv > low
  $ python3 -c 'a, b = float(open("exact").read()), float(open("low").read()); print(abs(a - b) < 0.02, a)'
  True * (glob)
  $ rm exact low pair.tsv

By itself `index` takes the fastest that does well; what computed each vector is kept, and both may lie in one index.

  $ echo 'Bread is made of flour and water.' > bread.txt && semsearch index --precision fp32 > /dev/null && echo 'A cat sleeps.' > cat.txt
  $ counts() { semsearch status --json | python3 -c 'import json,sys; v=json.load(sys.stdin)["vectors"]; b=sys.argv[1]; print(v["fp32"] - (b == "fp32"), v[b] - (b == "fp32"), sum(v.values()))' $best; }
  $ counts | sed "s/$best/best/"
  1 0 1 (glob)
  $ semsearch index > /dev/null && counts
  1 1 2 (glob)
  $ semsearch status | grep -c '^vectors  *1 .*, 1 fp32$\|^vectors  *2 fp32$'
  1
  $ semsearch query --paths -k 2 'flour and water' | sort && semsearch verify
  bread.txt
  cat.txt
  the index is sound
  $ SEMSEARCH_ISA=scalar semsearch query --paths -k 2 'flour and water' | sort
  bread.txt
  cat.txt
  $ rm -rf "$XDG_CACHE_HOME" && semsearch query --mode vector --paths -k 2 'a cat' | sort && ls "$XDG_CACHE_HOME"/semsearch/models/*.gate 2> /dev/null
  bread.txt
  cat.txt
  [2]

The gate is remembered and told.

  $ semsearch model add --name again "$SRC/tests/data/models/tiny" | sed 's/  *\(good\|not on\|not good\).*/ .../'
  added again
  bf16 ...
  int8 ...
  $ semsearch model show again --json | python3 -c 'import json,sys; p=json.load(sys.stdin)["precisions"]; print([all(m[k] == m["available"] for k in ("measured", "passed")) for m in p.values()], all(0.99 < m["worst_cosine"] <= m["mean_cosine"] <= 1.00001 for m in p.values() if m["measured"]))'
  [True, True] True
