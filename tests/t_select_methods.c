/* SPDX-License-Identifier: MIT
 * t_select_methods.c -- herding, k-means, density pruning, RS2 and selection by score against twins that are too
 * plain to be wrong. Points have small whole numbers where a twin must agree on ties. */
#include "distill/kmeans.h"
#include "distill/select.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N_MAX = 700, DIM_MAX = 70 };
static vl_real x[N_MAX * DIM_MAX];

static void make_points(size_t n, size_t dim, unsigned values, uint64_t seed)
{
    for (size_t i = 0; i < n * dim; i++)
        x[i] = (vl_real)vl_rng_below(seed, 1, i, values) - (vl_real)(values / 2);
}

static void make_units(size_t n, size_t dim, uint64_t seed)
{
    vl_rng_normal(seed, 2, n * dim, 1, x);
    for (size_t i = 0; i < n; i++) {
        double s = 0;
        for (size_t j = 0; j < dim; j++)
            s += (double)x[i * dim + j] * (double)x[i * dim + j];
        for (size_t j = 0; j < dim; j++)
            x[i * dim + j] = (vl_real)((double)x[i * dim + j] / sqrt(s));
    }
}

static void check(const char *what, size_t row, const uint32_t *out, size_t k, const uint8_t *want, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        if (want[i] && (found >= k || out[found++] != i))
            fail_msg("%s, row %zu: record %zu is missing", what, row, i);
    assert_int_equal(found, k);
}

static const struct {
    size_t n, dim, k;
    unsigned values; /* few: ties and equal points */
} shape[] = {{1, 1, 1, 2},    {7, 1, 7, 2},     {50, 3, 12, 2},  {50, 5, 50, 3}, {256, 4, 20, 9},
             {257, 7, 20, 9}, {300, 65, 25, 5}, {300, 9, 30, 2}, {90, 2, 80, 1}, {20, 3, 0, 4}};
enum { SHAPES = sizeof shape / sizeof *shape };

/* Every method: n = all, n = 1, n = 0, equal points, one record; ascending and distinct; -j does not matter. */
static void all_shapes(void **state)
{
    static const vld_select_fn fn[] = {vld_select_herding, vld_select_kcenter, vld_select_kmeans,
                                       vld_select_density};
    uint32_t out[N_MAX], again[N_MAX];
    vl_pool *pool = NULL;
    vl_err e;

    (void)state;
    assert_int_equal(vl_pool_new(4, &pool, &e), VL_OK);
    for (size_t f = 0; f < sizeof fn / sizeof *fn; f++)
        for (size_t r = 0; r < SHAPES; r++) {
            size_t n = shape[r].n, dim = shape[r].dim, k = shape[r].k;
            make_points(n, dim, shape[r].values, r);
            assert_int_equal(fn[f](x, n, dim, 5, NULL, k, out, &e), VL_OK);
            for (size_t i = 0; i < k; i++)
                if (out[i] >= n || (i && out[i] <= out[i - 1]))
                    fail_msg("method %zu, row %zu: number %zu is %u", f, r, i, (unsigned)out[i]);
            assert_int_equal(fn[f](x, n, dim, 5, pool, k, again, &e), VL_OK);
            assert_memory_equal(out, again, k * sizeof *out);
            assert_int_equal(fn[f](x, n, dim, 5, NULL, n + 1, again, &e), VL_EARG);
            assert_int_equal(fn[f](NULL, n, dim, 5, NULL, 1, again, &e), VL_EARG);
        }
    vl_pool_free(pool);
}

/* ---- herding --------------------------------------------------------------------------------------- */

/* The definition: the next record makes |n (sum of the chosen) - t (sum of all)| least. */
static void herding_twin(size_t n, size_t dim, size_t k, uint8_t *chosen)
{
    double all[DIM_MAX] = {0}, sum[DIM_MAX] = {0};

    memset(chosen, 0, n);
    for (size_t i = 0; i < n * dim; i++)
        all[i % dim] += (double)x[i];
    for (size_t t = 1; t <= k; t++) {
        double least = INFINITY;
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            double d = 0;
            for (size_t j = 0; j < dim; j++) {
                double v = (double)n * (sum[j] + (double)x[i * dim + j]) - (double)t * all[j];
                d += v * v;
            }
            if (!chosen[i] && d < least) {
                least = d;
                at = i;
            }
        }
        chosen[at] = 1;
        for (size_t j = 0; j < dim; j++)
            sum[j] += (double)x[at * dim + j];
    }
}

