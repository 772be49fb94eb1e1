/* SPDX-License-Identifier: MIT
 * panel.c -- the product of a few rows with a packed matrix, at the speed of memory.
 *
 * A tile is a panel: K x 32 values, read in blocks of DEPTH of their rows. A block meets the rows of x by groups
 * of ROWS: the sums of a group and the panel's columns fill the registers, a step of k costs one load of the
 * panel and one broadcast for each row. The first group brings the block into the first-level cache; while the
 * last one works, the next block is asked for, so that memory never waits for arithmetic. */
#include "pipeline/panel.h"

#include <stdlib.h>
#include <string.h>

#if !defined(VL_REAL_DOUBLE) && defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR       __m512
#define LOAD(p)      _mm512_loadu_ps(p)
#define STORE(p, v)  _mm512_storeu_ps(p, v)
#define SPREAD(x)    _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
enum { LANES = 16, COLUMNS = 2 * LANES, ROWS = 10 }; /* 20 sums, 2 of W, of 32 registers */
#elif !defined(VL_REAL_DOUBLE) && defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VECTOR       __m256
#define LOAD(p)      _mm256_loadu_ps(p)
#define STORE(p, v)  _mm256_storeu_ps(p, v)
#define SPREAD(x)    _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
enum { LANES = 8, COLUMNS = 2 * LANES, ROWS = 5 }; /* 10 sums, 2 of W, 1 of x, of 16 */
#else
enum { COLUMNS = VL_PANEL, ROWS = 4 };
#endif

enum { DEPTH = 256 };

int vl_panels_new(size_t k, size_t n, vl_panels *p, vl_err *e)
{
    size_t panels = (n + VL_PANEL - 1) / VL_PANEL, row = VL_PANEL * sizeof(vl_real);

    *p = (vl_panels){k, n, NULL};
    if (panels > VL_ALLOC_MAX / row / k)
        return vl_fail(e, VL_ENOMEM, "a matrix of %zu x %zu in panels", k, n);
    p->data = aligned_alloc(64, panels * k * row);
    if (!p->data)
        return vl_fail(e, VL_ENOMEM, "out of memory: panels of %zu bytes", panels * k * row);
    return VL_OK;
}

void vl_panels_free(vl_panels *p)
{
    free(p->data);
    p->data = NULL;
}

static size_t panels_of(const vl_panels *p)
{
    return (p->n + VL_PANEL - 1) / VL_PANEL;
}

size_t vl_panels_bytes(const vl_panels *p)
{
    return panels_of(p) * p->k * VL_PANEL * sizeof(vl_real);
}

/* ---- packing ------------------------------------------------------------------------------------ */

typedef struct job {
    const vl_panels *p;
    const vl_real *w, *x;
    vl_real *y;
    size_t rows;
} job;

static size_t width_of(const vl_panels *p, size_t panel)
{
    size_t left = p->n - panel * VL_PANEL;

    return left < VL_PANEL ? left : VL_PANEL;
}

static void pack_rows(void *arg, size_t panel, int worker)
{
    const job *j = arg;
    size_t k = j->p->k, n = j->p->n, width = width_of(j->p, panel);
    vl_real *out = j->p->data + panel * k * VL_PANEL;

    (void)worker;
    for (size_t i = 0; i < k; i++, out += VL_PANEL) {
        memcpy(out, j->w + i * n + panel * VL_PANEL, width * sizeof *out);
        memset(out + width, 0, (VL_PANEL - width) * sizeof *out);
    }
}

/* A cache line of each of the panel's columns at a time. */
static void pack_columns(void *arg, size_t panel, int worker)
{
    enum { LINE = 64 / sizeof(vl_real) };
    const job *j = arg;
    size_t k = j->p->k, width = width_of(j->p, panel);
    vl_real *out = j->p->data + panel * k * VL_PANEL;
    const vl_real *from = j->w + panel * VL_PANEL * k;

    (void)worker;
    for (size_t i = 0; i < k; i += LINE)
        for (size_t c = 0; c < VL_PANEL; c++)
            for (size_t l = i; l < k && l < i + LINE; l++)
                out[l * VL_PANEL + c] = c < width ? from[c * k + l] : 0;
}

void vl_panels_pack(vl_pool *pool, const vl_panels *p, bool transposed, const vl_real *w)
{
    job j = {.p = p, .w = w};

    vl_pool_run(pool, panels_of(p), transposed ? pack_columns : pack_rows, &j);
}

/* ---- the product -------------------------------------------------------------------------------- */

