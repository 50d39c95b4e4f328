/* update_check.c - how the disk differs from the index, for `status --check`; nothing is written.
 */
#include "index/update_parts.h"

#include "src/base/mem.h"

#include <fcntl.h>
#include <unistd.h>

struct check {
    struct known_table known;
    struct update_diff *diff;
    int root_fd;
    bool lost; /* a folder could not be read: nothing is known about what is gone */
};

/* Another stamp may still be the same content. */
static bool same_content(const struct check *c, const struct known *k, const char *path)
{
    struct hash128 h;
    const int fd = walk_open(c->root_fd, path, O_RDONLY);
    if (fd < 0)
        return false;
    const bool same = content_hash(fd, NULL, &h) == 0 && hash_equal(h, k->content);
    close(fd);
    return same;
}

static int compare(void *ctx, const struct walk_entry *e, struct err *err)
{
    (void)err;
    struct check *c = ctx;
    struct known *k = known_find(&c->known, e->path);
    const struct file_stamp stamp = stamp_of(&e->st);
    if (k)
        k->seen = true;
    if (e->state == WALK_FAILED)
        c->lost |= e->is_dir;
    else if (!k)
        c->diff->added += e->state == WALK_FILE;
    else if (e->state == WALK_SKIPPED)
        c->diff->changed += k->state == DOC_INDEXED;
    else if (!stamp_equal(&stamp, &k->stamp) && k->state != DOC_FAILED)
        c->diff->changed += !same_content(c, k, e->path);
    return 0;
}

int update_check(struct store *s, const char *root, const char *const *sub, size_t n_sub,
                 const struct walk_options *walk, struct update_diff *out, struct err *err)
{
    struct check c = {.diff = out};
    *out = (struct update_diff){0};
    c.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c.root_fd < 0)
        return err_errno(err, "cannot open the folder '%s'", root);
    int rc = known_load(&c.known, s, err);
    if (!rc && !n_sub)
        rc = walk_run(root, NULL, walk, compare, &c, err);
    for (size_t i = 0; i < n_sub && !rc; i++)
        rc = walk_run(root, sub[i], walk, compare, &c, err);
    for (size_t i = 0; i < c.known.n && !c.lost; i++)
        out->gone += !c.known.row[i].seen && !c.known.row[i].is_dir;
    known_release(&c.known);
    close(c.root_fd);
    return rc;
}
