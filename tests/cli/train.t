Training: what is refused, before anything is written.

  $ cp "$SRC"/tests/golden/train/runs/*.* . && rm runs.json; H="$SRC/tests/golden/heads"
  $ semsearch train
  semsearch: no TASK
    semsearch train TASK --data FILE --out DIR; `semsearch train --help`
  [2]
  $ semsearch train sentence-similarty --data x --out y
  semsearch: unknown task 'sentence-similarty'
    did you mean 'sentence-similarity'?
  [2]
  $ semsearch train sentence-similarity --out y
  semsearch: no data (--data FILE)
    semsearch train sentence-similarity --data FILE --out DIR
  [2]
  $ semsearch train sentence-similarity --data triples.tsv
  semsearch: no folder to write to (--out DIR)
    the model, its checkpoints and metrics.jsonl go there
  [2]
  $ semsearch train sentence-similarity --data nowhere.tsv --out y
  semsearch: cannot open 'nowhere.tsv': No such file or directory
  [2]
  $ semsearch train text-classification --data classes.tsv --out y --scale 20
  semsearch: the options of losses over embeddings: not for text-classification
    `semsearch train --help` says which task each option is for
  [2]
  $ semsearch train sentence-similarity --data triples.tsv --out y --learning-rate nan
  semsearch: 'nan' is no value for --learning-rate
    expected a number that is not negative
  [2]
  $ semsearch train sentence-similarity --data triples.tsv --out y --matryoshka 16,x
  semsearch: '16,x' is no value for --matryoshka
    expected up to 16 widths, such as 384,256,128,64
  [2]
  $ semsearch train sentence-similarity --data scored.tsv --out y --loss mnrl 2>&1 | head -n 1
  semsearch: 'scored.tsv' lacks columns for --loss mnrl
  $ semsearch train sentence-similarity --data scored.tsv --out y --score-scale 5
  semsearch: '5' is no value for --score-scale
    expected LOW:HIGH, such as 0:5
  [2]
  $ semsearch train fill-mask --data documents.txt --out y --init random
  semsearch: --init random needs --config FILE and --tokenizer DIR
    semsearch train tokenizer makes one from plain text
  [2]
  $ printf '{"anchor": "a", "positive": "b"}\n{"anchor": "a\\u0000", "positive": "b"}\n' > zero.jsonl; semsearch train sentence-similarity --data zero.jsonl --out y
  semsearch: zero.jsonl, line 2: expected an object with 'anchor' (a string without \u0000, or a number)
  [2]
  $ printf 'anchor\tpositive\na\tb\nc\n' > bad.tsv
  $ semsearch train sentence-similarity --data bad.tsv --out y
  semsearch: bad.tsv, line 3: 1 fields where the first line names 2
  [2]
  $ printf 'text\tlabel\na\tx\nb\tz\n' > eval.tsv; printf 'text\tlabel\na\tx\nb\ty\n' > train.tsv
  $ semsearch train text-classification --data train.tsv --eval-data eval.tsv --out y
  semsearch: eval.tsv, line 3: label 'z' is not one of the model's
    its labels: x, y
  [2]
  $ printf '{"data":[\n{"title":"{","paragraphs":[{"context":"x","qas":[]},\n{"context":"ab","qas":[\n{"id":"0","question":"q","answers":[]},\n{"id":"7",\n"question":"q","answers":[{"text":"z","answer_start":0}]}]}]}]}' > squad.json
  $ semsearch train question-answering --data squad.json --out y
  semsearch: squad.json, line 5, question '7': the answer's text does not stand at its answer_start
  [2]
  $ printf '{"data":[{"paragraphs":[{"qas":[],"context":"ab"},\n{"context":"ab"}]}]}' > half.json; semsearch train question-answering --data half.json --out y
  semsearch: half.json, line 2: a paragraph needs 'context' and 'qas'
  [2]
  $ semsearch train sentence-similarity --data triples.tsv --out y --matryoshka 64
  semsearch: --matryoshka 64: the model's vectors have 32 numbers
  [2]
  $ semsearch train sentence-similarity --data triples.tsv --out y --save-max-length 999
  semsearch: a window of 999 tokens is more than the 128 positions of this model
  [2]
  $ semsearch train sentence-similarity --data triples.tsv --out y --freeze '*'
  semsearch: --freeze leaves nothing that could learn
  [2]
  $ semsearch train sentence-similarity --data triples.tsv --out y --scale 0
  semsearch: --scale 0: must be above 0
  [2]
  $ semsearch train sentence-similarity --data triples.tsv --out y --dropout 1
  semsearch: --dropout 1: must be below 1
  [2]
  $ semsearch train sentence-similarity --json --data bad.tsv --out y 2>/dev/null | cut -c 1-40
  {"schema":1,"error":{"kind":"format","me
  $ ls -d y
  ls: cannot access 'y': No such file or directory
  [2]

A run, and what it leaves.

  $ semsearch train sentence-similarity --data triples.tsv --out y --epochs 2 --batch-size 8 --learning-rate 1e-3 --save-steps 5 -q > /dev/null
  $ ls y
  1_Pooling
  2_Normalize
  README.md
  checkpoint-10
  checkpoint-15
  config.json
  config_sentence_transformers.json
  metrics.jsonl
  model.safetensors
  modules.json
  sentence_bert_config.json
  tokenizer_config.json
  training.json
  vocab.txt
  $ wc -l < y/metrics.jsonl; head -n 1 y/metrics.jsonl | sed 's/"loss":.*"lr"/"loss":..."lr"/; s/"grad.*//'
  16
  {"step":1,"epoch":0.125,"loss":..."lr":0,
  $ echo 'a hot word' | semsearch embed --model y | cut -c 1-22
  {"schema":1,"index":0,
  $ semsearch train sentence-similarity --data triples.tsv --out y
  semsearch: the folder 'y' is not empty
    go on with the run in it (--resume y), replace what a run writes there (--overwrite), or choose another folder
  [2]

Going on after a kill gives the very same weights; a bad row may be left out.

  $ cp -r y z && rm -r z/checkpoint-15 z/model.safetensors && printf '{"step":11' >> z/metrics.jsonl
  $ semsearch train sentence-similarity --data triples.tsv --epochs 2 --batch-size 8 --learning-rate 1e-3 --save-steps 5 -q --resume z > /dev/null
  $ cmp y/model.safetensors z/model.safetensors && wc -l < z/metrics.jsonl
  16
  $ semsearch train sentence-similarity --resume z 2>&1 | cut -c 1-80
  semsearch: no data (--data FILE)
    the run was started with: semsearch train sentence-similarity --data triples.t
  $ semsearch train sentence-similarity --data pairs.tsv --resume z
  semsearch: 'z/checkpoint-15' is of a run with other data or settings
    data files, batch size, accumulation, seed, lengths and loss must be those of z/training.json
  [2]
  $ printf 'anchor\tpositive\na\tb\nc\nd\te\n' > bad.tsv
  $ semsearch train sentence-similarity --data bad.tsv --out s --skip-bad-rows --max-steps 1 | head -n 1 | sed 's/ in .*//'
  semsearch: training data: 1 bad row left out: bad.tsv, line 3: 1 fields where the first line names 2
  semsearch: without --eval-data nothing says whether the new model is better
  1 step over 2 rows

  $ printf 'text\tlabel\na\tx\nb\tz\nc\ty\nd\tx\n' > labels.tsv
  $ semsearch train text-classification --data labels.tsv --labels x,y --out l --skip-bad-rows --max-steps 1 2>&1 | head -n 1 | sed 's/ in [0-9].*//'
  semsearch: training data: 1 bad row left out: labels.tsv, line 3: label 'z' is not one of the model's
  $ sed 's/.*"rows":\([0-9]*\),.*/\1/; s/,.*//' l/training.json
  3

Held-out rows: before and after, and a verdict; rows that were trained on are named.

  $ semsearch train sentence-similarity --data scored.tsv --eval-data scored.tsv --out v --max-steps 3 2>&1 | sed 's/0\.[0-9]*/N/g; s/ in .*//; s/: no diff.*//'
  semsearch: warning: 60 of 60 rows of the evaluation data share a text with the training data (scored.tsv, line 2; scored.tsv, line 3; scored.tsv, line 4): what is measured on them is no evidence about new texts
  semsearch: step 3: spearman N
  3 steps over 60 rows
  evaluation: spearman N, pearson N
  spearman N before, N after
  model: v
  $ semsearch train sentence-similarity --data triples.tsv --eval-data pairs.tsv --out v --overwrite --max-steps 3 --json 2>/dev/null | tr ',' '\n' | grep -E 'schema|task|steps|verdict|ndcg' | sed 's/:0[.0-9]*/:N/'
  {"schema":1
  "task":"sentence-similarity"
  "steps":3
  "ndcg@10":N
  "ndcg@10":N
  "verdict":"no difference"

Every task.

  $ run() { t=$1; shift; semsearch train "$t" --out "$t" --max-steps 2 --batch-size 4 -q "$@" > /dev/null && grep -A1 architectures "$t/config.json" | tail -n 1; }
  $ run text-classification --data classes.tsv --base "$H/bert-text-classification"
      "BertForSequenceClassification"
  $ run token-classification --data words.conll --base "$H/bert-token-classification"
      "BertForTokenClassification"
  $ run question-answering --data questions.json --base "$H/bert-question-answering" --doc-stride 8 --max-query-length 10
      "BertForQuestionAnswering"
  $ run fill-mask --data documents.txt --base "$H/bert-fill-mask" --whole-word
      "BertForMaskedLM"
  $ semsearch train tokenizer --data documents.txt --vocab-size 60 --lowercase --out words
  60 tokens in words
  $ run pretraining --data documents.txt --init random --config "$H/bert-pretraining/config.json" --tokenizer words
      "BertForPreTraining"
  $ run text-classification --overwrite --data regression.tsv --plot curves.svg && head -c 4 curves.svg
      "BertForSequenceClassification"
  <svg
