/* json_line.h - where a value stands in JSON text, for messages. */
#ifndef SEMSEARCH_ENCODER_TRAIN_JSON_LINE_H
#define SEMSEARCH_ENCODER_TRAIN_JSON_LINE_H

#include "src/base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* One step of a path: a member by key, or (key NULL) an element by its place. */
struct json_step {
    const char *key;
    int64_t at;
};

/* The line, from 1, on which the value at that path begins; 0 when it is not there. */
int64_t json_line(struct span text, const struct json_step *path, size_t n);

#endif
