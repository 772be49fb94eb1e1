/* SPDX-License-Identifier: MIT
 * select_score.c -- by one number a record: the best n of them, or all that reach a bound.
 *
 *   cosine      of image and text (CLIP score filtering: Hessel et al. 2021; Schuhmann et al. 2021)
 *   forgetting  how often training forgot a record (Toneva et al. 2019; forgetting.h)
 *
 * Forgetting counts have few values: most records of a short training have the same. The first of them in the
 * shard would be those of one folder, so the order of equals is drawn from the seed.
 *
 * Memory: the scores alone, which are computed while the records stream by (score_table.h). */
#include "distill/select.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>

typedef struct scored {
    double score;           /* high is good */
    uint32_t number, place; /* place: in the drawn order */
} scored;

static int best_first(const void *a, const void *b)
{
    const scored *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

int vld_select_best(const double *score, size_t n_records, bool least, uint64_t seed, size_t n_out,
                    uint32_t *out, vl_err *e)
{
    uint32_t *order = NULL;
    scored *s = NULL;
    uint8_t *mark = NULL;
    int rc = VL_ENOMEM;

    if (n_out > n_records || n_records > UINT32_MAX)
        return vl_fail(e, VL_EARG, "%zu of %zu records cannot be selected", n_out, n_records);
    if (!(s = vl_alloc(n_records, sizeof *s, e)) || !(mark = vl_alloc(n_records, 1, e)) ||
        !(order = vl_alloc(n_records, sizeof *order, e)))
        goto out;
    vl_rng_shuffle(seed, vl_rng_stream("equal scores", 0, 0, 0), n_records, order);
    for (size_t p = 0; p < n_records; p++) {
        size_t i = order[p];
        if (!isfinite(score[i])) {
            rc = vl_fail(e, VL_EARG, "record %zu: its score is not finite", i);
            goto out;
        }
        s[p] = (scored){least ? -score[i] : score[i], (uint32_t)i, (uint32_t)p};
    }
    qsort(s, n_records, sizeof *s, best_first);
    for (size_t i = 0; i < n_out; i++)
        mark[s[i].number] = 1;
    vld_select_marked(mark, n_records, out);
    rc = VL_OK;
out:
    free(order);
    free(mark);
    free(s);
    return rc;
}

size_t vld_select_reach(const double *score, size_t n_records, bool least, double bound, uint32_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < n_records; i++)
        if (least ? score[i] <= bound : score[i] >= bound)
            out[n++] = (uint32_t)i;
    return n;
}
