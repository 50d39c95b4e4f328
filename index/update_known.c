/* update_known.c - a compact copy of the store's list of documents, for the reading thread: about
 * 130 bytes a file, paths as 128-bit hashes. Also the small types that both threads use. */
#include "index/update_parts.h"

#include "src/base/clock.h"
#include "src/base/mem.h"

#include <stdlib.h>
#include <string.h>

bool stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
           a->inode == b->inode;
}

struct file_stamp stamp_of(const struct stat *st)
{
    return (struct file_stamp){
        .size = st->st_size,
        .mtime_ns = time_ns(st->st_mtim.tv_sec, st->st_mtim.tv_nsec),
        .ctime_ns = time_ns(st->st_ctim.tv_sec, st->st_ctim.tv_nsec),
        .inode = (int64_t)st->st_ino,
    };
}

bool hash_is_zero(struct hash128 h)
{
    return hash_equal(h, (struct hash128){0});
}

uint32_t known_name_key(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    char low[64];
    size_t n = 0;
    for (const char *c = dot && dot > name ? dot : name; *c && n < sizeof low; c++)
        low[n++] = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    return (uint32_t)hash64(low, n);
}

static int add(void *ctx, const struct store_doc *d, struct err *err)
{
    (void)err;
    struct known_table *t = ctx;
    struct known k = {.path = hash_bytes(d->path, strlen(d->path)),
                      .content = d->content,
                      .stamp = d->stamp,
                      .id = d->id,
                      .name_key = known_name_key(d->path),
                      .version = d->extract_version,
                      .state = d->state};
    k.is_dir = d->state == DOC_FAILED && d->stamp.size < 0;
    k.usable = d->state == DOC_INDEXED && d->n_chunks > 0 && !hash_is_zero(d->content);
    k.retry = d->state == DOC_FAILED && d->reason &&
              strstr(d->reason, "needs the program") != NULL; /* perhaps it is there by now */
    VEC_GROW(t->row, t->n, t->cap);
    t->row[t->n++] = k;
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    return memcmp(x->path.b, y->path.b, sizeof x->path.b);
}

static int by_content(const void *a, const void *b)
{
    const struct known *x = *(struct known *const *)a, *y = *(struct known *const *)b;
    const int c = memcmp(x->content.b, y->content.b, sizeof x->content.b);
    return c ? c : (x->id > y->id) - (x->id < y->id);
}

int known_load(struct known_table *t, struct store *s, struct err *err)
{
    *t = (struct known_table){0};
    if (s && store_each_doc(s, add, t, err))
        return -1;
    if (!t->n)
        return 0;
    qsort(t->row, t->n, sizeof *t->row, by_path);
    t->by_content = xcalloc(t->n, sizeof(struct known *));
    for (size_t i = 0; i < t->n; i++)
        if (t->row[i].usable)
            t->by_content[t->n_content++] = &t->row[i];
    qsort(t->by_content, t->n_content, sizeof(struct known *), by_content);
    return 0;
}

void known_release(struct known_table *t)
{
    free(t->row);
    free(t->by_content);
    *t = (struct known_table){0};
}

struct known *known_find(struct known_table *t, const char *path)
{
    const struct known key = {.path = hash_bytes(path, strlen(path))};
    return t->n ? bsearch(&key, t->row, t->n, sizeof key, by_path) : NULL;
}

struct known *known_copy(struct known_table *t, struct hash128 content, uint32_t name_key)
{
    size_t low = 0, high = t->n_content;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (memcmp(t->by_content[mid]->content.b, content.b, sizeof content.b) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < t->n_content && hash_equal(t->by_content[low]->content, content); low++)
        if (t->by_content[low]->name_key == name_key && !t->by_content[low]->replaced &&
            t->by_content[low]->version == extract_version())
            return t->by_content[low];
    return NULL;
}

void item_free(struct item *it)
{
    if (!it)
        return;
    store_doc_release(&it->doc);
    str_release(&it->text);
    chunk_list_release(&it->chunks);
    free(it->hash);
    free(it->fresh);
    free(it);
}

/* ---- the gate ---- */

void gate_init(struct gate *g, size_t limit)
{
    *g = (struct gate){.limit = limit};
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->room, NULL);
}

void gate_release(struct gate *g)
{
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->room);
}

bool gate_enter(struct gate *g, size_t bytes)
{
    pthread_mutex_lock(&g->lock);
    while (!g->closed && g->used && g->used + bytes > g->limit)
        pthread_cond_wait(&g->room, &g->lock);
    const bool ok = !g->closed;
    if (ok)
        g->used += bytes;
    pthread_mutex_unlock(&g->lock);
    return ok;
}

void gate_leave(struct gate *g, size_t bytes)
{
    pthread_mutex_lock(&g->lock);
    g->used -= bytes;
    pthread_cond_signal(&g->room);
    pthread_mutex_unlock(&g->lock);
}

void gate_close(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->closed = true;
    pthread_cond_broadcast(&g->room);
    pthread_mutex_unlock(&g->lock);
}