static void herding_is_its_twin(void **state)
{
    uint8_t want[N_MAX];
    uint32_t out[N_MAX];
    vl_err e;

    (void)state;
    for (size_t r = 0; r < SHAPES; r++) {
        make_points(shape[r].n, shape[r].dim, shape[r].values, 10 + r);
        herding_twin(shape[r].n, shape[r].dim, shape[r].k, want);
        assert_int_equal(vld_select_herding(x, shape[r].n, shape[r].dim, 0, NULL, shape[r].k, out, &e),
                         VL_OK);
        check("herding", r, out, shape[r].k, want, shape[r].n);
    }
}

/* ---- k-means --------------------------------------------------------------------------------------- */

static double distance2(const vl_real *a, const double *b, size_t dim)
{
    double sum = 0;

    for (size_t j = 0; j < dim; j++)
        sum += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
    return sum;
}

/* What holds of every result: means are means, counts are counts, distances are right, no cluster is empty,
 * and, where rounds were left, each record is with its nearest mean (up to rounding in float). */
static void kmeans_is_a_fixed_point(void **state)
{
    vl_err e;

    (void)state;
    for (size_t r = 0; r < SHAPES; r++) {
        size_t n = shape[r].n, dim = shape[r].dim, k = shape[r].k ? shape[r].k : 1;
        vld_kmeans c;
        make_units(n, dim, r);
        assert_int_equal(vld_kmeans_run(x, n, dim, k, r, NULL, &c, &e), VL_OK);
        assert_true(c.rounds <= VLD_KMEANS_ROUNDS);
        for (size_t g = 0; g < k; g++) {
            double mean[DIM_MAX] = {0};
            size_t count = 0;
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; c.cluster[i] == g && j < dim; j++) {
                    mean[j] += (double)x[i * dim + j];
                    count += !j;
                }
            assert_int_equal(count, c.count[g]);
            assert_true(count > 0);
            for (size_t j = 0; j < dim; j++)
                assert_true(fabs(mean[j] / (double)count - c.mean[g * dim + j]) < 1e-12);
        }
        for (size_t i = 0; i < n; i++) {
            double own = distance2(x + i * dim, c.mean + c.cluster[i] * dim, dim);
            assert_true(fabs(own - c.d2[i]) < 1e-12);
            for (size_t g = 0; c.rounds < VLD_KMEANS_ROUNDS && c.count[c.cluster[i]] > 1 && g < k; g++)
                assert_true(own < distance2(x + i * dim, c.mean + g * dim, dim) + 1e-5);
        }
        vld_kmeans_free(&c);
    }
}

/* Lloyd's rounds again, plainly, from the means that a run with no rounds would have: the records that
 * k-means++ takes with the same draws. */
static size_t draw(const double *d2, size_t n, double u)
{
    double total = 0, sum = 0;

    for (size_t i = 0; i < n; i++)
        total += d2[i];
    for (size_t i = 0; i < n; i++) {
        sum += d2[i];
        if (d2[i] > 0 && sum > u * total)
            return i;
    }
    fail_msg("nothing drawn");
    return 0;
}

static void kmeans_twin(size_t n, size_t dim, size_t k, uint64_t seed, uint32_t *cluster)
{
    const uint64_t stream = vl_rng_stream("k-means", 0, 0, 0);
    double *mean = test_calloc(k * dim, sizeof *mean), *d2 = test_calloc(n, sizeof *d2);
    size_t count, at = vl_rng_below(seed, stream, 0, n);

    for (size_t g = 0; g < k; g++) {
        if (g)
            at = draw(d2, n, vl_rng_unit(seed, stream, g));
        for (size_t j = 0; j < dim; j++)
            mean[g * dim + j] = (double)x[at * dim + j];
        for (size_t i = 0; i < n; i++) {
            double d = distance2(x + i * dim, mean + g * dim, dim);
            d2[i] = !g || d < d2[i] ? d : d2[i];
        }
    }
    for (int round = 0; round < VLD_KMEANS_ROUNDS; round++) {
        for (size_t i = 0; i < n; i++) {
            cluster[i] = 0;
            for (size_t g = 1; g < k; g++)
                if (distance2(x + i * dim, mean + g * dim, dim) <
                    distance2(x + i * dim, mean + cluster[i] * dim, dim))
                    cluster[i] = (uint32_t)g;
        }
        memset(mean, 0, k * dim * sizeof *mean);
        for (size_t g = 0; g < k; g++) {
            count = 0;
            for (size_t i = 0; i < n; i++)
                count += cluster[i] == g;
            assert_true(count > 0); /* the shapes of this test leave no cluster empty */
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; cluster[i] == g && j < dim; j++)
                    mean[g * dim + j] += (double)x[i * dim + j] / (double)count;
        }
    }
    test_free(d2);
    test_free(mean);
}

