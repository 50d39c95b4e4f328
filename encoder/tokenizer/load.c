/* load.c - a tokenizer from the files of a model folder.
 *
 * tokenizer.json is read when it is there, else vocab.txt. tokenizer_config.json and
 * special_tokens_map.json beside them give the names of special tokens and, as in transformers'
 * BertTokenizerFast, do_lower_case, strip_accents and tokenize_chinese_chars where they say them
 * outright: these override BertNormalizer's own fields. A component of a type that is not known
 * here is refused by its name, because skipping it would silently give other ids.
 */
#include "encoder/tokenizer/internal.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_JSON = 256 << 20, MAX_CONFIG = 16 << 20, MAX_VOCAB = 64 << 20 };

struct loader {
    const char *name; /* of the file that is being read */
    struct token_spec spec;
    struct token_list list;
    uint8_t *unmatched;    /* [list.n]: 1 for ids that only an added special token has */
    bool fixed_normalizer; /* the configuration must not override it */
    struct err *err;
};

static int refuse(const struct loader *l, const char *what, const json_value *type)
{
    const struct span t = js_string(type, "(no type)");
    err_kind_set(l->err, ERR_FORMAT, "'%s' uses the %s '%.*s', which is not supported", l->name,
                 what, (int)(t.n < 80 ? t.n : 80), t.p);
    return err_hint(l->err, "models with a BERT WordPiece tokenizer can be used");
}

static int malformed(const struct loader *l, const char *what)
{
    return err_kind_set(l->err, ERR_FORMAT, "'%s': %s", l->name, what);
}

static bool is_type(const json_value *v, const char *type)
{
    return span_eq(js_string(js_get(v, "type"), ""), type);
}

/* The id of a text, -1 if there is none. The last one counts, as when a map is filled in order. */
static int32_t id_of(const struct loader *l, struct span token)
{
    for (size_t id = token.n ? l->list.n : 0; id-- > 0;) {
        const struct span t = l->list.token[id];
        if (t.n == token.n && t.p[0] == token.p[0] && memcmp(t.p, token.p, t.n) == 0)
            return (int32_t)id;
    }
    return -1;
}

/* ---- normalizer ---- */

static int read_bert_normalizer(struct loader *l, const json_value *v)
{
    struct token_spec *s = &l->spec;
    s->clean = js_bool(js_get(v, "clean_text"), true);
    s->cjk = js_bool(js_get(v, "handle_chinese_chars"), true);
    s->lower = js_bool(js_get(v, "lowercase"), true);
    const bool strip = js_bool(js_get(v, "strip_accents"), s->lower);
    s->nfd = strip;
    s->strip = strip ? STRIP_NONSPACING : STRIP_NONE;
    return 0;
}

/* One step of a Sequence. segment.c has one order (clean, Chinese, NFD, strip, lower-case); a
 * sequence that says another one is refused. */
static int read_step(struct loader *l, const json_value *v)
{
    struct token_spec *s = &l->spec;
    if (is_type(v, "BertNormalizer") && !s->nfd && !s->strip && !s->lower)
        return read_bert_normalizer(l, v);
    if (is_type(v, "NFD") && !s->strip && !s->lower) {
        s->nfd = 1;
        return 0;
    }
    if (is_type(v, "StripAccents") && !s->strip && !s->lower) {
        s->strip = STRIP_ALL;
        return 0;
    }
    if (is_type(v, "Lowercase")) {
        s->lower = 1;
        return 0;
    }
    const bool known =
        is_type(v, "BertNormalizer") || is_type(v, "NFD") || is_type(v, "StripAccents");
    return known ? malformed(l, "normalizers in this order are not supported")
                 : refuse(l, "normalizer", js_get(v, "type"));
}

static int read_normalizer(struct loader *l, const json_value *v)
{
    l->fixed_normalizer = !is_type(v, "BertNormalizer");
    if (!v)
        return 0;
    if (!is_type(v, "Sequence"))
        return read_step(l, v);
    const json_value *part = js_get(v, "normalizers");
    if (!js_is_array(part))
        return malformed(l, "normalizer Sequence without a list of normalizers");
    for (size_t i = 0; i < js_count(part); i++)
        if (read_step(l, js_at(part, i)) != 0)
            return -1;
    return 0;
}

