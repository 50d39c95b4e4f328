/* bench_kernels.c - how close the kernels come to this CPU.
 *
 *     bench_kernels [gemm] [attention] [rows] [scan]      (all without arguments)
 *
 * Clocks move and neighbours share the machine, so no figure stands alone: every sample is paired
 * with a burst of register-only multiply-adds taken in the same milliseconds, and what is printed
 * is the median of the ratios. Times are of the thread, not of the wall, so that being descheduled
 * does not count. "hot" multiplies the same weights again and again; "layers" goes through as many
 * copies as fill 64 MB, as the layers of a model do.
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

/* ---- the roof: multiply-adds on registers alone, floating point operations per second ----------
 */

#ifdef __x86_64__

#include <immintrin.h>

__attribute__((target("avx512f"))) static double burst_512(int n)
{
    __m512 acc[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        acc[i] = _mm512_set1_ps((float)i);
    const __m512 a = _mm512_set1_ps(0.999F), b = _mm512_set1_ps(1e-3F);
    for (int i = 0; i < n; i++)
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++) {
            acc[j] = _mm512_fmadd_ps(acc[j], a, b);
            __asm__ volatile("" : "+v"(acc[j]));
        }
    return 16.0 * 32.0 * n;
}

__attribute__((target("avx2,fma"))) static double burst_256(int n)
{
    __m256 acc[12];
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        acc[i] = _mm256_set1_ps((float)i);
    const __m256 a = _mm256_set1_ps(0.999F), b = _mm256_set1_ps(1e-3F);
    for (int i = 0; i < n; i++)
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++) {
            acc[j] = _mm256_fmadd_ps(acc[j], a, b);
            __asm__ volatile("" : "+v"(acc[j]));
        }
    return 12.0 * 16.0 * n;
}

static double burst(int n)
{
    if (strncmp(kern.isa, "avx512", 6) == 0)
        return burst_512(n);
    return __builtin_cpu_supports("fma") ? burst_256(n) : 0.0;
}

#else

static double burst(int n)
{
    (void)n;
    return 0.0; /* no roof known: ratios print as 0 */
}

#endif

static double roof_rate(void)
{
    const double t = thread_seconds(), flops = burst(20000);
    return flops / (thread_seconds() - t);
}

/* ---- one measurement: work of a known size on 1 or 2 threads, paired with the roof -------------
 */

struct job {
    double (*work)(struct job *job, int thread); /* operations or bytes done */
    double rate[MAX_THREADS], roof[MAX_THREADS];
    const void *arg;
    int turn[MAX_THREADS];
};

static void job_item(void *ctx, int item, int worker)
{
    (void)worker;
    struct job *const job = ctx;
    const double roof = roof_rate(), t = thread_seconds();
    double done = 0.0;
    do
        done += job->work(job, item);
    while (thread_seconds() - t < 1e-3);
    job->rate[item] = done / (thread_seconds() - t);
    job->roof[item] = 0.5 * (roof + roof_rate());
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

/* ---- gemm --------------------------------------------------------------------------------------
 */

enum { MAX_COPIES = 64 };

struct gemm_case {
    int m, n_copies;
    struct packed_f32 w[MAX_COPIES];
    const float *a[MAX_THREADS];
    float *c[MAX_THREADS];
    const float *bias;
    enum activation act;
};

static double gemm_work(struct job *job, int thread)
{
    const struct gemm_case *const c = job->arg;
    const struct packed_f32 *const w = &c->w[job->turn[thread]++ % c->n_copies];
    const struct gemm_f32 g = {.a = c->a[thread],
                               .lda = w->k,
                               .m = c->m,
                               .w = w,
                               .bias = c->bias,
                               .act = c->act,
                               .c = c->c[thread],
                               .ldc = w->n_out};
    kern.gemm(&g, 0, w->n_out);
    return 2.0 * c->m * w->n_out * w->k;
}

static void bench_gemm_shape(struct pool *pool, int n_out, int k, enum activation act)
{
    static const int rows[] = {1, 4, 8, 16, 64, 128, 256};
    const size_t floats = kern.gemm_packed_floats(n_out, k);
    const int fill = (int)((64U << 20) / (floats * sizeof(float))) + 1;
    struct gemm_case c = {.act = act, .bias = random_floats((size_t)n_out)};
    for (int i = 0; i < fill && i < MAX_COPIES; i++) {
        float *const w = random_floats((size_t)n_out * (size_t)k), *const p = random_floats(floats);
        kern.gemm_pack(p, w, k, n_out, k);
        free(w);
        c.w[i] = (struct packed_f32){n_out, k, p};
    }
    for (int i = 0; i < MAX_THREADS; i++) {
        c.a[i] = random_floats(256 * (size_t)k);
        c.c[i] = random_floats(256 * (size_t)n_out);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        c.m = rows[i];
        printf("%5d x %4d x %4d %5s", c.m, n_out, k, act == ACT_GELU ? "gelu" : "");
        for (int threads = 1; threads <= pool_size(pool); threads++)
            for (int layers = 0; layers < 2; layers++) {
                c.n_copies = layers ? (fill < MAX_COPIES ? fill : MAX_COPIES) : 1;
                struct job job = {.work = gemm_work, .arg = &c};
                const struct figure f = measure(pool, threads, &job);
                printf("  | %6.1f of %5.1f %3.0f%%", f.rate * 1e-9, f.roof * 1e-9, f.ratio * 100);
            }
        printf("\n");
        fflush(stdout);
    }
    for (int i = 0; i < fill && i < MAX_COPIES; i++)
        free((void *)(uintptr_t)c.w[i].data);
    for (int i = 0; i < MAX_THREADS; i++) {
        free((void *)(uintptr_t)c.a[i]);
        free(c.c[i]);
    }
    free((void *)(uintptr_t)c.bias);
}

static void bench_gemm(struct pool *pool)
{
    printf("gemm, GFLOP/s of the roof: %22s | %19s | %19s | %s\n", "1 thread, hot",
           "1 thread, layers", "2 threads, hot", "2 threads, layers");
    bench_gemm_shape(pool, 384, 384, ACT_NONE);
    bench_gemm_shape(pool, 1152, 384, ACT_NONE);
    bench_gemm_shape(pool, 1536, 384, ACT_GELU);
    bench_gemm_shape(pool, 384, 1536, ACT_NONE);
    bench_gemm_shape(pool, 768, 768, ACT_NONE);
    bench_gemm_shape(pool, 2304, 768, ACT_NONE);
    bench_gemm_shape(pool, 3072, 768, ACT_GELU);
    bench_gemm_shape(pool, 768, 3072, ACT_NONE);
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
        kern.attention(&a);
    }
    return 4.0 * HEADS * n * n * c->head_dim;
}

