/* wordpiece_train.c - `train tokenizer`: words of plain texts -> pieces -> the four files of a
 * tokenizer's folder, as BertTokenizerFast of transformers writes them.
 *
 * tokenizer.json states the whole pipeline (BertNormalizer, BertPreTokenizer, WordPiece, template);
 * vocab.txt has the same tokens one a line, the line number being the id.
 */
#include "encoder/train/wordpiece.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <stdlib.h>

static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
enum { PAD, UNK, CLS, SEP, MASK, N_SPECIAL };

enum { MAX_CHARS = 100 }; /* of a word that is looked up, as BERT */

void tokenizer_train_defaults(struct tokenizer_train_options *o)
{
    *o = (struct tokenizer_train_options){.vocab_size = 30000,
                                          .min_frequency = 2,
                                          .alphabet = 1000,
                                          .lowercase = true,
                                          .max_length = 512};
}

/* ---- the files ----------------------------------------------------------------------------------
 */

static void write_added(struct json_writer *w)
{
    jw_key(w, "added_tokens");
    jw_array(w);
    for (int i = 0; i < N_SPECIAL; i++) {
        jw_object(w);
        jw_kint(w, "id", i);
        jw_ktext(w, "content", special[i]);
        jw_kbool(w, "single_word", false);
        jw_kbool(w, "lstrip", false);
        jw_kbool(w, "rstrip", false);
        jw_kbool(w, "normalized", false);
        jw_kbool(w, "special", true);
        jw_end(w);
    }
    jw_end(w);
}

/* One item of a template: {"SpecialToken" or "Sequence": {"id", "type_id"}}. */
static void write_item(struct json_writer *w, const char *kind, const char *id, int type)
{
    jw_object(w);
    jw_key(w, kind);
    jw_object(w);
    jw_ktext(w, "id", id);
    jw_kint(w, "type_id", type);
    jw_end(w);
    jw_end(w);
}

static void write_template(struct json_writer *w)
{
    jw_key(w, "post_processor");
    jw_object(w);
    jw_ktext(w, "type", "TemplateProcessing");
    for (int pair = 0; pair < 2; pair++) {
        jw_key(w, pair ? "pair" : "single");
        jw_array(w);
        write_item(w, "SpecialToken", special[CLS], 0);
        write_item(w, "Sequence", "A", 0);
        write_item(w, "SpecialToken", special[SEP], 0);
        if (pair) {
            write_item(w, "Sequence", "B", 1);
            write_item(w, "SpecialToken", special[SEP], 1);
        }
        jw_end(w);
    }
    jw_key(w, "special_tokens");
    jw_object(w);
    for (int i = CLS; i <= SEP; i++) {
        jw_key(w, special[i]);
        jw_object(w);
        jw_ktext(w, "id", special[i]);
        jw_key(w, "ids");
        jw_array(w);
        jw_int(w, i);
        jw_end(w);
        jw_key(w, "tokens");
        jw_array(w);
        jw_text(w, special[i]);
        jw_end(w);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

static void write_model(struct json_writer *w, const struct piece_list *pieces)
{
    struct str key = {0};
    jw_key(w, "model");
    jw_object(w);
    jw_ktext(w, "type", "WordPiece");
    jw_ktext(w, "unk_token", special[UNK]);
    jw_ktext(w, "continuing_subword_prefix", "##");
    jw_kint(w, "max_input_chars_per_word", MAX_CHARS);
    jw_key(w, "vocab");
    jw_object(w);
    for (size_t i = 0; i < pieces->n; i++) {
        str_clear(&key);
        str_span(&key, pieces->piece[i]);
        jw_kint(w, key.p, (int64_t)i);
    }
    jw_end(w);
    jw_end(w);
    str_release(&key);
}

/* The whole of tokenizer.json. */
static void write_tokenizer(struct str *out, const struct piece_list *pieces, bool lowercase)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    jw_ktext(&w, "version", "1.0");
    jw_knull(&w, "truncation");
    jw_knull(&w, "padding");
    write_added(&w);
    jw_key(&w, "normalizer");
    jw_object(&w);
    jw_ktext(&w, "type", "BertNormalizer");
    jw_kbool(&w, "clean_text", true);
    jw_kbool(&w, "handle_chinese_chars", true);
    jw_knull(&w, "strip_accents"); /* as `lowercase` */
    jw_kbool(&w, "lowercase", lowercase);
    jw_end(&w);
    jw_key(&w, "pre_tokenizer");
    jw_object(&w);
    jw_ktext(&w, "type", "BertPreTokenizer");
    jw_end(&w);
    write_template(&w);
    jw_key(&w, "decoder");
    jw_object(&w);
    jw_ktext(&w, "type", "WordPiece");
    jw_ktext(&w, "prefix", "##");
    jw_kbool(&w, "cleanup", true);
    jw_end(&w);
    write_model(&w, pieces);
    jw_end(&w);
    str_putc(out, '\n');
}

static void write_special(struct json_writer *w)
{
    static const char *const role[] = {"pad_token", "unk_token", "cls_token", "sep_token",
                                       "mask_token"};
    for (int i = 0; i < N_SPECIAL; i++)
        jw_ktext(w, role[i], special[i]);
}

static void write_config(struct str *out, const struct tokenizer_train_options *o, bool whole)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    write_special(&w);
    if (whole) {
        jw_ktext(&w, "tokenizer_class", "BertTokenizer");
        jw_kint(&w, "model_max_length", o->max_length);
        jw_kbool(&w, "do_lower_case", o->lowercase);
        jw_kbool(&w, "tokenize_chinese_chars", true);
        jw_knull(&w, "strip_accents");
    }
    jw_end(&w);
    str_putc(out, '\n');
}

