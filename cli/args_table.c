/* args_table.c - the tables of commands and options; see args.h.
 *
 * An option belongs to the commands whose names stand in its `of` list ("*": all). Its value goes
 * to the field of struct args at `offset`, so parser, help, man page and completions need nothing
 * but the row.
 */
#include "cli/args_table.h"
#include "cli/commands.h"
#include "src/base/mem.h"

#include <stddef.h>

#define AT(field) offsetof(struct args, field)
const struct option_row options[] = {
    {"model", 0, ARG_TEXT, "NAME|DIR",
     "index query similar eval model tokenize embed similarity attention bench predict", AT(model),
     "the model: a registered name, or a folder in Hugging Face or sentence-transformers layout"},
    {"dry-run", 0, ARG_FLAG, NULL, "index tune", AT(dry_run),
     "say what would be done, write nothing"},
    {"force", 0, ARG_FLAG, NULL, "index", AT(force),
     "look at every file anew, whatever its time and size say"},
    {"reembed", 0, ARG_FLAG, NULL, "index", AT(reembed),
     "the index is of another model: replace all of its vectors"},
    {"include", 0, ARG_LIST, "GLOB", "index", AT(include),
     "only files that match (as in .gitignore; repeatable)"},
    {"exclude", 0, ARG_LIST, "GLOB", "index", AT(exclude),
     "leave out files that match (repeatable)"},
    {"max-file-size", 0, ARG_SIZE, "SIZE", "index status why", AT(max_file_size),
     "skip larger files; k, M, G (default 64M)"},
    {"hidden", 0, ARG_FLAG, NULL, "index status why", AT(hidden),
     "take hidden files and folders too"},
    {"no-ignore", 0, ARG_FLAG, NULL, "index status why", AT(no_ignore),
     "do not read .gitignore, .ignore, .semsearchignore"},
    {"prune", 0, ARG_FLAG, NULL, "index", AT(prune),
     "files gone from disk leave the index (this is the default)"},
    {"no-prune", 0, ARG_FLAG, NULL, "index", AT(no_prune), "keep files that are gone from disk"},
    {"time-limit", 0, ARG_REAL, "SECONDS", "index bench", AT(time_limit),
     "stop after that long; the next run goes on (bench: how long to measure, default 20)"},

    {"limit", 'k', ARG_COUNT, "N", "query similar", AT(k), "at most N results (default 10)"},
    {"mode", 0, ARG_CHOICE, "hybrid|vector|keyword", "query similar", AT(mode),
     "meaning and words (default), meaning only, words only (loads no model)"},
    {"path", 0, ARG_LIST, "GLOB", "query similar files", AT(path),
     "only files that match (repeatable)"},
    {"kind", 0, ARG_LIST, "KIND", "query similar files", AT(kind),
     "only files of that kind (repeatable): text markdown html code data mail pdf document slides "
     "sheet ebook notebook subtitle archive"},
    {"since", 0, ARG_TEXT, "DATE", "query similar", AT(since),
     "only files changed on or after: YYYY-MM-DD (local time) or RFC 3339"},
    {"until", 0, ARG_TEXT, "DATE", "query similar", AT(until),
     "only files changed on or before (the whole day)"},
    {"min-score", 0, ARG_REAL, "P", "query similar", AT(min_score),
     "leave out results below P (0 to 1); exit 1 when none is left"},
    {"per-file", 0, ARG_COUNT, "N", "query similar", AT(per_file), "at most N results of one file"},
    {"exact", 0, ARG_FLAG, NULL, "query similar", AT(exact),
     "compare with every vector, use no approximate index"},
    {"explain", 0, ARG_FLAG, NULL, "query similar", AT(explain),
     "show both ranks, the raw scores and how they were fused"},
    {"paths", 0, ARG_FLAG, NULL, "query similar files", AT(paths),
     "print file names only, each once"},
    {"null", '0', ARG_FLAG, NULL, "query similar files", AT(nul),
     "with --paths: a NUL byte after each name, so that any name survives"},
    {"context", 'C', ARG_WHOLE, "N", "query similar", AT(context),
     "print N lines around each match"},

    {"failed", 0, ARG_FLAG, NULL, "files", AT(failed), "only files that could not be indexed"},
    {"skipped", 0, ARG_FLAG, NULL, "files", AT(skipped), "only files that were left out"},
    {"check", 0, ARG_FLAG, NULL, "status", AT(check),
     "compare with the disk: changed, added, gone"},
    {"repair", 0, ARG_FLAG, NULL, "verify", AT(repair),
     "rebuild what is derived, drop what is broken"},

    {"data", 0, ARG_TEXT, "PATH", "eval", AT(data),
     "search: a folder with corpus.jsonl, queries.jsonl, qrels/*.tsv; the other tasks: a file as "
     "`train` takes it"},
    {"qrels", 0, ARG_TEXT, "FILE", "eval", AT(qrels),
     "search: the judgements (default: the only one)"},
    {"run", 0, ARG_TEXT, "FILE", "eval", AT(run),
     "search: write TREC runs FILE.keyword, FILE.vector, FILE.hybrid, 100 results a query"},
    {"chunk", 0, ARG_FLAG, NULL, "eval", AT(chunk),
     "search: cut documents into passages as `index` does (published figures do not)"},
    {"columns", 0, ARG_LIST, "NAME=COLUMN,...", "train eval", AT(columns),
     "other column names, such as sentence1=question"},

    {"full", 0, ARG_FLAG, NULL, "tune", AT(full),
     "train the encoder itself (minutes to hours), and embed the index anew when it is better"},
    {"remove", 0, ARG_FLAG, NULL, "tune", AT(remove), "take the map of questions away again"},
    {"pairs", 0, ARG_TEXT, "FILE", "tune", AT(pairs),
     "write the pairs as TSV: anchor, positive, kind, held_out"},

    {"data", 0, ARG_LIST, "FILE", "train", AT(train.data),
     "what to learn from: TSV, CSV (.csv) or JSONL (.jsonl) with named columns, CoNLL, SQuAD JSON "
     "or plain text, by the task (repeatable)"},
    {"out", 0, ARG_TEXT, "DIR", "train", AT(train.out),
     "where the model, its checkpoints and metrics.jsonl go"},
    {"base", 0, ARG_TEXT, "NAME|DIR", "train", AT(train.base),
     "the model to begin from: a registered name or a folder (default: the default model)"},
    {"init", 0, ARG_CHOICE, "random", "train", AT(train.init),
     "begin from random weights instead, with --config and --tokenizer"},
    {"config", 0, ARG_TEXT, "FILE", "train", AT(train.config),
     "with --init random: a config.json that says the shape"},
    {"tokenizer", 0, ARG_TEXT, "DIR", "train", AT(train.tokenizer),
     "with --init random: a folder with a tokenizer, such as `train tokenizer` makes"},
    {"eval-data", 0, ARG_LIST, "PATH", "train", AT(train.eval_data),
     "held-out data to score on, in the same formats (repeatable); sentence-similarity: or one "
     "folder in BEIR's layout (corpus.jsonl, queries.jsonl, qrels/)"},
    {"resume", 0, ARG_TEXT, "DIR", "train", AT(train.resume),
     "go on with an interrupted run: its folder, or one checkpoint in it"},
    {"overwrite", 0, ARG_FLAG, NULL, "train", AT(train.overwrite),
     "replace what an earlier run wrote to --out"},
    {"skip-bad-rows", 0, ARG_FLAG, NULL, "train eval", AT(train.skip_bad_rows),
     "leave bad rows out and count them, instead of stopping at the first"},
    {"labels", 0, ARG_TEXT, "A,B,...", "train eval", AT(train.labels),
     "classes in this order (default: those of the data, sorted); whole classes although the "
     "labels look like numbers"},
    {"column", 0, ARG_COUNT, "N", "train eval", AT(train.column),
     "token-classification: which column holds the tag (default: the last)"},
    {"score-scale", 0, ARG_TEXT, "LOW:HIGH", "train", AT(train.score_scale),
     "sentence-similarity: scores from LOW to HIGH become 0 to 1, such as 0:5"},
    {"doc-stride", 0, ARG_WHOLE, "N", "train eval", AT(train.doc_stride),
     "question-answering: tokens that windows share (default 128)"},
    {"max-query-length", 0, ARG_COUNT, "N", "train eval", AT(train.max_query_length),
     "question-answering: longest question in tokens (default 64)"},
    {"mlm-probability", 0, ARG_REAL, "P", "train eval", AT(train.mlm_probability),
     "fill-mask, pretraining: share of hidden tokens (default 0.15)"},
    {"whole-word", 0, ARG_FLAG, NULL, "train eval", AT(train.whole_word),
     "fill-mask, pretraining: hide whole words"},
    {"save-max-length", 0, ARG_COUNT, "N", "train", AT(train.save_max_length),
     "the window that the saved model states (default: that of the base)"},
    {"loss", 0, ARG_CHOICE,
     "mnrl|infonce|cosent|cosine-mse|contrastive|online-contrastive|triplet|embedding-mse", "train",
     AT(train.loss),
     "sentence-similarity: default mnrl for anchor and positive, cosent for scores, contrastive "
     "for labels"},
    {"scale", 0, ARG_REAL, "S", "train", AT(train.scale),
     "mnrl, cosent: what cosines are multiplied by (default 20)"},
    {"margin", 0, ARG_REAL, "M", "train", AT(train.margin),
     "contrastive (default 0.5), triplet (default 5)"},
    {"distance", 0, ARG_CHOICE, "euclidean|cosine|manhattan", "train", AT(train.distance),
     "triplet: how far apart (default euclidean)"},
    {"symmetric", 0, ARG_FLAG, NULL, "train", AT(train.symmetric),
     "mnrl: positives look for their anchors too"},
    {"mask-duplicates", 0, ARG_FLAG, NULL, "train", AT(train.mask_duplicates),
     "mnrl: other positives of the same anchor are no negatives"},
    {"matryoshka", 0, ARG_TEXT, "N,N,...", "train", AT(train.matryoshka),
     "sentence-similarity: the loss on the first N numbers too, such as 384,256,128,64"},
    {"mini-batch", 0, ARG_COUNT, "N", "train", AT(train.mini_batch),
     "texts that go through the model at once; a batch of any size fits (cached gradients)"},
    {"teacher", 0, ARG_TEXT, "NAME|DIR", "train", AT(train.teacher),
     "learn from that model: sentence-similarity its vectors, fill-mask its words and states"},
    {"mine-negatives", 0, ARG_COUNT, "N", "train", AT(train.mine_negatives),
     "sentence-similarity: N hard negatives a row, found by searching --index"},
    {"mine-margin", 0, ARG_REAL, "P", "train", AT(train.mine_margin),
     "a mined negative scores at most 1 - P of the positive (default 0.05)"},
    {"epochs", 0, ARG_REAL, "N", "train", AT(train.epochs),
     "how often the data is gone through (default 3)"},
    {"max-steps", 0, ARG_COUNT, "N", "train", AT(train.max_steps),
     "updates, whatever --epochs says"},
    {"batch-size", 0, ARG_COUNT, "N", "train", AT(train.batch_size),
     "rows of a batch (default 32)"},
    {"gradient-accumulation", 0, ARG_COUNT, "N", "train", AT(train.accumulation),
     "batches of one update (default 1)"},
    {"learning-rate", 0, ARG_REAL, "R", "train", AT(train.learning_rate),
     "the largest rate (default 2e-5)"},
    {"lr-scheduler", 0, ARG_CHOICE, "linear|cosine|constant", "train", AT(train.lr_scheduler),
     "how the rate falls (default linear)"},
    {"warmup-ratio", 0, ARG_REAL, "P", "train", AT(train.warmup_ratio),
     "share of the updates in which the rate rises (default 0.1)"},
    {"weight-decay", 0, ARG_REAL, "D", "train", AT(train.weight_decay),
     "decoupled decay, not of biases and norms (default 0.01)"},
    {"adam-beta1", 0, ARG_REAL, "B", "train", AT(train.beta1), "default 0.9"},
    {"adam-beta2", 0, ARG_REAL, "B", "train", AT(train.beta2), "default 0.999"},
    {"adam-epsilon", 0, ARG_REAL, "E", "train", AT(train.epsilon), "default 1e-8"},
    {"max-grad-norm", 0, ARG_REAL, "N", "train", AT(train.max_grad_norm),
     "longer gradients are cut to N; 0: never (default 1)"},
    {"layer-lr-decay", 0, ARG_REAL, "F", "train", AT(train.layer_decay),
     "each layer below the last learns F times as fast as the one above it (default 1)"},
    {"dropout", 0, ARG_REAL, "P", "train", AT(train.dropout),
     "of every dropout of the model (default: as its config says)"},
    {"freeze", 0, ARG_LIST, "PATTERN", "train", AT(train.freeze),
     "tensors that stay as they are, such as \"embeddings.*\" (repeatable)"},
    {"seed", 0, ARG_WHOLE, "N", "train", AT(train.seed),
     "of order, dropout, masks and new weights (default 42)"},
    {"no-shuffle", 0, ARG_FLAG, NULL, "train", AT(train.no_shuffle),
     "rows in the order of the files"},
    {"logging-steps", 0, ARG_COUNT, "N", "train", AT(train.logging_steps),
     "a line in metrics.jsonl every N updates (default 1)"},
    {"eval-steps", 0, ARG_COUNT, "N", "train", AT(train.eval_steps),
     "score on --eval-data every N updates (default: at the end)"},
    {"save-steps", 0, ARG_COUNT, "N", "train", AT(train.save_steps),
     "a checkpoint every N updates (default 500)"},
    {"save-total-limit", 0, ARG_COUNT, "N", "train", AT(train.save_total_limit),
     "checkpoints that are kept (default 2)"},
    {"load-best", 0, ARG_FLAG, NULL, "train", AT(train.load_best),
     "end with the model of the best evaluation"},
    {"early-stopping", 0, ARG_COUNT, "N", "train", AT(train.early_stopping),
     "stop after N evaluations without a better one"},
    {"plot", 0, ARG_TEXT, "FILE.svg", "train", AT(train.plot),
     "draw the curves of loss and evaluations"},
    {"vocab-size", 0, ARG_COUNT, "N", "train", AT(train.vocab_size),
     "tokenizer: tokens of the vocabulary (default 30000)"},
    {"min-frequency", 0, ARG_COUNT, "N", "train", AT(train.min_frequency),
     "tokenizer: how often a pair of pieces must occur to be joined (default 2)"},
    {"lowercase", 0, ARG_FLAG, NULL, "train", AT(train.lowercase),
     "tokenizer: upper and lower case are one, accents are dropped"},

    {"name", 0, ARG_TEXT, "NAME", "model", AT(name),
     "add: the name to register (default: the folder's)"},
    {"pooling", 0, ARG_TEXT, "MODE", "embed similarity model index eval train", AT(pooling),
     "for a folder without modules.json: mean (default), cls, max, mean_sqrt_len, weightedmean, "
     "lasttoken"},
    {"role", 0, ARG_CHOICE, "query|passage", "embed", AT(role),
     "prepend the model's prompt for questions or for passages"},
    {"format", 0, ARG_CHOICE, "jsonl|npy", "embed", AT(format),
     "jsonl (default), or npy: one float32 array [n, dim], needs --output"},
    {"output", 'o', ARG_TEXT, "FILE", "embed", AT(output),
     "write there instead of standard output"},
    {"input", 0, ARG_CHOICE, "text|jsonl", "embed predict", AT(input),
     "text: one text a line; jsonl: {\"text\": ...} a line; default: text, and for `predict` what "
     "begins with { is JSON"},
    {"normalize", 0, ARG_FLAG, NULL, "embed", AT(normalize),
     "unit vectors, whatever the model says"},
    {"no-normalize", 0, ARG_FLAG, NULL, "embed", AT(no_normalize),
     "vectors as pooled, whatever the model says"},
    {"max-length", 0, ARG_COUNT, "N", "tokenize attention train", AT(max_length),
     "cut to N tokens, special ones counted"},
    {"no-special", 0, ARG_FLAG, NULL, "tokenize", AT(no_special), "leave out [CLS] and [SEP]"},
    {"pair", 0, ARG_FLAG, NULL, "tokenize predict", AT(pair),
     "each line is two texts with a TAB between"},
    {"html", 0, ARG_TEXT, "FILE", "attention", AT(html), "draw a page, complete in one file"},
    {"layer", 0, ARG_COUNT, "N", "attention", AT(layer), "only that layer, the first is 1"},
    {"head", 0, ARG_COUNT, "N", "attention", AT(head), "only that head of each layer"},
    {"text-pair", 0, ARG_TEXT, "TEXT", "attention", AT(text_pair), "a second text, as a pair"},
    {"task", 0, ARG_CHOICE,
     "text-classification|token-classification|question-answering|fill-mask|next-sentence",
     "predict", AT(task), "which head, where the model has more than one"},
    {"top", 0, ARG_COUNT, "N", "predict", AT(top), "fill-mask: words for each mask (default 5)"},
    {"max-answer-length", 0, ARG_COUNT, "N", "predict", AT(max_answer_length),
     "question-answering: at most N tokens (default 30)"},
    {"null-threshold", 0, ARG_SIGNED, "X", "predict", AT(null_threshold),
     "question-answering: no answer when null_score - score is above X (default 0)"},

    {"index", 0, ARG_TEXT, "DIR", "*", AT(index),
     "the index folder (default: the nearest .semsearch upward from here)"},
    {"precision", 0, ARG_CHOICE, "fp32|bf16|int8|auto",
     "index query similar eval embed similarity bench train predict", AT(precision),
     "numbers of the encoder's products; auto: the fastest that this CPU has and the model does "
     "well in (default of index, query and similar; else fp32)"},
    {"threads", 0, ARG_COUNT, "N", "*", AT(threads),
     "worker threads (default: the cores this process may use; query and similar: 1)"},
    {"json", 0, ARG_FLAG, NULL, "*", AT(json), "one JSON document on standard output"},
    {"jsonl", 0, ARG_FLAG, NULL, "*", AT(jsonl), "one JSON object a line"},
    {"quiet", 'q', ARG_FLAG, NULL, "*", AT(quiet), "no progress and no notes"},
    {"color", 0, ARG_CHOICE, "auto|always|never", "*", AT(color), "colours (NO_COLOR is honoured)"},
    {"help", 'h', ARG_FLAG, NULL, "*", AT(help), "this text"},
};

