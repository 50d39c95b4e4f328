/* bench_kernels.c - how close the kernels come to this CPU.
 *
 *     bench_kernels [f32] [bf16] [int8] [attention] [rows] [scan]      (all without arguments)
 *
 * Clocks move and neighbours share the machine, so no figure stands alone: every sample is paired
 * with a burst of register-only multiply-adds taken in the same milliseconds, of the same type of
 * number, and what is printed is the median of the ratios. Times are of the thread, not of the
 * wall, so that being descheduled does not count. "hot" multiplies the same weights again and
 * again; "layers" goes through as many copies as fill 64 MB, as the layers of a model do.
 */
#include "src/base/mem.h"
#include "src/base/thread.h"
#include "src/kernels/kernels.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 15, MAX_THREADS = 2 };

static double thread_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *random_floats(size_t n)
{
    static uint32_t state = 1;
    void *p;
    struct err err = {0};
    if (mem_try(&p, n * sizeof(float), "bench data", &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(2);
    }
    float *const f = p;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525U + 1013904223U;
        f[i] = (float)(state >> 8) / 8388608.0F - 1.0F;
    }
    return f;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return x[n / 2];
}

/* ---- the roof: multiply-adds on registers alone, operations per second -------------------------
 */

enum type { F32, BF16, INT8 };

static const char *const type_names[] = {"f32", "bf16", "int8"};

static double roof_rate(enum type type)
{
    double (*const burst[])(size_t) = {kern.peak_f32, kern.peak_bf16, kern.peak_i8};
    const double t = thread_seconds(), operations = burst[type](20000);
    return operations / (thread_seconds() - t);
}

/* ---- one measurement: work of a known size on 1 or 2 threads, paired with the roof -------------
 */

struct job {
    double (*work)(struct job *job, int thread); /* operations or bytes done */
    double rate[MAX_THREADS], roof[MAX_THREADS];
    const void *arg;
    enum type type; /* of the roof */
    int turn[MAX_THREADS];
};

static void job_item(void *ctx, int item, int worker)
{
    (void)worker;
    struct job *const job = ctx;
    const double roof = roof_rate(job->type), t = thread_seconds();
    double done = 0.0;
    do
        done += job->work(job, item);
    while (thread_seconds() - t < 1e-3);
    job->rate[item] = done / (thread_seconds() - t);
    job->roof[item] = 0.5 * (roof + roof_rate(job->type));
}

struct figure {
    double rate, roof, ratio; /* medians; sums over threads */
};

static struct figure measure(struct pool *pool, int threads, struct job *job)
{
    double rate[ROUNDS], roof[ROUNDS], ratio[ROUNDS];
    for (int r = -2; r < ROUNDS; r++) {
        pool_run(pool, threads, job_item, job);
        double sum = 0.0, top = 0.0;
        for (int i = 0; i < threads; i++) {
            sum += job->rate[i];
            top += job->roof[i];
        }
        if (r >= 0) {
            rate[r] = sum;
            roof[r] = top;
            ratio[r] = top > 0.0 ? sum / top : 0.0;
        }
    }
    return (struct figure){median(rate, ROUNDS), median(roof, ROUNDS), median(ratio, ROUNDS)};
}

/* ---- products ----------------------------------------------------------------------------------
 */

enum { MAX_COPIES = 64, MAX_ROWS = 256 };

struct gemm_case {
    int m, n_out, k, n_copies;
    const void *w[MAX_COPIES]; /* packed */
    const void *a[MAX_THREADS];
    int lda;
    const float *a_scale;
    float *c[MAX_THREADS];
    const float *bias;
    enum activation act;
};

static double gemm_work(struct job *job, int thread)
{
    const struct gemm_case *const c = job->arg;
    const void *const w = c->w[job->turn[thread]++ % c->n_copies];
    if (job->type == F32) {
        const struct packed_f32 packed = {c->n_out, c->k, w};
        const struct gemm_f32 g = {.a = c->a[thread],
                                   .lda = c->lda,
                                   .m = c->m,
                                   .w = &packed,
                                   .bias = c->bias,
                                   .act = c->act,
                                   .c = c->c[thread],
                                   .ldc = c->n_out};
        kern.gemm(&g, 0, c->n_out);
    } else if (job->type == BF16) {
        const struct packed_bf16 packed = {c->n_out, c->k, w};
        const struct gemm_bf16 g = {.a = c->a[thread],
                                    .lda = c->lda,
                                    .m = c->m,
                                    .w = &packed,
                                    .bias = c->bias,
                                    .act = c->act,
                                    .c = c->c[thread],
                                    .ldc = c->n_out};
        kern.gemm_bf16(&g, 0, c->n_out);
    } else {
        const struct packed_i8 packed = {c->n_out, c->k, w};
        const struct gemm_i8 g = {.a = c->a[thread],
                                  .lda = c->lda,
                                  .m = c->m,
                                  .a_scale = c->a_scale,
                                  .w = &packed,
                                  .bias = c->bias,
                                  .act = c->act,
                                  .c = c->c[thread],
                                  .ldc = c->n_out};
        kern.gemm_i8(&g, 0, c->n_out);
    }
    return 2.0 * c->m * c->n_out * c->k;
}