/* ---- pre-tokenizer and model ---- */

static int read_pre_tokenizer(struct loader *l, const json_value *v)
{
    if (is_type(v, "BertPreTokenizer"))
        return 0;
    const json_value *part = is_type(v, "Sequence") ? js_get(v, "pretokenizers") : NULL;
    if (js_count(part) == 1 && is_type(js_at(part, 0), "BertPreTokenizer"))
        return 0;
    if (!v)
        return malformed(l, "a tokenizer without a pre_tokenizer is not supported");
    return refuse(l, "pre_tokenizer", js_get(js_count(part) ? js_at(part, 0) : v, "type"));
}

static int set_prefix(struct loader *l, struct span prefix)
{
    if (prefix.n >= MAX_PREFIX)
        return malformed(l, "continuing_subword_prefix is too long");
    if (prefix.n)
        memcpy(l->spec.prefix, prefix.p, prefix.n);
    l->spec.n_prefix = (uint32_t)prefix.n;
    return 0;
}

static int set_unk(struct loader *l, struct span unk)
{
    const int32_t id = id_of(l, unk);
    if (id < 0) {
        err_kind_set(l->err, ERR_FORMAT, "'%s': the vocabulary has no unknown token '%.*s'",
                     l->name, (int)(unk.n < 80 ? unk.n : 80), unk.p);
        return -1;
    }
    l->spec.unk = (uint32_t)id;
    return 0;
}

static int read_model(struct loader *l, const json_value *v)
{
    /* Files of the library's first years leave the type out: a prefix tells WordPiece. */
    const bool wordpiece =
        is_type(v, "WordPiece") || (!js_get(v, "type") && js_get(v, "continuing_subword_prefix"));
    if (!wordpiece)
        return js_is_object(v) ? refuse(l, "model", js_get(v, "type"))
                               : malformed(l, "there is no model");
    if (!l->list.n_entries)
        return malformed(l, "the vocabulary is empty");
    const int64_t max_chars = js_int(js_get(v, "max_input_chars_per_word"), 100);
    if (max_chars < 0 || max_chars > MAX_WORD_CHARS)
        return err_kind_set(l->err, ERR_FORMAT,
                            "'%s': max_input_chars_per_word is %lld; 0 to %d are supported",
                            l->name, (long long)max_chars, MAX_WORD_CHARS);
    l->spec.max_chars = (uint32_t)max_chars;
    if (set_prefix(l, js_string(js_get(v, "continuing_subword_prefix"), "##")) != 0)
        return -1;
    return set_unk(l, js_string(js_get(v, "unk_token"), "[UNK]"));
}

/* ---- added tokens ---- */

/* Special ones only need an id and a text: inside documents they are plain text. Others would be
 * matched in documents before the pipeline, which this reader does not do. */
static int check_added(struct loader *l, const json_value *v)
{
    const struct span text = js_string(js_get(v, "content"), "");
    const int64_t id = js_int(js_get(v, "id"), -1);
    if (!text.n || id < 0 || id >= MAX_IDS)
        return malformed(l, "an added token without content or with an id out of range");
    if (!js_bool(js_get(v, "special"), false)) {
        err_kind_set(l->err, ERR_FORMAT,
                     "'%s' adds the ordinary token '%.*s', which is not supported", l->name,
                     (int)(text.n < 80 ? text.n : 80), text.p);
        return err_hint(l->err, "only special tokens can be added to a WordPiece vocabulary");
    }
    if ((size_t)id < l->list.n && l->list.token[id].n && !span_equal(l->list.token[id], text))
        return malformed(l, "an added token has the id of another token");
    return 0;
}

