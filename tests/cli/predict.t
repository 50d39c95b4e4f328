Predict: what the head of a model says, one JSON line for each line. Tiny random models: only the shape counts here.

  $ H="$SRC/tests/golden/heads"
  $ printf 'the word is hot\n\n{"text": "the word", "text_pair": "is hot"}\n' | semsearch predict --model "$H/bert-text-classification" | sed 's/0\.[0-9]*/P/g'
  {"schema":1,"label":"pos","score":P,"scores":{"neg":P,"neutral":P,"pos":P}}
  {"schema":1,"label":"pos","score":P,"scores":{"neg":P,"neutral":P,"pos":P}}
  {"schema":1,"label":"pos","score":P,"scores":{"neg":P,"neutral":P,"pos":P}}
  $ printf '{"text": "x"}\n' > json; semsearch predict --model "$H/bert-text-classification" json > a; semsearch predict --model "$H/bert-text-classification" --input text json > b; cmp -s a b || echo differ
  differ
  $ printf '{"tokens": ["a\\u0000", "b"]}\n' | semsearch predict --model "$H/bert-token-classification" | grep -c '"text":"a.u0000"'
  1
  $ printf 'the people\n' | semsearch predict --model "$H/bert-token-classification" | sed 's/0\.[0-9]*/P/g'
  {"schema":1,"entities":[{"label":"PER","text":"people","start":4,"end":10,"score":P}]}
  $ printf '{"tokens": ["the", "people", ""]}\n' | semsearch predict --model "$H/bert-token-classification" | sed 's/0\.[0-9]*/P/g'
  {"schema":1,"entities":[{"label":"PER","text":"people","start":1,"end":2,"score":P}],"tags":["O","I-PER","O"]}
  $ printf '{"question": "who", "context": "the people see him"}\n' | semsearch predict --model "$H/bert-question-answering" --null-threshold 100 --max-answer-length 1 | sed 's/-*[0-9]*\.[0-9]*/X/g'
  {"schema":1,"answer":"see","start":11,"end":14,"score":X,"null_score":X}
  $ printf 'who\tthe people see him\n' | semsearch predict --model "$H/bert-question-answering" --null-threshold -100 | sed 's/-*[0-9]*\.[0-9]*/X/g'
  {"schema":1,"answer":"","start":0,"end":0,"score":X,"null_score":X}
  $ printf 'the [MASK] is\n' | semsearch predict --model "$H/roberta-fill-mask" --top 2 | sed 's/"token":"[^"]*","id":[0-9]*/W/g; s/0\.[0-9]*/P/g'
  {"schema":1,"masks":[[{W,"score":P},{W,"score":P}]]}
  $ printf 'a\tb\n' | semsearch predict --model "$H/bert-next-sentence" | sed 's/0\.[0-9]*/P/g; s/true\|false/B/'
  {"schema":1,"is_next":B,"score":P}
  $ printf 'the [MASK] is\n' | semsearch predict --model "$H/bert-pretraining" | cut -c 1-32
  {"schema":1,"masks":[[{"token":"
  $ printf 'a\tb\n' | semsearch predict --model "$H/bert-pretraining" --task next-sentence | cut -c 1-22
  {"schema":1,"is_next":
  $ printf '' | semsearch predict --model "$H/bert-next-sentence" | wc -l
  0

What is refused, with its line.

  $ printf 'the [MASK] is\nno mask\n' | semsearch predict --model "$H/bert-fill-mask"
  {"schema":1,"masks":[[{"token":*}]]} (glob)
  semsearch: standard input, line 2: no mask in the text: expected [MASK]
  [2]
  $ printf 'one\n{"txt": 1}\n' | semsearch predict --model "$H/bert-text-classification"
  {"schema":1,"label":"pos",*} (glob)
  semsearch: standard input, line 2: expected an object with "text"
  [2]
  $ printf '{"tokens": ["a", 1]}\n' | semsearch predict --model "$H/bert-token-classification"
  semsearch: standard input, line 1: expected "tokens" to be a list of strings
  [2]
  $ printf 'one\n' | semsearch predict --model "$H/bert-question-answering"
  semsearch: standard input, line 1: expected two texts with one TAB between, or a JSON object
  [2]
  $ printf '{"text": \n' | semsearch predict --model "$H/bert-text-classification" 2>&1 | cut -c 1-53
  semsearch: standard input, line 1: not valid JSON (co
  $ printf 'a\n' | semsearch predict
  semsearch: cannot open the model '*': the model 'tiny' has no head: it gives vectors (sentence-similarity) (glob)
    `semsearch embed` computes them; `semsearch train` makes a model with a head
  [2]
  $ printf 'a\n' | semsearch predict --task fill-mask --model "$H/bert-text-classification" 2>&1 | sed 's/.*: //'
  the model 'bert-text-classification' is for text-classification, not for fill-mask
    `semsearch train fill-mask` makes a model for it

The lines before a bad one are answered, whoever finds it bad: the reader, or the model (which reads two here that it cannot take).

  $ printf 'the [MASK] is\nis [MASK]\n{"txt": 1}\nthe [MASK]\n' > bad.txt; semsearch predict --model "$H/bert-fill-mask" bad.txt | cut -c 1-21
  semsearch: bad.txt, line 3: expected an object with "text"
  {"schema":1,"masks":[
  {"schema":1,"masks":[
  $ (yes 'the [MASK] is' | head -n 300; echo no mask; yes 'is [MASK]' | head -n 100; echo none) > bad.txt; semsearch predict --model "$H/bert-fill-mask" --threads 3 bad.txt > out; echo $?; wc -l < out
  semsearch: bad.txt, line 301: no mask in the text: expected [MASK]
  2
  300
  $ head -n 300 bad.txt | semsearch predict --model "$H/bert-fill-mask" | cmp - out

Input without an end takes no memory: not one line, and not many.

  $ (yes 'the [MASK] is' | head -n 3; head -c 70000000 /dev/zero) | semsearch predict --model "$H/bert-fill-mask" | wc -l
  semsearch: standard input, line 4: longer than 64 MiB
  3
  $ yes 'the [MASK] is' | timeout 20 semsearch predict --model "$H/bert-fill-mask" | head -n 1 > /dev/null; echo ${PIPESTATUS[1]}
  2

The same numbers whatever the threads and neighbours.

  $ printf 'one\ntwo words\nthree more words here\n' > t.txt
  $ semsearch predict --model "$H/bert-text-classification" --threads 1 t.txt > all
  $ while read -r l; do printf '%s\n' "$l" | semsearch predict --model "$H/bert-text-classification" --threads 3; done < t.txt | cmp - all

The registry takes such models, and shows what they are for.

  $ semsearch model add "$H/bert-token-classification" --name ner | head -n 1
  added ner
  $ semsearch model show ner --json | tr ',' '\n' | grep -A 4 -E '"task|labels'
  "task":"token-classification"
  "labels":["O"
  "B-PER"
  "I-PER"
  "B-LOC"
  "I-LOC"]
  $ semsearch model show ner | grep -E '^(task|labels)'
  task        token-classification
  labels      O, B-PER, I-PER, B-LOC, I-LOC
  $ semsearch model remove ner
  removed ner

Eval by task.

  $ printf 'text\tlabel\nthe word is hot\tpos\nmany people write\tneg\nmake it\tneutral\n' > c.tsv
  $ semsearch eval text-classification --data c.tsv --model "$H/bert-text-classification" --json | tr ',' '\n' | cut -d: -f1 | paste -sd' '
  {"schema" "task" "model" "examples" "loss" "accuracy" "macro_f1" "mcc"
  $ printf 'the O\npeople B-PER\n\nhim B-LOC\n' > n.conll
  $ semsearch eval token-classification --data n.conll --model "$H/bert-token-classification" --json | tr ',' '\n' | cut -d: -f1 | paste -sd' '
  {"schema" "task" "model" "examples" "loss" "f1" "precision" "recall" "accuracy" "entities"
  $ printf 'the word is hot and the people see him\n\nthey said that all could come\n' > t.txt
  $ semsearch eval fill-mask --data t.txt --model "$H/bert-fill-mask" --json > a; semsearch eval fill-mask --data t.txt --model "$H/bert-fill-mask" --json --threads 3 | cmp - a
  $ tr ',' '\n' < a | cut -d: -f1 | paste -sd' '
  {"schema" "task" "model" "examples" "loss" "perplexity" "accuracy" "masked"
  $ printf 'text\tlabel\na\tpos\nb\tnew\n' > u.tsv
  $ semsearch eval text-classification --data u.tsv --model "$H/bert-text-classification"
  semsearch: u.tsv, line 3: label 'new' is not one of the model's
    its labels: neg, neutral, pos
  [2]
  $ semsearch eval text-classification --data c.tsv --model "$H/bert-fill-mask" 2>&1 | sed 's/.*: //'
  the model 'bert-fill-mask' (fill-mask) has no head for text-classification
  $ semsearch eval sentiment --data c.tsv
  semsearch: unknown task 'sentiment'
    tasks: search, sentence-similarity, text-classification, token-classification, question-answering, fill-mask, pretraining
  [2]

How much work a change of model is, before it starts.

  $ mkdir docs && printf '# One\n\nThe word is hot.\n' > docs/a.md && semsearch index --quiet docs | cut -c 1-9
  1 indexed
  $ cp -r "$SRC/tests/golden/models/bert" other && semsearch index --model other docs 2>&1 | tail -n 1
    use that model, or --reembed to compute all vectors anew
  $ semsearch index --model other --reembed docs 2>&1 | sed 's/[0-9]* tokens, about.*/N/'
  semsearch: all vectors are computed anew: 1 passages, about N
  1 indexed, 0 unchanged, 0 removed, 0 skipped, 0 failed (1 passages, *) (glob)