static size_t packed_bytes(enum type type, int n_out, int k)
{
    if (type == F32)
        return kern.gemm_packed_floats(n_out, k) * sizeof(float);
    return type == BF16 ? kern.gemm_bf16_packed_bytes(n_out, k)
                        : kern.gemm_i8_packed_bytes(n_out, k);
}

static void *packed_weights(enum type type, int n_out, int k)
{
    float *const w = random_floats((size_t)n_out * (size_t)k);
    float *const p = random_floats(packed_bytes(type, n_out, k) / sizeof(float));
    if (type == F32)
        kern.gemm_pack(p, w, k, n_out, k);
    else if (type == BF16)
        kern.gemm_bf16_pack(p, w, k, n_out, k);
    else
        kern.gemm_i8_pack(p, w, k, n_out, k);
    free(w);
    return p;
}

/* MAX_ROWS rows as the product of `type` wants them. */
static void *left_side(enum type type, struct gemm_case *c)
{
    float *const a = random_floats(MAX_ROWS * (size_t)c->k);
    c->lda = c->k;
    if (type == F32)
        return a;
    c->lda = (int)(type == BF16 ? kern.bf16_row(c->k) : kern.i8_row(c->k));
    void *const to = random_floats(MAX_ROWS * (size_t)c->lda);
    if (type == BF16)
        kern.rows_to_bf16(to, c->lda, a, c->k, MAX_ROWS, c->k);
    else
        kern.rows_to_i8(to, c->lda, (float *)(uintptr_t)c->a_scale, NULL, a, c->k, MAX_ROWS, c->k);
    free(a);
    return to;
}

static void bench_gemm_shape(struct pool *pool, enum type type, int n_out, int k,
                             enum activation act)
{
    static const int rows[] = {1, 4, 8, 16, 64, 128, MAX_ROWS};
    const int fill = (int)((64U << 20) / packed_bytes(type, n_out, k)) + 1;
    struct gemm_case c = {.n_out = n_out,
                          .k = k,
                          .act = act,
                          .bias = random_floats((size_t)n_out),
                          .a_scale = random_floats(MAX_ROWS)};
    for (int i = 0; i < fill && i < MAX_COPIES; i++)
        c.w[i] = packed_weights(type, n_out, k);
    for (int i = 0; i < MAX_THREADS; i++) {
        c.a[i] = left_side(type, &c);
        c.c[i] = random_floats(MAX_ROWS * (size_t)n_out);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        c.m = rows[i];
        printf("%5d x %4d x %4d %5s", c.m, n_out, k, act == ACT_GELU ? "gelu" : "");
        for (int threads = 1; threads <= pool_size(pool); threads++)
            for (int layers = 0; layers < 2; layers++) {
                c.n_copies = layers ? (fill < MAX_COPIES ? fill : MAX_COPIES) : 1;
                struct job job = {.work = gemm_work, .arg = &c, .type = type};
                const struct figure f = measure(pool, threads, &job);
                printf("  | %6.1f of %6.1f %3.0f%%", f.rate * 1e-9, f.roof * 1e-9, f.ratio * 100);
            }
        printf("\n");
        fflush(stdout);
    }
    for (int i = 0; i < fill && i < MAX_COPIES; i++)
        free((void *)(uintptr_t)c.w[i]);
    for (int i = 0; i < MAX_THREADS; i++) {
        free((void *)(uintptr_t)c.a[i]);
        free(c.c[i]);
    }
    free((void *)(uintptr_t)c.bias);
    free((void *)(uintptr_t)c.a_scale);
}