static void kmeans_is_its_twin(void **state)
{
    static const size_t size[][3] = {{60, 4, 5}, {300, 9, 17}, {500, 3, 40}, {129, 33, 2}, {40, 2, 1}};
    uint32_t want[N_MAX], out[N_MAX], nearest[64];
    uint8_t mark[N_MAX];
    vl_err e;

    (void)state;
    for (size_t r = 0; r < sizeof size / sizeof *size; r++) {
        size_t n = size[r][0], dim = size[r][1], k = size[r][2];
        vld_kmeans c;
        make_units(n, dim, 50 + r);
        assert_int_equal(vld_kmeans_run(x, n, dim, k, 9, NULL, &c, &e), VL_OK);
        kmeans_twin(n, dim, k, 9, want);
        assert_memory_equal(c.cluster, want, n * sizeof *want);
        memset(mark, 0, n);
        memset(nearest, 0xff, sizeof nearest);
        for (size_t i = 0; i < n; i++)
            if (nearest[want[i]] == UINT32_MAX || c.d2[i] < c.d2[nearest[want[i]]])
                nearest[want[i]] = (uint32_t)i;
        for (size_t g = 0; g < k; g++)
            mark[nearest[g]] = 1;
        assert_int_equal(vld_select_kmeans(x, n, dim, 9, NULL, k, out, &e), VL_OK);
        check("k-means", r, out, k, mark, n);
        vld_kmeans_free(&c);
    }
}

/* Blobs far apart: one medoid of each. */
static void kmeans_finds_blobs(void **state)
{
    enum { BLOBS = 12, EACH = 20, DIM = 16 };
    uint32_t out[BLOBS];
    vl_err e;

    (void)state;
    vl_rng_normal(1, 3, BLOBS * EACH * DIM, 0.01, x);
    for (size_t i = 0; i < BLOBS * EACH; i++)
        x[i * DIM + i % BLOBS] += 1;
    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned seen = 0;
        assert_int_equal(vld_select_kmeans(x, BLOBS * EACH, DIM, seed, NULL, BLOBS, out, &e), VL_OK);
        for (size_t i = 0; i < BLOBS; i++)
            seen |= 1u << out[i] % BLOBS;
        assert_int_equal(seen, (1u << BLOBS) - 1);
    }
}

/* ---- density --------------------------------------------------------------------------------------- */

/* 1 - cosine of record i, or of another mean, to the mean of cluster g. */
static double to_mean(const vld_kmeans *c, const double *v, const vl_real *row, size_t g)
{
    const double *m = c->mean + g * c->dim;
    double mm = 0, vv = 0, vm = 0;

    for (size_t j = 0; j < c->dim; j++) {
        double a = v ? v[j] : (double)row[j];
        mm += m[j] * m[j];
        vv += a * a;
        vm += a * m[j];
    }
    return 1 - vm / sqrt(mm * vv);
}

static int ascending(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;

    return (p > q) - (p < q);
}

/* Quotas in whole numbers by the greedy rule, which is exact for a sum of convex terms: all begin at 1, and
 * each further record goes where the square grows least. */
static void density_twin(const vld_kmeans *c, size_t n_out, size_t *quota)
{
    double share[64], d[64], total = 0;
    size_t near;

    for (size_t g = 0; g < c->k; g++) {
        double intra = 0, inter = 0;
        for (size_t i = 0; i < c->n; i++)
            intra += c->cluster[i] == g ? to_mean(c, NULL, x + i * c->dim, g) / c->count[g] : 0;
        near = 0;
        for (size_t h = 0; h < c->k; h++)
            if (h != g)
                d[near++] = to_mean(c, c->mean + h * c->dim, NULL, g);
        qsort(d, near, sizeof *d, ascending);
        near = near < 20 ? near : 20;
        for (size_t h = 0; h < near; h++)
            inter += d[h] / (double)near;
        total += share[g] = exp(intra * (near ? inter : 1) / 0.1);
        quota[g] = 1;
    }
    for (size_t left = n_out - c->k; left; left--) {
        size_t best = SIZE_MAX;
        for (size_t g = 0; g < c->k; g++) {
            double p = share[g] / total * (double)n_out - (double)quota[g];
            if (quota[g] < c->count[g] &&
                (best == SIZE_MAX || p > share[best] / total * (double)n_out - (double)quota[best]))
                best = g;
        }
        quota[best]++;
    }
}

