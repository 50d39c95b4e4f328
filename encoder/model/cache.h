/* cache.h - what is derived from a model's weight files and kept in the cache folder.
 *
 * Three kinds of file under $XDG_CACHE_HOME/semsearch/models/, all written under a temporary name
 * and renamed, all only ever a saving of time: when they are missing, stale, damaged or cannot be
 * written, the work is done again.
 *   STAT.id      the content hash of the weight files, STAT being a hash of their paths, sizes,
 *                times of modification and of change, and inodes: a query need not read 90 MB to
 *                know its model
 *   STAT.tokenizer-id  the same of the files that the tokenizer may read
 *   KEY.tokenizer  the tokenizer's tables in their memory form, KEY being a hash of the contents of
 *                its files; the hash over all of it is checked at every opening
 *   KEY.packed   the image of load.h, KEY being a hash of the content, the parameter list and the
 *                layout of this CPU's kernels
 * An image is trusted after its header's hash, its size and its key match; the hash over all of it
 * is checked once, by the first process that maps it, which then marks it so; the mark does not
 * hold for a copy of the file.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_CACHE_H
#define SEMSEARCH_ENCODER_MODEL_CACHE_H

#include "encoder/model/load.h"

/* The hash of the files' contents, in order; remembered in STAT + ending. */
int cache_identity(const struct weight_list *l, const char *ending, struct hash128 *id,
                   struct err *err) WARN_UNUSED;

/* Maps the image of that key; im->place, n, floats, parameters, data and map are set. False when
 * there is none that can be used. */
bool cache_open_image(struct image *im, struct hash128 key, int n_params);
/* Writes it, as far as possible. */
void cache_write_image(const struct image *im, struct hash128 key);

/* tokenizer_open(dir), from its remembered tables when there are any; then *map holds them and must
 * be closed after the tokenizer. */
int cache_open_tokenizer(const char *dir, struct tokenizer **out, struct map *map,
                         struct err *err) WARN_UNUSED;

/* Owned: the path of KEY + ending in the cache folder; NULL when there is no such folder. */
char *cache_path(struct hash128 key, const char *ending);
bool cache_make_dir(void);

#endif