/* The products of MiniLM-L6 and BERT-base. */
static void bench_gemm(struct pool *pool, enum type type)
{
    printf("products of %s, G operations/s of the roof: %s | %20s | %20s | %s\n", type_names[type],
           "1 thread, hot", "1 thread, layers", "2 threads, hot", "2 threads, layers");
    bench_gemm_shape(pool, type, 384, 384, ACT_NONE);
    bench_gemm_shape(pool, type, 1152, 384, ACT_NONE);
    bench_gemm_shape(pool, type, 1536, 384, ACT_GELU);
    bench_gemm_shape(pool, type, 384, 1536, ACT_NONE);
    bench_gemm_shape(pool, type, 768, 768, ACT_NONE);
    bench_gemm_shape(pool, type, 2304, 768, ACT_NONE);
    bench_gemm_shape(pool, type, 3072, 768, ACT_GELU);
    bench_gemm_shape(pool, type, 768, 3072, ACT_NONE);
}

static void bench_f32(struct pool *pool)
{
    bench_gemm(pool, F32);
}

static void bench_bf16(struct pool *pool)
{
    bench_gemm(pool, BF16);
}

static void bench_int8(struct pool *pool)
{
    bench_gemm(pool, INT8);
}

/* ---- attention ---------------------------------------------------------------------------------
 */

enum { HEADS = 12 };

struct attention_case {
    int n, head_dim;
    const float *qkv;
    float *out[MAX_THREADS], *scratch[MAX_THREADS];
};

static double attention_work(struct job *job, int thread)
{
    const struct attention_case *const c = job->arg;
    const int hidden = HEADS * c->head_dim, n = c->n;
    for (int h = 0; h < HEADS; h++) {
        const float *const q = c->qkv + h * c->head_dim;
        const struct attention_f32 a = {.q = q,
                                        .k = q + hidden,
                                        .v = q + 2 * hidden,
                                        .ld_qkv = 3 * hidden,
                                        .n = n,
                                        .head_dim = c->head_dim,
                                        .row1 = n,
                                        .window = -1,
                                        .scale = 0.125F,
                                        .out = c->out[thread] + h * c->head_dim,
                                        .ld_out = hidden,
                                        .scratch = c->scratch[thread]};
        if (job->type == BF16)
            kern.attention_bf16(&a);
        else
            kern.attention(&a);
    }
    return 4.0 * HEADS * n * n * c->head_dim;
}

static void bench_attention_shape(struct pool *pool, int length, int head_dim)
{
    struct attention_case c = {.n = length, .head_dim = head_dim};
    const size_t n = (size_t)length, hidden = HEADS * (size_t)head_dim;
    c.qkv = random_floats(n * 3 * hidden);
    for (int t = 0; t < MAX_THREADS; t++) {
        c.out[t] = random_floats(n * hidden);
        c.scratch[t] = random_floats(kern.attention_scratch_floats(length, head_dim) +
                                     kern.attention_bf16_scratch_floats(length, head_dim));
    }
    printf("%5d tokens, head_dim %d", length, head_dim);
    for (enum type type = F32; type <= BF16; type++)
        for (int threads = 1; threads <= pool_size(pool); threads++) {
            struct job job = {.work = attention_work, .arg = &c, .type = type};
            const struct figure f = measure(pool, threads, &job);
            printf("  | %s, %d: %6.1f of %5.1f %3.0f%%", type_names[type], threads, f.rate * 1e-9,
                   f.roof * 1e-9, f.ratio * 100);
        }
    printf("\n");
    fflush(stdout);
    free((void *)(uintptr_t)c.qkv);
    for (int t = 0; t < MAX_THREADS; t++) {
        free(c.out[t]);
        free(c.scratch[t]);
    }
}

static void bench_attention(struct pool *pool)
{
    static const int lengths[] = {16, 64, 128, 256, 512, 2048};
    printf("attention, 12 heads, G operations/s of the two products against the roof, "
           "type and threads\n");
    for (int d = 32; d <= 64; d += 32)
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
            bench_attention_shape(pool, lengths[i], d);
}

/* ---- rows: values per second -------------------------------------------------------------------
 */

enum { ROW = 384, ROWS_M = 128 };

struct rows_case {
    float *x, *y, *scale;
    const float *gamma;
    int what; /* an activation, or ROWS_SOFTMAX, ROWS_NORM */
};

enum { ROWS_SOFTMAX = 100, ROWS_NORM, ROWS_BF16, ROWS_I8 };