static int read_added(struct loader *l, const json_value *added)
{
    size_t n_ids = l->list.n;
    for (size_t i = 0; i < js_count(added); i++) {
        const json_value *v = js_at(added, i);
        if (check_added(l, v) != 0)
            return -1;
        const size_t id = (size_t)js_int(js_get(v, "id"), 0);
        n_ids = id >= n_ids ? id + 1 : n_ids;
    }
    void *mark;
    if (mem_try(&mark, n_ids + 1, "vocabulary", l->err) != 0)
        return -1;
    l->unmatched = mark;
    memset(l->unmatched, 0, n_ids);
    for (size_t i = 0; i < js_count(added); i++) {
        const json_value *v = js_at(added, i);
        const struct span text = js_string(js_get(v, "content"), "");
        const size_t id = (size_t)js_int(js_get(v, "id"), 0);
        if (id < l->list.n && l->list.token[id].n)
            continue;
        char *copy = arena_strndup(&l->list.text, text.p, text.n);
        if (token_list_set(&l->list, (int64_t)id, (struct span){copy, text.n}, l->name, l->err))
            return -1;
        l->unmatched[id] = 1;
    }
    return 0;
}

/* ---- template ---- */

static int add_item(struct loader *l, struct template *p, int64_t id, int64_t type)
{
    if (p->n == MAX_TEMPLATE)
        return malformed(l, "the template is too long");
    if (type < 0 || type > 1 || (id >= 0 && (size_t)id >= l->list.n))
        return malformed(l, "the template names a token id or type id out of range");
    p->item[p->n++] = (struct template_item){(int32_t)id, (int32_t)type};
    return 0;
}

/* "$A" in the shape of the file: {"Sequence": {"id": "A", "type_id": 0}}. */
static int read_item(struct loader *l, const json_value *special, const json_value *v,
                     struct template *p)
{
    const json_value *text = js_get(v, "Sequence"), *token = js_get(v, "SpecialToken");
    if (text) {
        const struct span which = js_string(js_get(text, "id"), "");
        const bool a = span_eq(which, "A");
        if (!a && !span_eq(which, "B"))
            return malformed(l, "the template has a sequence that is neither A nor B");
        return add_item(l, p, a ? ITEM_A : ITEM_B, js_int(js_get(text, "type_id"), 0));
    }
    const struct span name = js_string(js_get(token, "id"), "");
    char *key = xstrndup(name.p, name.n);
    const json_value *ids = js_get(js_get(special, key), "ids");
    free(key);
    if (!js_is_array(ids) || !js_count(ids))
        return malformed(l, "the template names a special token that it does not define");
    for (size_t i = 0; i < js_count(ids); i++) {
        const int64_t id = js_int(js_at(ids, i), -1);
        if (id < 0)
            return malformed(l, "the template has a special token without an id");
        if (add_item(l, p, id, js_int(js_get(token, "type_id"), 0)) != 0)
            return -1;
    }
    return 0;
}

/* Each text once, a before b: what template.c can lay out. */
static int check_template(struct loader *l, const struct template *p, bool pair)
{
    int n_a = 0, n_b = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        n_a += p->item[i].id == ITEM_A;
        n_b += p->item[i].id == ITEM_B;
        if (p->item[i].id == ITEM_B && !n_a)
            return malformed(l, "a template with B before A is not supported");
    }
    return n_a == 1 && n_b == pair ? 0 : malformed(l, "a template must have every text once");
}

static int read_template(struct loader *l, const json_value *v)
{
    static const char *const key[2] = {"single", "pair"};
    struct template *const p[2] = {&l->spec.single, &l->spec.pair};
    const json_value *special = js_get(v, "special_tokens");
    for (int pair = 0; pair < 2; pair++) {
        const json_value *item = js_get(v, key[pair]);
        for (size_t i = 0; i < js_count(item); i++)
            if (read_item(l, special, js_at(item, i), p[pair]) != 0)
                return -1;
        if (check_template(l, p[pair], pair) != 0)
            return -1;
    }
    return 0;
}

/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP]; a negative id leaves the token out. */
static int bert_template(struct loader *l, int64_t cls, int64_t sep)
{
    const int64_t id[5] = {cls, ITEM_A, sep, ITEM_B, sep};
    for (int i = 0; i < 5; i++) {
        const bool text = i == 1 || i == 3;
        if (!text && id[i] < 0)
            continue;
        if (i < 3 && add_item(l, &l->spec.single, id[i], 0) != 0)
            return -1;
        if (add_item(l, &l->spec.pair, id[i], i >= 3) != 0)
            return -1;
    }
    return 0;
}