/* In each cluster its quota, and none left out lies farther than one kept (two records are as far from their
 * mean as each other: there rounding decides). */
static void check_quotas(const vld_kmeans *c, const size_t *quota, const uint32_t *out, size_t n_out)
{
    for (size_t g = 0; g < c->k; g++) {
        double kept = INFINITY, dropped = -INFINITY;
        size_t count = 0;
        for (size_t i = 0, at = 0; i < c->n; i++) {
            bool in = at < n_out && out[at] == i;
            double d = c->cluster[i] == g ? to_mean(c, NULL, x + i * c->dim, g) : 0;
            at += in;
            if (c->cluster[i] != g)
                continue;
            count += in;
            kept = in ? fmin(kept, d) : kept;
            dropped = in ? dropped : fmax(dropped, d);
        }
        assert_int_equal(count, quota[g]);
        assert_true(kept > dropped - 1e-6);
    }
}

static void density_is_its_twin(void **state)
{
    static const size_t size[][4] = {/* n, dim, clusters, n_out */
                                     {60, 4, 5, 20},    {300, 9, 30, 100}, {300, 9, 30, 31},
                                     {300, 9, 30, 299}, {200, 5, 50, 50},  {80, 3, 1, 7},
                                     {80, 3, 2, 2},     {500, 16, 24, 450}};
    uint32_t out[N_MAX];
    size_t quota[64];
    vl_err e;

    (void)state;
    for (size_t r = 0; r < sizeof size / sizeof *size; r++) {
        size_t n = size[r][0], dim = size[r][1], k = size[r][2], n_out = size[r][3];
        vld_kmeans c;
        make_units(n, dim, 90 + r);
        for (size_t i = 0; i < n / 3 * dim; i++) /* a third close together: other clusters are looser */
            x[i] = x[i % dim] + VL_R(0.2) * x[i];
        for (size_t i = 0; i < n; i++) {
            double s = 0;
            for (size_t j = 0; j < dim; j++)
                s += (double)x[i * dim + j] * (double)x[i * dim + j];
            for (size_t j = 0; j < dim; j++)
                x[i * dim + j] = (vl_real)((double)x[i * dim + j] / sqrt(s));
        }
        assert_int_equal(vld_kmeans_run(x, n, dim, k, 4, NULL, &c, &e), VL_OK);
        density_twin(&c, n_out, quota);
        assert_int_equal(vld_select_density_k(x, n, dim, 4, NULL, k, n_out, out, &e), VL_OK);
        check_quotas(&c, quota, out, n_out);
        vld_kmeans_free(&c);
    }
    assert_int_equal(vld_select_density_k(x, 10, 2, 4, NULL, 0, 3, out, &e), VL_EARG);
    assert_int_equal(vld_density_clusters(10000, 500), 100);
    assert_int_equal(vld_density_clusters(10000, 50), 50);
    assert_int_equal(vld_density_clusters(1, 1), 1);
}

/* ---- rs2 ------------------------------------------------------------------------------------------- */

static void rs2_epochs(void **state)
{
    enum { N = 47, K = 10, PER = 4 };
    uint32_t out[N], first[N];
    unsigned used[N], never = 0;
    vl_err e;

    (void)state;
    assert_int_equal(vld_select_random(NULL, N, 0, 6, NULL, K, first, &e), VL_OK);
    assert_int_equal(vld_select_rs2(N, 6, 0, K, out, &e), VL_OK);
    assert_memory_equal(out, first, K * sizeof *out);
    for (uint64_t pass = 0; pass < 30; pass++) {
        memset(used, 0, sizeof used);
        for (uint64_t epoch = pass * PER; epoch < (pass + 1) * PER; epoch++) {
            assert_int_equal(vld_select_rs2(N, 6, epoch, K, out, &e), VL_OK);
            for (size_t i = 0; i < K; i++) {
                assert_true(out[i] < N && (!i || out[i] > out[i - 1]));
                assert_int_equal(used[out[i]]++, 0); /* once a pass */
            }
        }
        never += !used[0];
    }
    assert_true(never > 0 && never < 15); /* 7 of 47 are left out of each pass, others each time */
    assert_int_equal(vld_select_rs2(N, 6, PER, K, out, &e), VL_OK);
    assert_memory_not_equal(out, first, K * sizeof *out);
    assert_int_equal(vld_select_rs2(5, 6, 1000000007, 5, out, &e), VL_OK);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(out[i], i);
    assert_int_equal(vld_select_rs2(1, 6, 3, 1, out, &e), VL_OK);
    assert_int_equal(vld_select_rs2(5, 6, 0, 6, out, &e), VL_EARG);
    assert_int_equal(vld_select_rs2(5, 6, 0, 0, out, &e), VL_EARG);
}