static double rows_work(struct job *job, int thread)
{
    (void)thread;
    const struct rows_case *const c = job->arg;
    if (c->what == ROWS_NORM) {
        kern.layer_norm(c->y, c->x, c->gamma, c->gamma, ROWS_M, ROW, 1e-12F);
    } else if (c->what == ROWS_BF16) {
        kern.rows_to_bf16((uint16_t *)(void *)c->y, ROW, c->x, ROW, ROWS_M, ROW);
    } else if (c->what == ROWS_I8) {
        kern.rows_to_i8(c->y, 2 * ROW, c->scale, c->scale, c->x, ROW, ROWS_M, ROW);
    } else {
        memcpy(c->y, c->x, sizeof(float) * ROWS_M * ROW);
        if (c->what == ROWS_SOFTMAX)
            kern.softmax(c->y, ROWS_M, ROW);
        else
            kern.activate(c->y, ROWS_M * ROW, (enum activation)c->what);
    }
    return ROWS_M * ROW;
}

static void bench_rows(struct pool *pool)
{
    static const struct {
        const char *name;
        int what;
    } cases[] = {
        {"copy alone", ACT_NONE},  {"gelu (erf)", ACT_GELU},  {"gelu (tanh)", ACT_GELU_TANH},
        {"relu", ACT_RELU},        {"silu", ACT_SILU},        {"tanh", ACT_TANH},
        {"softmax", ROWS_SOFTMAX}, {"layer norm", ROWS_NORM}, {"to bf16", ROWS_BF16},
        {"to int8", ROWS_I8}};
    printf("rows of %d floats, 1 thread\n", ROW);
    struct rows_case c = {.x = random_floats(ROWS_M * ROW),
                          .y = random_floats(ROWS_M * ROW),
                          .scale = random_floats(ROWS_M),
                          .gamma = random_floats(ROW)};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        c.what = cases[i].what;
        struct job job = {.work = rows_work, .arg = &c};
        const struct figure f = measure(pool, 1, &job);
        printf("%-12s %6.2f G values/s, %5.1f operations of the roof per value\n", cases[i].name,
               f.rate * 1e-9, f.roof / f.rate);
    }
    free(c.x);
    free(c.y);
    free(c.scale);
    free((void *)(uintptr_t)c.gamma);
}

/* ---- scans: bytes per second -------------------------------------------------------------------
 */

struct scan_case {
    const float *query;
    const void *rows;
    void *out;
    size_t n_rows;
    int width; /* bytes of an element: 4, 2 or 1 */
};

static double scan_work(struct job *job, int thread)
{
    (void)thread;
    const struct scan_case *const c = job->arg;
    if (c->width == 4)
        kern.dot_rows_f32(c->out, c->query, c->rows, c->n_rows, ROW);
    else if (c->width == 2)
        kern.dot_rows_f16(c->out, c->query, c->rows, c->n_rows, ROW);
    else
        kern.dot_rows_i8(c->out, (const int8_t *)c->query, c->rows, c->n_rows, ROW);
    return (double)c->n_rows * ROW * c->width;
}

static void bench_scan(struct pool *pool)
{
    static const size_t sizes[] = {1000, 10000, 100000};
    printf("scans of vectors of %d, 1 thread\n", ROW);
    struct scan_case c = {.query = random_floats(ROW)};
    float *const rows = random_floats(100000 * (size_t)ROW), *const out = random_floats(100000);
    c.rows = rows;
    c.out = out;
    for (c.width = 4; c.width >= 1; c.width /= 2)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            c.n_rows = sizes[i];
            struct job job = {.work = scan_work, .arg = &c};
            const struct figure f = measure(pool, 1, &job);
            printf("%s %7zu rows: %7.3f ms, %5.1f GB/s\n",
                   c.width == 4   ? "f32"
                   : c.width == 2 ? "f16"
                                  : "i8 ",
                   c.n_rows, (double)c.n_rows * ROW * c.width / f.rate * 1e3, f.rate * 1e-9);
        }
    free((void *)(uintptr_t)c.query);
    free(rows);
    free(out);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct pool *pool);
    } parts[] = {{"f32", bench_f32},   {"bf16", bench_bf16},
                 {"int8", bench_int8}, {"attention", bench_attention},
                 {"rows", bench_rows}, {"scan", bench_scan}};
    struct err err = {0};
    if (kernels_init(&err) < 0) {
        fprintf(stderr, "bench_kernels: %s\n", err.msg);
        return 2;
    }
    struct pool *const pool = pool_new(thread_default_count() < 2 ? 1 : 2);
    printf("level %s (%s)\n", kern.isa, kern.features);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        bool wanted = argc < 2;
        for (int j = 1; j < argc; j++)
            wanted |= strcmp(argv[j], parts[i].name) == 0;
        if (wanted)
            parts[i].run(pool);
    }
    pool_free(pool);
    return 0;
}