const size_t n_options = ARRAY_LEN(options);

const struct command commands[] = {
    {"index", "[OPTIONS] [DIR...]", "index what changed below DIR (default: this folder)",
     "Walks DIR, takes in what is new or changed, and leaves out what .gitignore and its kin "
     "name.\n"
     "The first run creates DIR/.semsearch; later runs only look at files whose time or size\n"
     "changed. Every file ends as indexed, skipped or failed, with a reason (see `semsearch\n"
     "files`). Exit 3: done, some files failed.",
     "semsearch index ~/notes\n  semsearch index --exclude '*.log' --time-limit 60 .", cmd_index},
    {"query", "[OPTIONS] TEXT...", "find passages by meaning and by words",
     "Each TEXT is one question; `-` reads one a line from standard input. \"Quoted words\" must "
     "occur as a\n"
     "phrase, -word must not occur. Results fall by score, one 0 to 1 scale in every mode; those "
     "that look\n"
     "unrelated are dimmed. Exit 1: nothing found.",
     "semsearch query \"why did the deploy fail\"\n  semsearch query -k 3 --kind pdf --since "
     "2026-01-01 "
     "--json \"notice period\"",
     cmd_query},
    {"similar", "[OPTIONS] PATH[:LINE]", "find passages like a file, or like the passage at a line",
     "The file itself (or that passage) is left out of the answer. Options as `query`.",
     "semsearch similar notes/retro.md:40", cmd_similar},
    {"show", "[OPTIONS] ID|PATH[:FROM-TO]", "print an indexed passage or document",
     "ID is a doc_id or chunk_id of `query --json`. Lines are of the indexed text.",
     "semsearch show notes/retro.md:10-20", cmd_show},
    {"status", "[OPTIONS]", "what the index holds, its model, its size",
     "With --check the disk is looked at too.", "semsearch status --check", cmd_status},
    {"files", "[OPTIONS]", "every file seen, with its state",
     "States: indexed, skipped (with a reason), failed "
     "(with a reason).",
     "semsearch files --failed", cmd_files},
    {"why", "[OPTIONS] PATH", "why a file is or is not indexed: the rule, its file and line", NULL,
     "semsearch why build/out.txt", cmd_why},
    {"rm", "[OPTIONS] PATH...", "take files out of the index (not from disk)",
     "A folder takes all below it. It lasts until the next `index`; to leave files out for good,\n"
     "name them in .semsearchignore.",
     "semsearch rm drafts/", cmd_rm},
    {"verify", "[OPTIONS]", "check the whole index; --repair rebuilds what is derived",
     "Reads everything and recomputes every checksum: store, texts, passages, vectors, caches.\n"
     "Exit 2: there are problems.",
     "semsearch verify --repair", cmd_verify},
    {"eval", "[OPTIONS] TASK --data PATH",
     "score search, or what a model learned, on labelled data",
     "TASK is one of\n"
     "  search                a folder in BEIR layout, indexed to a scratch index, all modes; "
     "with\n"
     "                        --index the model and the query adapter (`tune`) of that index\n"
     "  sentence-similarity   Spearman and Pearson of the cosine; nDCG of pairs that belong "
     "together\n"
     "  text-classification   accuracy, macro-F1, MCC, F1 of two classes; a score: correlations\n"
     "  token-classification  precision, recall and F1 of entities, as conlleval and seqeval\n"
     "  question-answering    exact match and F1, as SQuAD's script\n"
     "  fill-mask             loss, perplexity and accuracy of hidden words\n"
     "  pretraining           the same, and of next sentences",
     "semsearch eval search --data scifact --json\n  semsearch eval search --data judged --index "
     "~/notes/.semsearch\n  semsearch eval text-classification --model "
     "./sentiment --data dev.tsv",
     cmd_eval},
    {"train", "[OPTIONS] TASK --data FILE --out DIR", "teach a model on your own data",
     "TASK is one of\n"
     "  sentence-similarity   anchor, positive[, negative]; or sentence1, sentence2, score; or\n"
     "                        sentence1, sentence2, label (0 or 1): vectors for search\n"
     "  text-classification   text, label; or sentence1, sentence2, label; labels such as 3.5:\n"
     "                        regression\n"
     "  token-classification  one word and its tag a line, an empty line after each sentence\n"
     "  question-answering    SQuAD 1.1 or 2.0\n"
     "  fill-mask             plain text, an empty line between documents\n"
     "  pretraining           the same, one sentence a line\n"
     "  tokenizer             plain text: a WordPiece vocabulary\n"
     "Tables are TSV (no quoting), CSV or JSONL; --columns maps other names. With --eval-data the\n"
     "model is scored on held-out rows, for sentence-similarity before and after. A run that is\n"
     "interrupted goes on with --resume, bit for bit.",
     "semsearch train sentence-similarity --data pairs.tsv --eval-data heldout.tsv --out better\n"
     "  semsearch train text-classification --data mails.csv --columns text=body --base bert --out "
     "mails\n"
     "  semsearch train tokenizer --data notes.txt --vocab-size 8000 --lowercase --out words\n"
     "  semsearch train pretraining --data notes.txt --init random --config config.json "
     "--tokenizer words --out tiny",
     cmd_train},
    {"tune", "[OPTIONS] [DIR]", "better search from the folder's own documents, without labels",
     "Makes questions and answers from titles, headings, links, first sentences and docstrings of\n"
     "the indexed documents, holds a fifth of the documents out, and learns a map of questions "
     "over\n"
     "the vectors that are there. The held-out questions are asked before and after; search "
     "changes\n"
     "only when it is better beyond what chance explains.",
     "semsearch tune ~/notes\n  semsearch tune --full ~/notes\n  semsearch tune --dry-run --pairs "
     "pairs.tsv ~/notes",
     cmd_tune},
    {"model", "add DIR | list | show [NAME|DIR] | remove NAME | default NAME",
     "the models this program knows",
     "A model stays in its folder; the registry keeps its name and place. The first one added is\n"
     "the default until `model default` chooses; of models put into the data folder by hand, the\n"
     "first by name.",
     "semsearch model add ~/models/bge-small-en-v1.5 --name bge", cmd_model},
    {"tokenize", "[OPTIONS] [FILE|-]", "texts to token ids, one JSON line a text line", NULL,
     "echo 'hello world' | semsearch tokenize", cmd_tokenize},
    {"embed", "[OPTIONS] [FILE|-]", "texts to vectors, one JSON line a text line",
     "An empty line is an empty text and keeps its place. A text over the model's window is cut to "
     "it.",
     "semsearch embed --role query questions.txt\n  semsearch embed --format npy -o vectors.npy "
     "texts.txt",
     cmd_embed},
    {"predict", "[OPTIONS] [FILE|-]", "what a model's head says: classes, entities, answers, words",
     "One JSON line for each line. A line is a text, or a JSON object: {\"text\"} or {\"text\",\n"
     "\"text_pair\"} for text-classification, {\"text\"} or {\"tokens\": [...]} for\n"
     "token-classification, {\"question\", \"context\"} for question-answering, {\"text\"} with "
     "masks\n"
     "for fill-mask, {\"text\", \"text_pair\"} for next-sentence (plain: two texts with a TAB "
     "between).\n"
     "Positions are bytes of the text. A bad line ends the run with its number (exit 2) when all\n"
     "lines before it are answered.",
     "echo 'it works well' | semsearch predict --model ./sentiment\n  echo 'Paris is the [MASK] of "
     "France.' | semsearch predict --model ./mlm --top 3",
     cmd_predict},
    {"similarity", "[OPTIONS] [FILE|-]", "two tab-separated texts a line in, one cosine a line out",
     NULL, "printf 'a cat\\ta kitten\\n' | semsearch similarity", cmd_similarity},
    {"attention", "[OPTIONS] TEXT...", "what each token of a text looks at, per layer and head",
     "JSON: tokens, their offsets in bytes, and layers[].heads[] as matrices whose rows (the token "
     "that looks)\n"
     "add up to 1. --html draws them as a page, beside the same scores under a causal mask; then "
     "the JSON\n"
     "comes only with --json.",
     "semsearch attention \"the bank of the river\" --html attention.html\n  semsearch attention "
     "--layer 3 --head 5 \"the bank of the river\"",
     cmd_attention},
    {"doctor", "[OPTIONS]", "what this machine has, what is missing and how to get it", NULL,
     "semsearch doctor", cmd_doctor},
    {"version", "[OPTIONS]", "version, build, and the arithmetic chosen for this CPU", NULL,
     "semsearch version --json", cmd_version},
    {"bench", "[OPTIONS]", "encoder speed and query latency on this machine",
     "Every precision that this CPU has, on one thread and on all, beside its peak measured in the "
     "same run;\nquestions go to the current index, where there is one.",
     "semsearch bench --json", cmd_bench},
    {"completions", "bash|zsh|fish|man",
     "shell completions (or the manual page) on standard output", NULL,
     "semsearch completions bash > ~/.local/share/bash-completion/completions/semsearch",
     cmd_completions},
    {"help", "[COMMAND]", "help on a command", NULL, "semsearch help query", cmd_help},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
