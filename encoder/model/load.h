/* load.h - the numbers of a model: from the weight files into one relocatable image.
 *
 * All parameters that the ops use in another form than the file's (matrices packed for this CPU's
 * gemm, half floats widened, q k v stacked) go into one block, at offsets that depend only on the
 * tape's parameter list. Large F32 tables (word embeddings, of which a text touches a few rows)
 * stay in the mapped weight file. The block is kept in the user's cache folder, so that the next
 * process maps it in well under a millisecond; see cache.h for that file.
 */
#ifndef SEMSEARCH_ENCODER_MODEL_LOAD_H
#define SEMSEARCH_ENCODER_MODEL_LOAD_H

#include "encoder/model/tensors.h"
#include "src/base/hash.h"

/* Where a parameter's numbers are. */
struct placement {
    uint64_t offset; /* bytes into its file: the image (file 0) or weight file `file` - 1 */
    uint32_t file;
    uint32_t unused;
};

struct image {
    struct placement *place; /* [n] in the order of the parameters */
    int n;
    size_t floats;      /* of the block */
    int64_t parameters; /* numbers in the weight files, as people count them */
    const float *data;  /* the block: `owned`, or inside `map` */
    float *owned;
    struct map map;
    struct map *file; /* [n_files] the weight files that parameters are borrowed from */
    size_t n_files;
};

/* Fills and freezes `params`, from the cache when it has this model, else from the weight files
 * (and then tries to write the cache; that it cannot is no error). `id` identifies the content of
 * the files. A missing, misshapen or unexpected tensor is named with the shape that was expected.
 */
int image_load(struct image *im, struct params *params, const struct model_config *c,
               const struct weight_sources *s, struct hash128 id, struct err *err) WARN_UNUSED;
void image_release(struct image *im);

#endif