/* Writes and releases `text`. */
static int put_file(const char *dir, const char *name, struct str *text, struct err *err)
{
    struct outfile f;
    char *const path = path_join(dir, name);
    int rc = text->failed ? err_kind_set(err, ERR_LIMIT, "%s is too large", path)
                          : outfile_open(&f, path, err);
    if (rc == 0) {
        outfile_write(&f, text->p, text->n);
        rc = outfile_commit(&f, err);
    }
    free(path);
    str_release(text);
    return rc;
}

static int write_folder(const char *dir, const struct piece_list *pieces,
                        const struct tokenizer_train_options *o, struct err *err)
{
    struct str text = {0};
    if (dir_make(dir, err))
        return -1;
    for (size_t i = 0; i < pieces->n; i++) {
        str_span(&text, pieces->piece[i]);
        str_putc(&text, '\n');
    }
    if (put_file(dir, "vocab.txt", &text, err))
        return -1;
    write_config(&text, o, true);
    if (put_file(dir, "tokenizer_config.json", &text, err))
        return -1;
    write_config(&text, o, false);
    if (put_file(dir, "special_tokens_map.json", &text, err))
        return -1;
    write_tokenizer(&text, pieces, o->lowercase);
    return put_file(dir, "tokenizer.json", &text, err);
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

/* A tokenizer that only splits: its vocabulary is the special tokens. */
static int splitter(const struct piece_list *pieces, bool lowercase, struct tokenizer **out,
                    struct err *err)
{
    struct str json = {0};
    write_tokenizer(&json, pieces, lowercase);
    const int rc = tokenizer_from_json(str_view(&json), "the new tokenizer", out, err);
    str_release(&json);
    return rc;
}

static int count_files(const char *const *files, size_t n, const struct tokenizer_train_options *o,
                       const struct tokenizer *t, struct word_counts *words, struct err *err)
{
    const size_t max = o->max_memory ? (size_t)o->max_memory : (size_t)1 << 32;
    for (size_t i = 0; i < n; i++) {
        if (o->progress && o->progress->update)
            o->progress->update(o->progress->ctx, &(struct progress){.done = (int64_t)i,
                                                                     .total = (int64_t)n,
                                                                     .phase = "counting words"});
        if (word_counts_file(words, t, files[i], max, err))
            return -1;
    }
    if (words->n == 0) {
        err_kind_set(err, ERR_USAGE, "%s%s: no words to learn from", n ? files[0] : "no file",
                     n > 1 ? " and the other files" : "");
        return err_hint(err, "give plain text");
    }
    return 0;
}

int tokenizer_train(const char *const *files, size_t n, const struct tokenizer_train_options *o,
                    const char *out_dir, struct err *err)
{
    struct piece_list pieces = {0};
    struct word_counts words = {0};
    struct tokenizer *t = NULL;
    int rc = -1;
    if (o->vocab_size < 1 || o->vocab_size > 1 << 22 || o->alphabet < 1)
        return err_kind_set(err, ERR_USAGE, "a vocabulary of %d tokens: 1 to %d are possible",
                            o->vocab_size, 1 << 22);
    for (int i = 0; i < N_SPECIAL; i++)
        piece_list_add(&pieces, span_of(special[i]));
    if (splitter(&pieces, o->lowercase, &t, err) == 0 &&
        count_files(files, n, o, t, &words, err) == 0 && pieces_learn(&words, o, &pieces, err) == 0)
        rc = write_folder(out_dir, &pieces, o, err);
    tokenizer_free(t);
    word_counts_release(&words);
    piece_list_release(&pieces);
    return rc;
}
