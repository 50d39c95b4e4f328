/* unpack.c - see unpack.h. */
#include "index/extract/unpack.h"

#include "src/base/mem.h"
#include "src/base/unicode.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

void members_release(struct members *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->item[i].name);
        str_release(&m->item[i].bytes);
    }
    free(m->item);
    *m = (struct members){0};
}

struct str *members_find(const struct members *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->item[i].loaded && strcmp(m->item[i].name, name) == 0)
            return &m->item[i].bytes;
    return NULL;
}

struct span members_span(const struct members *m, const char *name)
{
    const struct str *s = members_find(m, name);
    return s ? str_view(s) : (struct span){0};
}

bool members_have(const struct members *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->item[i].name, name) == 0)
            return true;
    return false;
}

/* Filters that libarchive decodes itself; its others would start programs. */
static void support_filters(struct archive *a)
{
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_lzma(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_lz4(a);
    archive_read_support_filter_compress(a);
}

/* Appends the current member's data. */
static bool read_data(struct archive *a, struct budget *budget, struct str *out,
                      struct extract_result *r)
{
    static char buf[1 << 16];
    for (;;) {
        const la_ssize_t n = archive_read_data(a, buf, sizeof buf);
        if (n == 0)
            return true;
        if (n < 0) {
            const char *why = archive_error_string(a);
            if (why && (strstr(why, "ncrypt") || strstr(why, "assphrase")))
                result_fail(r, "remove the password", "password-protected");
            else
                result_fail(r, NULL, "broken or cut short");
            return false;
        }
        if (!budget_expand(budget, (size_t)n, r))
            return false;
        str_add(out, buf, (size_t)n);
    }
}

static char *member_name(struct archive_entry *e)
{
    const char *name = archive_entry_pathname_utf8(e);
    struct str clean = {0};
    if (!name)
        name = archive_entry_pathname(e);
    utf8_sanitize(span_of(name), &clean);
    char *owned = str_take(&clean);
    return owned;
}

static bool add_member(struct archive *a, struct archive_entry *e, bool (*want)(const char *),
                       struct budget *budget, struct members *out, struct extract_result *r)
{
    if (out->n >= UNPACK_MAX_MEMBERS) {
        result_fail(r, NULL, "more than %d members", UNPACK_MAX_MEMBERS);
        return false;
    }
    VEC_GROW(out->item, out->n, out->cap);
    struct member *m = &out->item[out->n++];
    *m = (struct member){.name = member_name(e)};
    if (!want(m->name))
        return true;
    if (archive_entry_is_encrypted(e)) {
        out->encrypted++;
        return true;
    }
    m->loaded = true;
    return read_data(a, budget, &m->bytes, r);
}

bool unpack_archive(struct span archive, bool (*want)(const char *name), struct budget *budget,
                    struct members *out, struct extract_result *r)
{
    struct archive *a = archive_read_new();
    support_filters(a);
    archive_read_support_format_zip(a);
    archive_read_support_format_tar(a);
    archive_read_support_format_gnutar(a);
    archive_read_support_format_cpio(a);
    archive_read_support_format_7zip(a);
    bool good = archive_read_open_memory(a, archive.p, archive.n) == ARCHIVE_OK;
    while (good) {
        struct archive_entry *e;
        const int rc = archive_read_next_header(a, &e);
        if (rc == ARCHIVE_EOF)
            break;
        good = rc >= ARCHIVE_WARN;
        if (good && archive_entry_filetype(e) == AE_IFREG)
            good = add_member(a, e, want, budget, out, r);
    }
    archive_read_free(a);
    if (!good)
        result_fail(r, NULL, "broken or cut short");
    return good;
}

bool unpack_filter(struct span packed, struct budget *budget, struct str *out,
                   struct extract_result *r)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    support_filters(a);
    archive_read_support_format_raw(a);
    archive_read_support_format_empty(a);
    bool good = archive_read_open_memory(a, packed.p, packed.n) == ARCHIVE_OK;
    if (good && archive_read_next_header(a, &e) == ARCHIVE_OK)
        good = read_data(a, budget, out, r);
    archive_read_free(a);
    if (!good)
        result_fail(r, NULL, "broken or cut short");
    return good;
}