static int read_post_processor(struct loader *l, const json_value *v)
{
    if (!v)
        return bert_template(l, -1, -1);
    if (is_type(v, "TemplateProcessing"))
        return read_template(l, v);
    if (!is_type(v, "BertProcessing"))
        return refuse(l, "post_processor", js_get(v, "type"));
    const int64_t cls = js_int(js_at(js_get(v, "cls"), 1), -1);
    const int64_t sep = js_int(js_at(js_get(v, "sep"), 1), -1);
    if (cls < 0 || sep < 0)
        return malformed(l, "BertProcessing without cls and sep");
    return bert_template(l, cls, sep);
}

/* ---- the configuration beside the vocabulary ---- */

static const char *const special_key[5] = {"pad_token", "unk_token", "cls_token", "sep_token",
                                           "mask_token"};
static const char *const special_default[5] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

/* "cls_token" is a string or an added token's object. */
static struct span special_name(const json_value *config, const json_value *map, int which)
{
    const json_value *const from[2] = {config, map};
    for (int i = 0; i < 2; i++) {
        const json_value *v = js_get(from[i], special_key[which]);
        if (js_is_object(v))
            v = js_get(v, "content");
        if (js_is_string(v))
            return js_string(v, "");
    }
    return span_of(special_default[which]);
}

static void apply_config(struct loader *l, const json_value *config, const json_value *map)
{
    struct token_spec *s = &l->spec;
    for (int i = 0; i < 5; i++)
        s->special[i] = id_of(l, special_name(config, map, i));
    s->special[TOKEN_UNK] = (int32_t)s->unk;
    const double window = js_number(js_get(config, "model_max_length"), 0);
    s->model_max_length = window >= 1 && window <= 1e8 ? (int32_t)window : 0;
    const struct span side = js_string(js_get(config, "truncation_side"), "");
    if (side.n)
        s->cut_left = span_eq(side, "left");
    if (l->fixed_normalizer ||
        span_eq(js_string(js_get(config, "tokenizer_class"), ""), "PreTrainedTokenizerFast"))
        return;
    const bool was_lower = s->lower, was_strip = s->strip != STRIP_NONE;
    s->lower = js_bool(js_get(config, "do_lower_case"), s->lower);
    s->cjk = js_bool(js_get(config, "tokenize_chinese_chars"), s->cjk);
    const bool follows = was_strip == was_lower; /* strip_accents unset: as lower-casing */
    const bool strip = js_bool(js_get(config, "strip_accents"), follows ? s->lower : was_strip);
    s->nfd = strip;
    s->strip = strip ? STRIP_NONSPACING : STRIP_NONE;
}

/* ---- the two forms ---- */

static int read_tokenizer_json(struct loader *l, struct span text, const json_value *config,
                               const json_value *map, struct tokenizer **out)
{
    struct str rest = {0};
    json_value *v = NULL;
    int rc = -1;
    if (vocab_json_read(text, l->name, &l->list, &rest, l->err) != 0)
        goto out;
    v = js_parse(str_view(&rest), l->name, l->err);
    if (!v || read_model(l, js_get(v, "model")) != 0 ||
        read_added(l, js_get(v, "added_tokens")) != 0 ||
        read_normalizer(l, js_get(v, "normalizer")) != 0 ||
        read_pre_tokenizer(l, js_get(v, "pre_tokenizer")) != 0 ||
        read_post_processor(l, js_get(v, "post_processor")) != 0)
        goto out;
    l->spec.cut_left = span_eq(js_string(js_get(js_get(v, "truncation"), "direction"), ""), "Left");
    apply_config(l, config, map);
    rc = blob_build(&l->spec, l->list.token, (uint32_t)l->list.n, l->unmatched, false, l->name, out,
                    l->err);
out:
    js_free(v);
    str_release(&rest);
    return rc;
}

