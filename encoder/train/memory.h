/* memory.h - how much memory this process may still take. */
#ifndef SEMSEARCH_ENCODER_TRAIN_MEMORY_H
#define SEMSEARCH_ENCODER_TRAIN_MEMORY_H

#include <stddef.h>

/* Bytes: the least of what the machine has free or can free, what the control group leaves, and
 * what the limits of the process leave. SIZE_MAX where the system says nothing. */
size_t memory_available(void);

/* "1.3 GB" into out. */
void memory_text(size_t bytes, char out[32]);

#endif
