/* ring_buffer.c - a fixed-size first-in-first-out queue of bytes.
 *
 * The size is a power of two, so that wrapping around is one AND instead of a division.
 */
#include <stdbool.h>
#include <stddef.h>

enum { RING_SIZE = 256 };

struct ring_buffer {
    unsigned char data[RING_SIZE];
    size_t head, tail; /* count up for ever; the position is the value modulo RING_SIZE */
};

bool ring_put(struct ring_buffer *r, unsigned char byte)
{
    if (r->head - r->tail == RING_SIZE)
        return false; /* full */
    r->data[r->head++ & (RING_SIZE - 1)] = byte;
    return true;
}

bool ring_get(struct ring_buffer *r, unsigned char *byte)
{
    if (r->head == r->tail)
        return false; /* empty */
    *byte = r->data[r->tail++ & (RING_SIZE - 1)];
    return true;
}