static void bench_attention(struct pool *pool)
{
    static const int lengths[] = {16, 64, 128, 256, 512, 2048};
    printf("attention, 12 heads, GFLOP/s of the two products against the roof\n");
    for (int d = 32; d <= 64; d += 32)
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            struct attention_case c = {.n = lengths[i], .head_dim = d};
            const size_t n = (size_t)c.n, hidden = HEADS * (size_t)d;
            c.qkv = random_floats(n * 3 * hidden);
            for (int t = 0; t < MAX_THREADS; t++) {
                c.out[t] = random_floats(n * hidden);
                c.scratch[t] = random_floats(kern.attention_scratch_floats(c.n, d));
            }
            printf("%5d tokens, head_dim %d", c.n, d);
            for (int threads = 1; threads <= pool_size(pool); threads++) {
                struct job job = {.work = attention_work, .arg = &c};
                const struct figure f = measure(pool, threads, &job);
                printf("  | %d: %6.1f of %5.1f %3.0f%%", threads, f.rate * 1e-9, f.roof * 1e-9,
                       f.ratio * 100);
            }
            printf("\n");
            fflush(stdout);
            free((void *)(uintptr_t)c.qkv);
            for (int t = 0; t < MAX_THREADS; t++) {
                free(c.out[t]);
                free(c.scratch[t]);
            }
        }
}

/* ---- rows: values per second -------------------------------------------------------------------
 */

enum { ROW = 384, ROWS_M = 128 };

struct rows_case {
    float *x, *y;
    const float *gamma;
    int what; /* an activation, or ROWS_SOFTMAX, ROWS_NORM */
};

enum { ROWS_SOFTMAX = 100, ROWS_NORM };

static double rows_work(struct job *job, int thread)
{
    (void)thread;
    const struct rows_case *const c = job->arg;
    if (c->what == ROWS_NORM) {
        kern.layer_norm(c->y, c->x, c->gamma, c->gamma, ROWS_M, ROW, 1e-12F);
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
        {"copy alone", ACT_NONE},  {"gelu (erf)", ACT_GELU}, {"gelu (tanh)", ACT_GELU_TANH},
        {"relu", ACT_RELU},        {"silu", ACT_SILU},       {"tanh", ACT_TANH},
        {"softmax", ROWS_SOFTMAX}, {"layer norm", ROWS_NORM}};
    printf("rows of %d floats, 1 thread\n", ROW);
    struct rows_case c = {.x = random_floats(ROWS_M * ROW),
                          .y = random_floats(ROWS_M * ROW),
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
    } parts[] = {{"gemm", bench_gemm},
                 {"attention", bench_attention},
                 {"rows", bench_rows},
                 {"scan", bench_scan}};
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