/* ---- drawn twins ----------------------------------------------------------------------------------- */

/* Fisher and Yates as rng.h tells of it: from the back, a place at or below is drawn and exchanged. */
static void order_twin(size_t n, uint64_t seed, uint64_t pass, uint32_t *order)
{
    const uint64_t stream = vl_rng_stream("select", pass, 0, 0);

    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = vl_rng_below(seed, stream, i, i);
        uint32_t keep = order[i - 1];
        order[i - 1] = order[j];
        order[j] = keep;
    }
}

/* Random takes the head of the first order; epoch e of RS2 the next k of what is left of its pass. */
static void draws_are_their_twins(void **state)
{
    static const size_t size[][2] = {{1, 1}, {5, 5}, {7, 3}, {100, 1}, {101, 50}, {101, 51}, {700, 13}};
    uint32_t order[N_MAX], out[N_MAX];
    uint8_t want[N_MAX];
    vl_err e;

    (void)state;
    for (size_t r = 0; r < sizeof size / sizeof *size; r++) {
        size_t n = size[r][0], k = size[r][1], left = 0;
        uint64_t pass = 0;
        for (uint64_t epoch = 0; epoch < 9; epoch++, left -= k) {
            if (left < k) {
                order_twin(n, r, pass++, order);
                left = n;
            }
            memset(want, 0, n);
            for (size_t i = 0; i < k; i++)
                want[order[n - left + i]] = 1;
            assert_int_equal(vld_select_rs2(n, r, epoch, k, out, &e), VL_OK);
            check("rs2", r, out, k, want, n);
            if (epoch)
                continue;
            assert_int_equal(vld_select_random(NULL, n, 0, r, NULL, k, out, &e), VL_OK);
            check("random", r, out, k, want, n);
        }
    }
}

/* ---- by score -------------------------------------------------------------------------------------- */

/* A record is among the k best when fewer than k are better, or as good and earlier in the drawn order. */
static void scores_are_ranked(void **state)
{
    static const unsigned values[] = {1, 2, 5, 1000000};
    double score[200];
    uint32_t out[200], order[200], place[200];
    uint8_t want[200];
    vl_err e;

    (void)state;
    for (size_t r = 0; r < 4 * 2 * 5; r++) {
        size_t n = (size_t[]){1, 2, 50, 199, 200}[r % 5], k = (r * 37) % (n + 1), reached = 0;
        bool least = r / 5 % 2;
        vl_rng_shuffle(r, vl_rng_stream("equal scores", 0, 0, 0), n, order);
        for (size_t i = 0; i < n; i++) {
            score[i] = (double)vl_rng_below(r, 7, i, values[r / 10]) - 2;
            place[order[i]] = (uint32_t)i;
        }
        for (size_t i = 0; i < n; i++) {
            size_t ahead = 0;
            for (size_t j = 0; j < n; j++)
                ahead += least ? score[j] < score[i] : score[j] > score[i];
            for (size_t j = 0; j < n; j++)
                ahead += score[j] == score[i] && place[j] < place[i];
            want[i] = ahead < k;
        }
        assert_int_equal(vld_select_best(score, n, least, r, k, out, &e), VL_OK);
        check("score", r, out, k, want, n);
        for (size_t i = 0; i < n; i++)
            reached += want[i] = least ? score[i] <= score[0] : score[i] >= score[0];
        assert_int_equal(vld_select_reach(score, n, least, score[0], out), reached);
        check("threshold", r, out, reached, want, n);
    }
    assert_int_equal(vld_select_best(score, 3, false, 0, 4, out, &e), VL_EARG);
    score[1] = NAN;
    assert_int_equal(vld_select_best(score, 3, false, 0, 2, out, &e), VL_EARG);
    assert_string_equal(e.text, "record 1: its score is not finite");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shapes),
        cmocka_unit_test(herding_is_its_twin),
        cmocka_unit_test(kmeans_is_a_fixed_point),
        cmocka_unit_test(kmeans_is_its_twin),
        cmocka_unit_test(kmeans_finds_blobs),
        cmocka_unit_test(density_is_its_twin),
        cmocka_unit_test(rs2_epochs),
        cmocka_unit_test(draws_are_their_twins),
        cmocka_unit_test(scores_are_ranked),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