/* One token a line, its number the id. As in transformers, only the line's end (LF or CR LF) does
 * not belong to the token. */
static int read_lines(struct loader *l, struct span text)
{
    struct span line;
    for (int64_t id = 0; span_split(&text, '\n', &line); id++) {
        if (!line.n && !text.p)
            break; /* behind the last line's end */
        if (!utf8_valid(line))
            return err_kind_set(l->err, ERR_FORMAT, "'%s', line %lld: not UTF-8", l->name,
                                (long long)id + 1);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (token_list_set(&l->list, id, line, l->name, l->err) != 0)
            return -1;
    }
    return l->list.n ? 0 : malformed(l, "the vocabulary is empty");
}

static int read_vocab_txt(struct loader *l, struct span text, const json_value *config,
                          const json_value *map, struct tokenizer **out)
{
    l->spec.clean = l->spec.cjk = l->spec.lower = l->spec.nfd = 1;
    l->spec.strip = STRIP_NONSPACING;
    l->spec.max_chars = 100;
    if (read_lines(l, text) != 0 || set_prefix(l, span_of("##")) != 0 ||
        set_unk(l, special_name(config, map, TOKEN_UNK)) != 0)
        return -1;
    apply_config(l, config, map);
    if (l->spec.special[TOKEN_CLS] < 0 || l->spec.special[TOKEN_SEP] < 0)
        return malformed(l, "the vocabulary has no [CLS] or no [SEP]");
    if (bert_template(l, l->spec.special[TOKEN_CLS], l->spec.special[TOKEN_SEP]) != 0)
        return -1;
    return blob_build(&l->spec, l->list.token, (uint32_t)l->list.n, NULL, true, l->name, out,
                      l->err);
}

static void loader_release(struct loader *l)
{
    token_list_release(&l->list);
    free(l->unmatched);
}

int tokenizer_from_json(struct span json, const char *name, struct tokenizer **out, struct err *err)
{
    struct loader l = {.name = name, .err = err};
    const int rc = read_tokenizer_json(&l, json, NULL, NULL, out);
    loader_release(&l);
    return rc;
}

/* A JSON file that may be absent. */
static int read_optional(const char *dir, const char *file, json_value **out, struct err *err)
{
    char *path = path_join(dir, file);
    *out = NULL;
    if (file_exists(path))
        *out = js_read_file(path, MAX_CONFIG, err);
    const int rc = *out || !file_exists(path) ? 0 : -1;
    free(path);
    return rc;
}

static int open_file(const char *path, bool json, const json_value *config, const json_value *map,
                     struct tokenizer **out, struct err *err)
{
    struct loader l = {.name = path, .err = err};
    struct map file = {0};
    int rc = map_open(&file, path, err);
    if (rc == 0 && file.n > (size_t)(json ? MAX_JSON : MAX_VOCAB))
        rc = err_kind_set(err, ERR_LIMIT, "'%s' is too large for a vocabulary", path);
    const struct span text = {file.p ? (const char *)file.p : "", file.n};
    if (rc == 0)
        rc = (json ? read_tokenizer_json : read_vocab_txt)(&l, text, config, map, out);
    loader_release(&l);
    map_close(&file);
    return rc;
}

int tokenizer_open(const char *dir, struct tokenizer **out, struct err *err)
{
    int rc = -1;
    json_value *config = NULL, *map = NULL;
    char *json = path_join(dir, "tokenizer.json"), *txt = path_join(dir, "vocab.txt");
    if (read_optional(dir, "tokenizer_config.json", &config, err) != 0 ||
        read_optional(dir, "special_tokens_map.json", &map, err) != 0)
        goto out;
    const bool has_json = file_exists(json);
    if (!has_json && !file_exists(txt)) {
        err_kind_set(err, ERR_NOT_FOUND, "'%s' has neither tokenizer.json nor vocab.txt", dir);
        err_hint(err, "give a model folder in Hugging Face layout");
        goto out;
    }
    rc = open_file(has_json ? json : txt, has_json, config, map, out, err);
out:
    js_free(config);
    js_free(map);
    free(json);
    free(txt);
    return rc;
}
