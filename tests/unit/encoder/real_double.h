/* real_double.h - the shipped tape and its kernels compiled once more with double for float.
 *
 * Central differences of float code say little: a derivative by differences loses half the digits.
 * So the sources of encoder/tape and the portable bodies of src/kernels are included here, in one
 * file of a test, with `float` replaced (what reads the bits of a float is not called). What cannot
 * be taken over are the fitted polynomials of math.inc and train_math.inc, which are accurate to
 * floats only: they are written here with libm; those fits are held against libm elsewhere.
 */
#ifndef SEMSEARCH_TESTS_REAL_DOUBLE_H
#define SEMSEARCH_TESTS_REAL_DOUBLE_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/err.h"
#include "src/base/mem.h"
#include "src/base/precision.h"
#include "src/base/thread.h"

#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"

#define float double
#define sqrtf     sqrt
#define fmaxf     fmax
#define fabsf     fabs
#define copysignf copysign
#define V_INLINE  static inline
#define SEMSEARCH_KERNELS_VEC_H
#define TILE_ROWS 2
#define TILE_VECS 4

#include "src/kernels/vec_scalar.h"

/* math.inc and train_math.inc */
V_INLINE vf v_exp(vf x)
{
    return exp(x);
}
V_INLINE vf v_exp2_negative(vf x)
{
    return exp2(x);
}
V_INLINE vf v_tanh(vf x)
{
    return tanh(x);
}
V_INLINE vf v_sigmoid(vf x)
{
    return 1 / (1 + exp(-x));
}
V_INLINE vf normal_cdf(vf x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}
V_INLINE vf normal_density(vf x)
{
    return exp(-0.5 * x * x) / sqrt(2 * M_PI);
}
V_INLINE vf v_gelu(vf x)
{
    return x * normal_cdf(x);
}
V_INLINE vf v_gelu_slope(vf x)
{
    return normal_cdf(x) + x * normal_density(x);
}
V_INLINE vf v_silu_slope(vf x)
{
    const double s = v_sigmoid(x);
    return s + x * s * (1 - s);
}
V_INLINE vf gelu_tanh_inner(vf x)
{
    return sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
}
V_INLINE vf v_gelu_tanh(vf x)
{
    return 0.5 * x * (1 + tanh(gelu_tanh_inner(x)));
}
V_INLINE vf v_gelu_tanh_slope(vf x)
{
    const double t = tanh(gelu_tanh_inner(x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

#include "src/kernels/kernels.h"

V_INLINE vf v_activate(vf x, enum activation act)
{
    switch (act) {
    case ACT_GELU:
        return v_gelu(x);
    case ACT_GELU_TANH:
        return v_gelu_tanh(x);
    case ACT_RELU:
        return x > 0 ? x : 0;
    case ACT_SILU:
        return x * v_sigmoid(x);
    case ACT_TANH:
        return tanh(x);
    case ACT_NONE:
        break;
    }
    return x;
}

/* ---- what other bodies of the kernels do, plainly: their shipped form is held against these
 * definitions by the tests of the kernels --------------------------------------------------------
 */

static double row_sum(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static double row_square_deviation(const double *x, size_t n, double mean)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

static double rows_dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void rows_add(double *y, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void rows_scale(double *y, double a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] *= a;
}

static void rows_activate(double *x, size_t n, enum activation act)
{
    for (size_t i = 0; i < n; i++)
        x[i] = v_activate(x[i], act);
}

static void rows_layer_norm(double *y, const double *x, const double *gamma, const double *beta,
                            int m, int n, double eps)
{
    for (int i = 0; i < m; i++, x += n, y += n) {
        const double mean = row_sum(x, (size_t)n) / n;
        const double by = sqrt(row_square_deviation(x, (size_t)n, mean) / n + eps);
        for (int j = 0; j < n; j++)
            y[j] = (x[j] - mean) / by * gamma[j] + beta[j];
    }
}

enum { PANEL = TILE_VECS * VW };

static size_t gemm_packed_floats(int n_out, int k)
{
    return (size_t)(n_out + PANEL - 1) / PANEL * PANEL * (size_t)k;
}

static void gemm_pack(double *dst, const double *w, int ldw, int n_out, int k)
{
    for (int j = 0; j < (n_out + PANEL - 1) / PANEL * PANEL; j++)
        for (int p = 0; p < k; p++)
            dst[((size_t)(j / PANEL) * (size_t)k + (size_t)p) * PANEL + (size_t)(j % PANEL)] =
                j < n_out ? w[(size_t)j * (size_t)ldw + (size_t)p] : 0;
}

static void gemm(const struct gemm_f32 *g, int n0, int n1)
{
    for (int i = 0; i < g->m; i++)
        for (int j = n0; j < n1; j++) {
            double sum = g->bias ? g->bias[j] : 0;
            for (int p = 0; p < g->w->k; p++)
                sum += g->a[i * g->lda + p] *
                       g->w->data[(j / PANEL * g->w->k + p) * PANEL + j % PANEL];
            sum = v_activate(sum, g->act);
            g->c[i * g->ldc + j] = sum + (g->residual ? g->residual[i * g->ld_res + j] : 0);
        }
}

static size_t attention_scratch_floats(int n, int head_dim)
{
    (void)head_dim;
    return (size_t)n;
}

static void attention(const struct attention_f32 *a)
{
    for (int i = 0; i < a->n; i++) {
        double total = 0, *w = a->scratch;
        for (int j = 0; j < a->n; j++) {
            const bool seen = a->window < 0 || abs(i - j) <= a->window;
            w[j] = rows_dot(a->q + i * a->ld_qkv, a->k + j * a->ld_qkv, (size_t)a->head_dim);
            w[j] = seen ? exp(a->scale * w[j]) : 0;
            total += w[j];
        }
        for (int c = 0; c < a->head_dim; c++) {
            double sum = 0;
            for (int j = 0; j < a->n; j++)
                sum += w[j] / total * a->v[j * a->ld_qkv + c];
            a->out[i * a->ld_out + c] = sum;
        }
    }
}

#include "src/kernels/train.inc"

struct kernels kern = {.isa = "double",
                       .gemm_panel = PANEL,
                       .gemm_packed_floats = gemm_packed_floats,
                       .gemm_pack = gemm_pack,
                       .gemm = gemm,
                       .attention_scratch_floats = attention_scratch_floats,
                       .attention = attention,
                       .layer_norm = rows_layer_norm,
                       .activate = rows_activate,
                       .add = rows_add,
                       .scale = rows_scale,
                       .dot = rows_dot,
                       .dot_wide = rows_dot,
                       .train = TRAIN_ENTRIES};

#include "encoder/tape/op_attention.c"
#include "encoder/tape/op_dropout.c"
#include "encoder/tape/op_embed.c"
#include "encoder/tape/op_linear.c"
#include "encoder/tape/op_norm.c"
#include "encoder/tape/op_pick.c"
#include "encoder/tape/op_pool.c"
#include "encoder/tape/param.c"
#include "encoder/tape/plan.c"
#include "encoder/tape/tape.c"

/* Kinds of inference only. */
const struct op_kind op_linear_bf16, op_linear_int8, op_linear_mixed;

#endif
