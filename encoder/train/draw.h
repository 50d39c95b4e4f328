/* draw.h - random numbers that are a function of where they are needed, not of what was drawn
 * before.
 *
 * A run must resume exactly and must not depend on threads or micro-batches. So there is no state:
 * number i of a stream is a hash of (seed, stream, i), and a position in the run is enough to draw
 * on. The hash is the finaliser of MurmurHash3 (Appleby) over a Weyl sequence, as in SplitMix64
 * (Steele, Lea and Flood 2014).
 */
#ifndef SEMSEARCH_ENCODER_TRAIN_DRAW_H
#define SEMSEARCH_ENCODER_TRAIN_DRAW_H

#include <stdint.h>

static inline uint64_t draw_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The name of a stream, from what it depends on. */
static inline uint64_t draw_stream(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b)
{
    uint64_t x = draw_mix(seed + 0x9e3779b97f4a7c15u * (purpose + 1));
    x = draw_mix(x + 0x9e3779b97f4a7c15u * (a + 1));
    return draw_mix(x + 0x9e3779b97f4a7c15u * (b + 1));
}

static inline uint64_t draw_bits(uint64_t stream, uint64_t i)
{
    return draw_mix(stream + 0x9e3779b97f4a7c15u * (i + 1));
}

/* In [0, 1), 53 bits. */
static inline double draw_unit(uint64_t stream, uint64_t i)
{
    return (double)(draw_bits(stream, i) >> 11) * 0x1p-53;
}

/* In [0, n), n >= 1; the bias of taking the high part is below n / 2^64. */
static inline uint64_t draw_below(uint64_t stream, uint64_t i, uint64_t n)
{
    return (uint64_t)((__extension__(unsigned __int128) draw_bits(stream, i) * n) >> 64);
}

/* What streams are for. */
enum draw_purpose {
    DRAW_ORDER,     /* of an epoch's rows: (epoch, 0) */
    DRAW_MASK,      /* of one sequence: (epoch, example) */
    DRAW_PAIR,      /* next-sentence pairs: (epoch, example) */
    DRAW_CHUNK,     /* how documents are cut: (document, 0) */
    DRAW_BOOTSTRAP, /* resampling: (round, 0) */
    DRAW_MINE       /* choice of hard negatives: (row, 0) */
};

#endif