/* sum [rows][VL_PANEL] += x [rows, depth of ldx] w [depth][VL_PANEL], columns [0, COLUMNS) of the two. `rows` is
 * a constant at each call, so the sums are registers. */
#ifdef VECTOR
static inline __attribute__((always_inline)) void
multiply(size_t rows, size_t depth, const vl_real *w, bool ahead, const vl_real *x, size_t ldx, vl_real *sum)
{
    VECTOR a[ROWS], b[ROWS];

    for (size_t r = 0; r < rows; r++) {
        a[r] = LOAD(sum + r * VL_PANEL);
        b[r] = LOAD(sum + r * VL_PANEL + LANES);
    }
    for (size_t i = 0; i < depth; i++, w += VL_PANEL) {
        VECTOR left = LOAD(w), right = LOAD(w + LANES);
        if (ahead) {
            __builtin_prefetch(w + DEPTH * VL_PANEL);
            __builtin_prefetch(w + DEPTH * VL_PANEL + LANES);
        }
        for (size_t r = 0; r < rows; r++) {
            VECTOR v = SPREAD(x[r * ldx + i]);
            a[r] = FMA(v, left, a[r]);
            b[r] = FMA(v, right, b[r]);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        STORE(sum + r * VL_PANEL, a[r]);
        STORE(sum + r * VL_PANEL + LANES, b[r]);
    }
}
#else
static inline void multiply(size_t rows, size_t depth, const vl_real *w, bool ahead, const vl_real *x,
                            size_t ldx, vl_real *sum)
{
    (void)ahead;
    for (size_t i = 0; i < depth; i++, w += VL_PANEL)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < COLUMNS; c++)
                sum[r * VL_PANEL + c] += x[r * ldx + i] * w[c];
}
#endif

/* One group; returns its rows. A remainder goes by halves and single rows. */
static size_t group(size_t rows, size_t depth, const vl_real *w, const vl_real *x, size_t ldx, vl_real *sum)
{
    enum { HALF = ROWS / 2 };

    if (rows > ROWS)
        multiply(ROWS, depth, w, false, x, ldx, sum);
    else if (rows == ROWS)
        multiply(ROWS, depth, w, true, x, ldx, sum);
    else if (rows >= HALF)
        multiply(HALF, depth, w, false, x, ldx, sum);
    else
        multiply(1, depth, w, rows == 1, x, ldx, sum);
    return rows >= ROWS ? ROWS : rows >= HALF ? HALF : 1;
}

enum { STRIP = 2 * ROWS }; /* rows of x that share a passage of the panel */

static void strip(const job *j, size_t panel, size_t row, size_t rows)
{
    size_t k = j->p->k, n = j->p->n, width = width_of(j->p, panel);
    const vl_real *w = j->p->data + panel * k * VL_PANEL, *x = j->x + row * k;
    vl_real sum[STRIP * VL_PANEL] = {0};

    for (size_t i = 0; i < k; i += DEPTH) {
        size_t depth = k - i < DEPTH ? k - i : DEPTH;
        for (size_t c = 0; c < VL_PANEL; c += COLUMNS)
            for (size_t r = 0; r < rows;)
                r += group(rows - r, depth, w + i * VL_PANEL + c, x + r * k + i, k, sum + r * VL_PANEL + c);
    }
    for (size_t r = 0; r < rows; r++)
        memcpy(j->y + (row + r) * n + panel * VL_PANEL, sum + r * VL_PANEL, width * sizeof *sum);
}

static void one_panel(void *arg, size_t panel, int worker)
{
    const job *j = arg;

    (void)worker;
    for (size_t row = 0; row < j->rows; row += STRIP)
        strip(j, panel, row, j->rows - row < STRIP ? j->rows - row : STRIP);
}

void vl_panels_times(vl_pool *pool, const vl_panels *p, size_t rows, const vl_real *x, vl_real *y)
{
    job j = {.p = p, .x = x, .y = y, .rows = rows};

    vl_pool_run(pool, panels_of(p), one_panel, &j);
}

void vl_panels_times_plain(const vl_panels *p, size_t rows, const vl_real *x, vl_real *y)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < p->n; c++) {
            const vl_real *w = p->data + c / VL_PANEL * p->k * VL_PANEL + c % VL_PANEL;
            double sum = 0;
            for (size_t i = 0; i < p->k; i++)
                sum += (double)x[r * p->k + i] * (double)w[i * VL_PANEL];
            y[r * p->n + c] = (vl_real)sum;
        }
}
