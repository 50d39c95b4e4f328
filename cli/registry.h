/* registry.h - the models this user's programs know: names, folders and the default, in one small
 * JSON file.
 *
 * <XDG data folder>/models.json. Folders directly below <XDG data folder>/models/ that hold a
 * config.json are known without being added (set-up puts the default model there). A model is never
 * copied. The default is the model that was chosen (`model default`, or the first one added); where
 * none was, or it was removed, the first by name whose folder is there.
 */
#ifndef SEMSEARCH_CLI_REGISTRY_H
#define SEMSEARCH_CLI_REGISTRY_H

#include "encoder/encoder.h"
#include "src/base/err.h"

struct registry_entry {
    char *name, *path;
    char *pooling; /* chosen at `model add --pooling`; NULL: as the folder says */
};
struct registry {
    struct registry_entry *item; /* by name */
    size_t n, cap;
    char *standard; /* the default model's name; NULL: none */
};

int registry_load(struct registry *r, struct err *err) WARN_UNUSED;
int registry_save(const struct registry *r, struct err *err) WARN_UNUSED; /* atomic */
void registry_release(struct registry *r);
const struct registry_entry *registry_find(const struct registry *r, const char *name);
void registry_set(struct registry *r, const char *name, const char *path,
                  const char *pooling); /* adds or replaces; pooling may be NULL */
bool registry_drop(struct registry *r, const char *name);

/* --model NAME|DIR, or the default when `model` is NULL. On success out's strings are owned by the
 * caller (registry_entry_release). */
int registry_resolve(const char *model, struct registry_entry *out, struct err *err) WARN_UNUSED;
void registry_entry_release(struct registry_entry *e);

#endif
