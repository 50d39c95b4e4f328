/* folder.h - the weights of a model folder: model.safetensors, or the shards that
 * model.safetensors.index.json names. Other formats are refused with what to do about it. */
#ifndef SEMSEARCH_ENCODER_WEIGHTS_FOLDER_H
#define SEMSEARCH_ENCODER_WEIGHTS_FOLDER_H

#include "encoder/weights/safetensors.h"

/* One file, with what stands for its content as long as nobody touches it. */
struct weight_file {
    char *path;
    int64_t size, mtime_ns, ctime_ns;
    uint64_t inode;
};
struct weight_list {
    struct weight_file *file;
    size_t n, cap;
};

/* Appends the weight files of `dir` in a fixed order. Fails when there are none, when they are of a
 * format that we do not read (named in the message), or when the shard index is not sound. */
int weight_list_add(struct weight_list *l, const char *dir, struct err *err) WARN_UNUSED;
/* Appends one file of any kind; takes `path` over. */
int weight_list_add_file(struct weight_list *l, char *path, struct err *err) WARN_UNUSED;
void weight_list_release(struct weight_list *l);

/* The open files i0 <= i < i1 of a list, seen as one set of tensors. A name that two shards have is
 * an error. */
struct weights {
    struct safetensors *file;
    size_t n_files;
};
int weights_open(struct weights *w, const struct weight_list *l, size_t i0, size_t i1,
                 struct err *err) WARN_UNUSED;
void weights_close(struct weights *w); /* safe on a zeroed one */

/* NULL: none of that name. *file (may be NULL) gets which of the open files has it. */
const struct tensor *weights_find(const struct weights *w, const char *name, size_t *file);

#endif
